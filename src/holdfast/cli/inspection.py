"""Commands that show sessions: ``list``, ``show`` and ``stats``."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import click

from holdfast.cli.errors import Misuse, OneLine
from holdfast.cli.output import facts, moment, printable, progress, say, table
from holdfast.cli.target import NEVER, Target, user_option, with_target
from holdfast.errors import HoldfastError
from holdfast.sessions.flows.listing import SessionInfo
from holdfast.sessions.flows.stats import SessionStats
from holdfast.sessions.flows.walk import SessionPage
from holdfast.sessions.manager import Manager
from holdfast.stores.contract import iterate

_HEADINGS = ("HANDLE", "USER", "BEGAN (UTC)", "LAST USED (UTC)", "DEVICE")
_SHORT = 12
_DEVICES = 20
_LABELS = {
    "handle": "Handle",
    "sid": "Id for logs",
    "owner": "User",
    "created_at": "Began (UTC)",
    "last_used_at": "Last used (UTC)",
    "idle_deadline": "Over if not used by (UTC)",
    "absolute_deadline": "Over by (UTC)",
    "authenticated_at": "Signed in (UTC)",
    "permanent": "Outlives the browser",
    "device": "Device",
    "address": "Address",
    "transport": "Token in",
    "label": "Label",
    "impersonator": "Impersonated by",
}
_MOMENTS = {"created_at", "last_used_at", "idle_deadline", "absolute_deadline", "authenticated_at"}


@click.command("list")
@user_option("Only the sessions of this user, the most recently used first.")
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=50,
    show_default=True,
    help="The approximate number, without --user.",
)
@click.option("--after", metavar="PLACE", help="Continue an earlier list.")
@with_target
def list_(target: Target, *, user: str | None, limit: int, after: str | None, as_json: bool) -> None:
    """List live sessions.

    Without --user, the store is listed in its own order, one page at a time.
    """
    manager = target.directory
    if user is not None:
        if after is not None:
            raise Misuse("--after does not go with --user, which lists all sessions of the user")
        found, further = manager.of(user), None
    else:
        found, further = [], after
        while len(found) < limit:
            page = _page(manager, further, limit)
            found += page.items
            further = page.after
            if further is None:
                break
    if as_json:
        say({"sessions": [as_data(session) for session in found], "after": further}, "", as_json=True)
        return
    if found:
        table(_HEADINGS, [_row(session) for session in found])
    else:
        click.echo("No live sessions.")
    if further is not None:
        click.echo(f"There may be more: --after {printable(shlex.quote(further))}")


@click.command()
@click.argument("handle")
@with_target
def show(target: Target, *, handle: str, as_json: bool) -> None:
    """Show the metadata of the session with HANDLE.

    The session's data is not shown.
    """
    found = target.directory.get(handle)
    if found is None:
        raise OneLine("there is no live session with this handle")
    say(as_data(found), facts(list(_shown(found))), as_json=as_json)


@click.command()
@with_target
def stats(target: Target, *, as_json: bool) -> None:
    """Count sessions by user, age and device, and other records.

    Scans the whole store once.
    """
    context, store, stats, seen = target.manager.context, target.store, SessionStats(), 0
    with progress("Counting") as advance:
        for page in iterate(store):
            for key, record in dict(page.items).items():
                stats.add(context, key, record)
            seen += len(page.items)
            advance(seen)
    kind = type(store).__name__
    say({"store": kind, **_numbers(stats)}, _described(kind, stats), as_json=as_json)


def _page(manager: Manager, after: str | None, limit: int) -> SessionPage:
    try:
        return manager.scan(after, limit=limit)
    except ValueError as error:
        if isinstance(error, HoldfastError) or after is None:
            raise
        raise Misuse("--after is not the position of a list of this store") from error


def as_data(session: SessionInfo) -> dict[str, Any]:
    """Return the metadata of *session* for JSON. Times are milliseconds since the epoch, None if unknown."""
    data = asdict(session)
    del data["current"], data["meta"]  # no request is running, and the metadata is in the other fields
    data["device"] = str(session.device) if session.device else None
    if session.absolute_deadline >= NEVER:
        data["absolute_deadline"] = None
    return data


def _row(session: SessionInfo) -> tuple[str, ...]:
    owner, device = session.owner[:_SHORT] if session.owner else "-", str(session.device or "-")
    return session.handle, owner, moment(session.created_at), moment(session.last_used_at), device


def _shown(session: SessionInfo) -> Iterator[tuple[str, str]]:
    data = as_data(session)
    for name, label in _LABELS.items():
        value = data[name]
        if name in _MOMENTS:
            if value is not None or name == "absolute_deadline":
                yield label, moment(value)
        elif isinstance(value, bool):
            yield label, "yes" if value else "no"
        elif value is not None:
            yield label, str(value)


def _numbers(stats: SessionStats) -> dict[str, Any]:
    return {
        "sessions": stats.sessions,
        "bound": stats.bound,
        "anonymous": stats.sessions - stats.bound,
        "began": dict(stats.ages),
        "last_used": dict(stats.idle),
        "devices": dict(stats.devices.most_common()),
        "other_records": dict(stats.others),
        "bytes": stats.bytes,
        "largest": stats.largest,
    }


def _described(kind: str, stats: SessionStats) -> str:
    lines = [
        ("Store", kind),
        ("Live sessions", f"{stats.sessions:,}"),
        ("  of users", f"{stats.bound:,}"),
        ("  anonymous", f"{stats.sessions - stats.bound:,}"),
        *_counts("Began", stats.ages),
        *_counts("Last used", stats.idle),
        *_counts("Devices", Counter(dict(stats.devices.most_common(_DEVICES)))),
        *_counts("Other records", stats.others),
        ("Bytes", f"{stats.bytes:,} in all, {stats.largest:,} in the largest record"),
    ]
    return facts(lines)


def _counts(title: str, numbers: Counter[str]) -> list[tuple[str, str]]:
    rows = [(f"  {name}", f"{number:,}") for name, number in numbers.items()]
    return [(title, ""), *rows] if rows else []

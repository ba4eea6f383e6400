"""The command that takes over the sessions of another library at once: ``import``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import click

from holdfast.cli.output import counted, progress, say
from holdfast.cli.target import Target, with_target
from holdfast.errors import ConfigurationError
from holdfast.sessions.manager import Manager

_WORKERS = 4
_CHUNK = 100


@click.command("import")
@click.option("--count", is_flag=True, help="Only print how many sessions are left to take over.")
@with_target
def import_(target: Target, *, count: bool, as_json: bool) -> None:
    """Take over all sessions of Flask-Session now, while the application runs.

    Without it each is taken over at its first request. Nothing is removed from the old place. After an interruption,
    run the same command again.
    """
    manager = target.find_manager()
    place = manager.context.old_place
    if place is None or not isinstance(manager, Manager):
        raise ConfigurationError("no sessions are taken over: set SESSION_IMPORT, or SESSION_TYPE")
    found = _each("Counting" if count else "Taking over", place.ids(), partial(manager.take_over, only_look=count))
    unreadable = f"{found['unreadable']:,} cannot be read"
    if count:
        data = {name: found[name] for name in ("left", "unreadable")}
        say(data, f"{counted(found['left'], 'session')} left to take over; {unreadable}.", as_json=as_json)
        return
    data = {"taken_over": found["now"], **{name: found[name] for name in ("before", "ended", "unreadable")}}
    text = f"Took over {counted(found['now'], 'session')}; {found['before']:,} were before, {found['ended']:,} ended"
    say(data, f"{text}, {unreadable}.", as_json=as_json)


def _each(title: str, ids: list[str], work: Callable[[str], str]) -> Counter[str]:
    """Return how often each result of *work* on one of *ids* came. After an interruption it says how far it got."""
    found = Counter[str]()
    with ThreadPoolExecutor(_WORKERS) as pool, progress(title, len(ids)) as advance:
        try:
            for start in range(0, len(ids), _CHUNK):
                found.update(pool.map(work, ids[start : start + _CHUNK]))
                advance(found.total())
        except KeyboardInterrupt:
            click.echo(f"{found.total():,} of {len(ids):,} are done: run the same command again.", err=True)
            raise
    return found

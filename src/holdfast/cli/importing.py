"""The command that takes over the sessions of another library at once: ``import``."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import click

from holdfast.cli.output import counted, progress, say
from holdfast.cli.target import Target, json_option, pass_target
from holdfast.errors import ConfigurationError
from holdfast.sessions.manager import Manager

_WORKERS = 4
_CHUNK = 500


@click.command("import")
@click.option("--count", is_flag=True, help="Only print how many sessions are left to take over.")
@json_option
@pass_target
def import_(target: Target, *, count: bool, as_json: bool) -> None:
    """Take over all sessions of Flask-Session now, while the application runs.

    Without it each is taken over at its first request. Nothing is removed from the old place. After an interruption,
    run the same command again.
    """
    manager = target.find_manager()
    place = manager.context.old_place
    if place is None or not isinstance(manager, Manager):
        raise ConfigurationError("no sessions are taken over: set SESSION_IMPORT, or SESSION_TYPE")
    ids = place.ids()
    if count:
        left = _each(ids, lambda old_id: not manager.is_taken_over(old_id))
        say({"left": left}, f"{counted(left, 'session')} left to take over.", as_json=as_json)
        return
    done = _each(ids, manager.take_over)
    rest = len(ids) - done
    text = f"Took over {counted(done, 'session')}; {rest:,} taken over before, ended or unreadable."
    say({"taken_over": done, "others": rest}, text, as_json=as_json)


def _each(ids: list[str], work: Callable[[str], bool]) -> int:
    """Return for how many of *ids* the result of *work* is True."""
    found = 0
    with ThreadPoolExecutor(_WORKERS) as pool, progress("Taking over") as advance:
        for start in range(0, len(ids), _CHUNK):
            chunk = ids[start : start + _CHUNK]
            found += sum(pool.map(work, chunk))
            advance(start + len(chunk))
    return found

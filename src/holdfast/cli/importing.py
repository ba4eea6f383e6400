"""The command that takes over the sessions of another library at once: ``import``."""

from __future__ import annotations

from functools import partial

import click

from holdfast.cli.output import count_results, counted, say
from holdfast.cli.target import Target, with_target
from holdfast.errors import ConfigurationError
from holdfast.sessions.manager import Manager

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
    ids, title = place.ids(), "Counting" if count else "Taking over"
    chunks = (ids[start : start + _CHUNK] for start in range(0, len(ids), _CHUNK))
    found = count_results(title, partial(manager.take_over, dry_run=count), chunks, len(ids))
    unreadable = f"{found['unreadable']:,} cannot be read{'' if ids else f'; {place.none_there}'}"
    if count:
        data = {name: found[name] for name in ("left", "unreadable")}
        say(data, f"{counted(found['left'], 'session')} left to take over; {unreadable}.", as_json=as_json)
        return
    data = {"taken_over": found["now"], **{name: found[name] for name in ("before", "ended", "unreadable")}}
    text = f"Took over {counted(found['now'], 'session')}; {found['before']:,} were before, {found['ended']:,} ended"
    say(data, f"{text}, {unreadable}.", as_json=as_json)

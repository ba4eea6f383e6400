"""The command that ends sessions: ``revoke``."""

from __future__ import annotations

import sys

import click

from holdfast.cli.errors import Misuse, OneLine
from holdfast.cli.output import counted, is_terminal, progress, say
from holdfast.cli.target import Target, user_option, with_target
from holdfast.errors import UnknownKey
from holdfast.records.tokens import is_key
from holdfast.sessions.ends import Ends, ends
from holdfast.sessions.flows.walk import RevokeProgress
from holdfast.sessions.manager import Manager


@click.command()
@click.argument("handle", required=False)
@user_option("End all sessions of this user.")
@click.option("--keep", metavar="HANDLE", help="With --user: all except this one.")
@click.option("--all", "everyone", is_flag=True, help="End all sessions of all users.")
@click.option("--yes", is_flag=True, help="With --all: do not prompt.")
@with_target
def revoke(
    target: Target, *, handle: str | None, user: str | None, keep: str | None, everyone: bool, yes: bool, as_json: bool
) -> None:
    """End the session with HANDLE, or all sessions of a user with --user, or all sessions with --all.

    It is effective against concurrent requests: no save brings an ended session back.
    """
    if [handle is not None, user is not None, everyone].count(True) != 1:
        raise Misuse("give one of HANDLE, --user ID and --all")
    if keep is not None and user is None:
        raise Misuse("--keep needs --user")
    if keep is not None and not is_key(keep):
        raise Misuse("--keep is no handle: give the 64 hex digits that `list` prints")
    if handle is not None:
        _end_one(ends(target.manager), handle, as_json=as_json)
        return
    if user is not None:
        _end_theirs(ends(target.manager), user, keep, as_json=as_json)
        return
    manager = target.directory
    if not yes and not is_terminal(sys.stdin):
        raise Misuse("--all prompts for confirmation: add --yes in scripts")
    if not yes:
        click.confirm("End all sessions of all users?", abort=True, err=True)
    ended = _end_all(manager)
    say({"ended": ended}, f"Ended {counted(ended, 'session')}.", as_json=as_json)


def _end_theirs(manager: Ends, user: str, keep: str | None, *, as_json: bool) -> None:
    ended = manager.revoke_all(user, keep=keep)
    if isinstance(manager, Manager):
        say({"ended": ended}, f"Ended {counted(ended, 'session')}.", as_json=as_json)
    else:
        say({"ended": None}, "Ended all sessions of the user. Only their browsers have them.", as_json=as_json)
    if ended.outcome == "unconfirmed":
        raise OneLine("the store does not keep out a login that began before: make room in it, and repeat the command")


def _end_all(manager: Manager) -> int:
    with progress("Ending") as advance:
        state = RevokeProgress(manager.clock())
        try:
            while not state.over:
                state = manager.revoke_some(state)
                advance(state.ended)
        except KeyboardInterrupt:
            click.echo(f"{counted(state.ended, 'session')} ended: run the same command again.", err=True)
            raise
    if state.unopened:
        raise OneLine(
            f"ended {counted(state.ended, 'session')}, and left {counted(state.unopened, 'sealed session')} that no key"
            " opens, because they may be another application's: set SESSION_SEAL_KEYS to end them"
        )
    return state.ended


def _end_one(manager: Ends, handle: str, *, as_json: bool) -> None:
    try:
        result = manager.revoke(handle)
    except UnknownKey as error:
        raise OneLine(
            "no key opens this session, so it may be another application's: set SESSION_SEAL_KEYS to end it"
        ) from error
    if result == "absent":
        raise OneLine("there is no live session with this handle")
    say({"result": result}, "Ended 1 session.", as_json=as_json)
    if result == "unconfirmed":
        raise OneLine(
            "the session is ended, but the store does not confirm it: a lost server may bring it back. Check again"
        )

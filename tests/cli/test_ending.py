"""The command that ends sessions."""

from __future__ import annotations

import json

import pytest
from support import seams
from support.terminal import Shelf, Terminal

from holdfast.records.encryption import new_key
from holdfast.sessions.ends import ends
from holdfast.sessions.flows.revoke import RevokedCount
from holdfast.sessions.flows.walk import RevokeProgress
from holdfast.sessions.manager import Manager

INDEXED = [
    "sqlite",
    "json",
    pytest.param("redis", marks=pytest.mark.redis),
    pytest.param("mariadb", marks=pytest.mark.mariadb),
]


def live(shelf: Shelf) -> set[str]:
    """Return the handles of all live sessions."""
    return {session["handle"] for session in shelf.store.data("list")["sessions"]}


@pytest.mark.parametrize("shelf", INDEXED, indirect=True)
@pytest.mark.parametrize("way", ["app", "store"])
def test_one_session_is_ended_by_its_handle(shelf: Shelf, way: str) -> None:
    """The session with the handle is over, and no other; a second call reports that there is none."""
    terminal = getattr(shelf, way)
    gone, left = shelf.sign_in("ada"), shelf.sign_in("ada")
    assert terminal.read("revoke", gone) == "Ended 1 session.\n"
    assert live(shelf) == {left}
    assert terminal.error("revoke", gone) == "there is no live session with this handle"
    assert terminal.data("revoke", left) == {"result": "confirmed"}


@pytest.mark.parametrize("shelf", INDEXED, indirect=True)
@pytest.mark.parametrize("way", ["app", "store"])
def test_all_sessions_of_a_user_are_ended(shelf: Shelf, way: str) -> None:
    """`--user` ends the user's sessions except the one to keep, and no other user's."""
    terminal = getattr(shelf, way)
    handles = [shelf.sign_in("ada") for _ in range(3)]
    others = {shelf.sign_in("bob"), shelf.visit()}
    assert terminal.data("revoke", "--user", "ada", "--keep", handles[1]) == {"ended": 2}
    assert live(shelf) == {handles[1], *others}
    assert terminal.read("revoke", "--user", "ada") == "Ended 1 session.\n"
    assert live(shelf) == others


@pytest.mark.parametrize("namespace", ["session:", "shop:"])
def test_the_application_believes_the_end_of_all(shelf: Shelf, namespace: str) -> None:
    """With the seal keys, what `--user` leaves against logins in flight is authentic in the application's namespace."""
    key = new_key()
    sealed = shelf.with_settings(SESSION_SEAL="keys", SESSION_SEAL_KEYS=[key], SESSION_KEY_PREFIX=namespace)
    sealed.sign_in("ada")
    terminal = Terminal(shelf.url, "--namespace", namespace)
    assert terminal.data("revoke", "--user", "ada", SESSION_SEAL_KEYS=key) == {"ended": 1}
    manager = ends(sealed.web.sessions.manager)
    assert manager.ended_since(0, sealed.web.sessions.manager.keys.owner_of("ada"))


@pytest.mark.parametrize("command", ["list", "revoke"])
def test_an_empty_user_is_a_mistake_of_usage(shelf: Shelf, command: str) -> None:
    """`--user ""`, as an unset variable of a script gives it, is refused in one line, and ends no session."""
    handle = shelf.sign_in("ada")
    assert shelf.store.error(command, "--user", "", code=2) == "--user is empty: give the id of a user"
    assert live(shelf) == {handle}


@pytest.mark.parametrize("shelf", INDEXED, indirect=True)
@pytest.mark.parametrize("way", ["app", "store"])
def test_everyones_sessions_are_ended(shelf: Shelf, way: str) -> None:
    """`--all` leaves no session of anybody."""
    for user in ("ada", "bob"):
        shelf.sign_in(user)
    shelf.visit()
    assert getattr(shelf, way).data("revoke", "--all", "--yes") == {"ended": 3}
    assert live(shelf) == set()


def test_an_interruption_says_how_many_were_ended(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an interruption of `--all` the command says what it did, and what to do; the next one goes on."""
    handles = {shelf.sign_in(user) for user in ("ada", "bob", "eve")}
    revoke_some = Manager.revoke_some

    def interrupted(manager: Manager, progress: RevokeProgress) -> RevokeProgress:
        if progress.ended == 2:
            raise KeyboardInterrupt
        return revoke_some(manager, progress, limit=2)

    seams.MANAGER_REVOKE_SOME.plant(monkeypatch, interrupted)
    assert "2 sessions ended: run the same command again.\n" in shelf.store.run("revoke", "--all", "--yes").output
    monkeypatch.undo()
    assert len(live(shelf) & handles) == 1
    assert shelf.store.data("revoke", "--all", "--yes") == {"ended": 1}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give one of HANDLE, --user ID and --all"),
        (["f" * 64, "--all"], "give one of HANDLE, --user ID and --all"),
        (["--all", "--user", "ada"], "give one of HANDLE, --user ID and --all"),
        (["--all", "--keep", "f" * 64], "--keep needs --user"),
        (["--user", "ada", "--keep", "f" * 12], "--keep is no handle: give the 64 hex digits that `list` prints"),
        (["--all"], "--all prompts for confirmation: add --yes in scripts"),
    ],
)
def test_what_is_to_be_ended_must_be_clear(shelf: Shelf, arguments: list[str], message: str) -> None:
    """The command ends sessions only for one explicit target, and all sessions only with a confirmation."""
    handle = shelf.visit()
    assert shelf.app.error("revoke", *arguments, code=2) == message
    assert live(shelf) == {handle}


@pytest.mark.parametrize("shelf", [pytest.param("redis", marks=pytest.mark.redis)], indirect=True)
def test_what_is_not_confirmed_is_ended_and_told(shelf: Shelf) -> None:
    """Where no replica confirms the end, that is an error of one line, and the session is over all the same."""
    handle = shelf.sign_in("ada")
    done = Terminal(f"{shelf.url}&wait_replicas=1&wait_timeout=0.01").run("revoke", handle, "--json")
    assert json.loads(done.stdout) == {"result": "unconfirmed"}
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    assert "does not confirm it" in done.stderr
    assert live(shelf) == set()


def test_sessions_in_the_cookie_are_ended_without_a_number(shelf: Shelf) -> None:
    """Only browsers have them: the command does not report that none was ended."""
    settings = {"SESSION_REVOCATION_STORE": "sqlite:///ends.db", "SESSION_SEAL_KEYS": [new_key()]}
    cookie = shelf.with_settings(SESSION_STORE="cookie://", **settings)
    cookie.app.read("init")
    assert cookie.app.read("revoke", "--user", "ada").startswith("Ended all sessions of the user.")
    assert cookie.app.data("revoke", "--user", "ada") == {"ended": None}


def test_a_login_that_is_not_kept_out_is_told(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the store was too full to stop a login that began before, that is an error of one line."""
    seams.MANAGER_REVOKE_ALL.plant(monkeypatch, lambda *_, **__: RevokedCount(2, "unconfirmed"))
    done = shelf.app.run("revoke", "--user", "ada", "--json")
    assert json.loads(done.stdout) == {"ended": 2}
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)

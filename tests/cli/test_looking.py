"""Commands that look at sessions."""

from __future__ import annotations

import re

import pytest
from support.servers import Server
from support.terminal import Shelf, Terminal

from holdfast.cli.output import printable
from holdfast.records.encryption import new_key
from holdfast.records.tokens import Keys

ON_SERVERS = [
    "sqlite",
    "files",
    pytest.param("redis", marks=pytest.mark.redis),
    pytest.param("mongodb", marks=pytest.mark.mongodb),
    pytest.param("dynamodb", marks=pytest.mark.dynamodb),
    pytest.param("postgresql", marks=pytest.mark.postgresql),
]


@pytest.mark.parametrize("shelf", ON_SERVERS, indirect=True)
def test_list_shows_what_both_ways_see(shelf: Shelf) -> None:
    """With the application and without, `list` shows every live session, and of a user those that are the user's."""
    bob, ada, nobody = shelf.sign_in("bob"), shelf.sign_in("ada"), shelf.visit()
    for terminal in (shelf.app, shelf.store):
        listed = terminal.data("list")
        assert {session["handle"] for session in listed["sessions"]} == {bob, ada, nobody}
        assert listed["after"] is None
        assert [session["handle"] for session in terminal.data("list", "--user", "ada")["sessions"]] == [ada]
        text = terminal.read("list")
        assert [line.split()[0] for line in text.splitlines()[1:]] == [
            session["handle"] for session in listed["sessions"]
        ]
        assert "Firefox on Linux" in text


@pytest.mark.parametrize("shelf", ON_SERVERS, indirect=True)
def test_list_goes_on_where_it_ended(shelf: Shelf) -> None:
    """Parts of a list, one after the other, show each session once."""
    handles = {shelf.visit() for _ in range(7)}
    found: list[str] = []
    after: list[str] = []
    for _ in range(20):
        part = shelf.store.data("list", "--limit", "3", *after)
        found += [session["handle"] for session in part["sessions"]]
        if part["after"] is None:
            break
        after = ["--after", part["after"]]
    assert (set(found), len(found)) == (handles, 7)


def test_an_unfinished_list_says_how_to_go_on(shelf: Shelf) -> None:
    """The last line of a part is the option that continues it; the last part has none."""
    handles = sorted(shelf.visit() for _ in range(3))
    text = shelf.app.read("list", "--limit", "2")
    assert text.endswith(f"There may be more: --after {handles[1]}\n")
    assert "There may be more" not in shelf.app.read("list", "--after", handles[1])


def test_an_empty_list_says_so(shelf: Shelf) -> None:
    """Without sessions there is no table."""
    assert shelf.app.read("list") == "No live sessions.\n"
    assert shelf.store.data("list") == {"sessions": [], "after": None}


def test_show_tells_what_is_known_of_a_session(shelf: Shelf) -> None:
    """`show` gives handle, user, times and device of one session."""
    handle = shelf.sign_in("ada")
    text = shelf.app.read("show", handle)
    facts = dict(line.split("  ", 1) for line in text.splitlines())
    assert facts["Handle"].strip() == handle
    assert facts["User"].strip() == Keys("session:").owner_of("ada")
    assert facts["Device"].strip() == "Firefox on Linux"
    assert facts["Outlives the browser"].strip() == "no"
    data = shelf.app.data("show", handle)
    assert (data["handle"], data["device"]) == (handle, "Firefox on Linux")
    assert data["absolute_deadline"] - data["created_at"] == 400 * 86_400_000


def test_without_the_application_its_absolute_timeout_is_not_known(shelf: Shelf) -> None:
    """On a store's URL alone no absolute deadline is made up."""
    handle = shelf.sign_in("ada")
    assert shelf.store.data("show", handle)["absolute_deadline"] is None
    assert "Over by (UTC)              not known\n" in shelf.store.read("show", handle)


def test_a_longer_idle_timeout_than_the_default_is_believed(shelf: Shelf) -> None:
    """On a store's URL alone a session lives as long as its record says, whatever the application's timeout is."""
    shelf.web.app.config["PERMANENT_SESSION_LIFETIME"] = 90 * 86_400
    handle = shelf.visit()
    found = shelf.store.data("show", handle)
    assert found["idle_deadline"] - found["last_used_at"] == 90 * 86_400_000


def test_a_browser_cannot_write_on_the_terminal(shelf: Shelf) -> None:
    """A browser's name for itself does not move the cursor or end the line."""
    assert printable("Fire\x1b[2Jfox\nroot") == "Fire�[2Jfox�root"
    shelf.sign_in("ada", agent="Mozilla/5.0 \x1b[31m Firefox/1")
    assert "\x1b" not in shelf.app.read("list") + shelf.app.read("stats")


@pytest.mark.parametrize("shelf", ON_SERVERS, indirect=True)
def test_stats_count_everything_in_the_store(shelf: Shelf) -> None:
    """`stats` counts users' sessions and others, by age and device, and records that are no session separately."""
    handles = [shelf.sign_in("ada"), shelf.sign_in("bob"), shelf.visit()]
    shelf.app.run("revoke", "--user", "ada")
    for terminal in (shelf.app, shelf.store):
        found = terminal.data("stats")
        assert (found["sessions"], found["bound"], found["anonymous"]) == (len(handles) - 1, 1, 1)
        assert found["began"]["under 1 hour"] == found["last_used"]["under 1 hour"] == 2
        assert found["devices"] == {"Firefox on Linux": 1}
        assert found["other_records"] == {"cut-offs": 1}
        assert found["bytes"] > found["largest"] > 50
        text = terminal.read("stats")
        assert "Live sessions       2\n" in text
        assert "  cut-offs          1\n" in text


def test_stats_tell_ages_apart(shelf: Shelf) -> None:
    """A session is counted by when it began and by when it was last used."""
    shelf.visit()
    shelf.web.clock.advance(10 * 86_400)
    shelf.visit()
    found = shelf.app.data("stats")
    assert (found["began"]["under 1 hour"], found["began"]["under 30 days"]) == (1, 1)


@pytest.mark.parametrize("namespace", ["session:", "shop:"])
def test_a_sealed_session_is_listed_without_its_key(shelf: Shelf, namespace: str) -> None:
    """Times and users of sealed sessions need no key; the device does, and its key is taken from the environment."""
    key = new_key()
    sealed = shelf.with_settings(SESSION_SEAL="cookie", SESSION_SEAL_KEYS=[key], SESSION_KEY_PREFIX=namespace)
    handle = sealed.sign_in("ada")
    terminal = Terminal(shelf.url, "--namespace", namespace)
    assert terminal.data("show", handle)["device"] is None
    assert [session["handle"] for session in terminal.data("list", "--user", "ada")["sessions"]] == [handle]
    for keys in (key, f"{new_key()}, {key}"):
        assert terminal.data("show", handle, SESSION_SEAL_KEYS=keys)["device"] == "Firefox on Linux"
    named = Terminal(shelf.url, "--namespace", namespace, "--seal-keys", "RING")
    assert named.data("show", handle, RING=key)["device"] == "Firefox on Linux"
    assert named.error("list", RING=None, code=2) == "the environment variable RING is not set"
    assert key not in named.read("show", handle, RING=key) + named.read("stats", RING=key)
    assert "SESSION_SEAL_KEYS" in terminal.error("list", SESSION_SEAL_KEYS="hunter2")


def test_the_owner_key_is_taken_from_the_environment(shelf: Shelf) -> None:
    """With a keyed index a user is found with the key alone, which is not on the command line."""
    secret = new_key()
    handle = shelf.with_settings(SESSION_OWNER_KEY=secret).sign_in("ada")
    assert shelf.store.data("list", "--user", "ada")["sessions"] == []
    found = shelf.store.data("list", "--user", "ada", SESSION_OWNER_KEY=secret)
    assert [session["handle"] for session in found["sessions"]] == [handle]
    named = Terminal(shelf.url, "--owner-key", "SECRET")
    assert len(named.data("list", "--user", "ada", SECRET=secret)["sessions"]) == 1
    assert named.error("list", SECRET=None, code=2) == "the environment variable SECRET is not set"
    assert "SESSION_OWNER_KEY can be guessed" in shelf.store.error("list", SESSION_OWNER_KEY="tiny")


def test_a_namespace_that_is_no_text(shelf: Shelf) -> None:
    """Bytes of the command line that are not UTF-8 are a usage error."""
    assert Terminal(shelf.url, "--namespace", "\udcff").error("list", code=2) == "--namespace is not text in UTF-8"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["show", "nothing"], 1, "there is no live session with this handle"),
        (["show"], 2, r".*HANDLE.* \(see python -m holdfast show --help\)"),
        (["list", "--limit", "0"], 2, r".*--limit.*10000.* \(see python -m holdfast list --help\)"),
        (["list", "--user", "ada", "--after", "x"], 2, "--after does not go with --user, which lists all "),
        (["lust"], 2, ".*lust"),
    ],
)
def test_an_error_is_one_line(shelf: Shelf, arguments: list[str], code: int, message: str) -> None:
    """An error is one line, with the exit code 1, or 2 for a usage error."""
    assert re.match(message, shelf.store.error(*arguments, code=code))


@pytest.mark.parametrize("shelf", [pytest.param("redis", marks=pytest.mark.redis)], indirect=True)
def test_a_place_that_no_list_ended_at_is_an_error(shelf: Shelf) -> None:
    """Redis' places are not keys; any other text is refused."""
    assert shelf.store.error("list", "--after", "here", code=2) == "--after is not the position of a list of this store"


def test_a_store_is_needed() -> None:
    """Without a URL it is asked for; `env:` takes it from a variable, which must be set."""
    nowhere = Terminal(None)
    assert nowhere.error("list", code=2) == "no store: give --store URL before the command, or set HOLDFAST_STORE"
    assert nowhere.read("list", HOLDFAST_STORE="memory://") == "No live sessions.\n"
    named = Terminal("env:PLACE")
    assert named.read("list", PLACE="memory://") == "No live sessions.\n"
    assert named.error("list", PLACE=None, code=2) == "the environment variable PLACE is not set"


@pytest.mark.memcached
def test_what_cannot_be_listed_says_so(memcached_server: Server) -> None:
    """Memcached cannot list what it holds, and neither can the commands."""
    terminal = Terminal(memcached_server.url)
    assert "MemcachedStore cannot list what it holds" in terminal.error("list")
    assert "MemcachedStore cannot list what it holds" in terminal.error("stats")
    assert "MemcachedStore keeps no index by owner" in terminal.error("list", "--user", "ada")


def test_a_server_that_is_not_there_is_one_line() -> None:
    """An outage is reported in one line, without a password."""
    terminal = Terminal("redis://:hunter2@127.0.0.1:1?connect_timeout=0.2")
    for command in ("list", "stats", "purge"):
        assert "hunter2" not in terminal.run(command).output
    assert terminal.error("list").startswith("Redis did not execute a command: ")

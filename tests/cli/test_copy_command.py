"""The command that copies a store while the application runs."""

from __future__ import annotations

import json
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from support.copying import HOUR, Writer, as_copied, command, content, fill, key, kill_midway, opened, state
from support.everywhere import url_of_kind
from support.terminal import Shelf, Terminal
from support.web import Web, end

from holdfast.cli.copy_state import Journal
from holdfast.errors import ConfigurationError
from holdfast.flask import session

#: The targets that tests are repeated on.
TARGETS = [
    "sqlite",
    pytest.param("redis", marks=pytest.mark.redis),
    pytest.param("postgresql", marks=pytest.mark.postgresql),
    pytest.param("mariadb", marks=pytest.mark.mariadb),
    pytest.param("mongodb", marks=pytest.mark.mongodb),
    pytest.param("memcached", marks=pytest.mark.memcached),
    "files",
]


@pytest.mark.parametrize("kind", TARGETS)
def test_every_store_can_be_copied_to(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Records of every shape arrive as they are: data, expiry and owner under the same key."""
    source_url, target_url = f"sqlite:///{tmp_path}/from.db", url_of_kind(kind, request, tmp_path)
    until = int(time.time() * 1000) + HOUR
    shapes = [(b"", None), (bytes(range(256)), "ada"), (b"\x02tombstone", None), (b"x" * 100_000, "o" * 64)]
    with ExitStack() as stack:
        source, target = opened(stack, source_url), opened(stack, target_url)
        for number, (data, owner) in enumerate(shapes):
            source.create(key(number), data, expires_at=until + number, owner=owner)
        done = Terminal(source_url).run("copy", target_url, "--json", "--pause", "0", *state(tmp_path))
        assert (done.exit_code, done.stderr) == (0, "")
        assert json.loads(done.stdout)["records"] == len(shapes)
        for number, (data, owner) in enumerate(shapes):
            record = target.load(key(number))
            assert record is not None
            assert as_copied(record) == (data, until + number, owner)


@pytest.mark.parametrize(
    "kind",
    [
        "files",
        "json",
        pytest.param("redis", marks=pytest.mark.redis),
        pytest.param("mongodb", marks=pytest.mark.mongodb),
        pytest.param("mariadb", marks=pytest.mark.mariadb),
    ],
)
def test_every_store_that_can_be_listed_can_be_copied_from(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """A copy from the store is equal to it, and a second run finds that out without writing."""
    source_url, target_url = url_of_kind(kind, request, tmp_path), f"sqlite:///{tmp_path}/to.db"
    with ExitStack() as stack:
        source, target = opened(stack, source_url), opened(stack, target_url)
        for number in range(50):
            source.create(key(number), b"%d" % number, expires_at=int(time.time() * 1000) + HOUR)
        first, second = (copied(source_url, target_url, tmp_path) for _ in range(2))
        assert [step["copied"] for step in first["passes"]] == [50, 0]
        assert [step["copied"] for step in second["passes"]] == [0]
        assert content(source) == content(target)


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("redis", marks=pytest.mark.redis),
        pytest.param("postgresql", marks=pytest.mark.postgresql),
    ],
)
def test_a_copy_under_writes_survives_a_kill(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Of 2,000 sessions none is lost or revived, though they change meanwhile and the copy is killed halfway."""
    source_url, target_url = f"sqlite:///{tmp_path}/from.db", url_of_kind(kind, request, tmp_path)
    with ExitStack() as stack:
        source, target = opened(stack, source_url), opened(stack, target_url)
        ended = fill(source, 2000)
        writer = Writer(source, 2000)
        writer.start()
        line = command(source_url, target_url, tmp_path, "--json", "--pause", "0")
        kill_midway(subprocess.Popen(line, stdout=subprocess.DEVNULL), target, 300)
        process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
        time.sleep(0.5)
        writer.stop()
        answer, _ = process.communicate(timeout=25)
        assert process.returncode == 0
        copy = content(target)
        assert json.loads(answer)["records"] == len(copy)
        assert copy == content(source)
        assert not (ended | writer.ended) & copy.keys()
        assert writer.ended
        assert writer.changed


@pytest.mark.parametrize("kind", [pytest.param("redis", marks=pytest.mark.redis)])
def test_the_browsers_stay_signed_in(kind: str, shelf: Shelf, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """An application on the target knows the cookies of before, and not those of users who logged out meanwhile."""
    target_url = url_of_kind(kind, request, tmp_path)
    stays, leaves = (shelf.web.app.test_client() for _ in range(2))
    for browser in (stays, leaves):
        shelf.web.do(lambda: session.bind("ada"), browser)
    options = ("copy", target_url, "--json", "--pause", "0", *state(tmp_path))
    assert shelf.app.run(*options).exit_code == 0
    shelf.web.do(end, leaves)
    assert json.loads(shelf.app.run(*options).stdout)["passes"][0]["deleted"] == 1
    with ExitStack() as stack:
        store = opened(stack, target_url)
        moved = Web(lambda _: store)
        moved.clock.advance_ms(shelf.web.clock() - moved.clock())
        owners = [
            moved.see(lambda: session.owner, moved.with_token(shelf.web.token(browser))) for browser in (stays, leaves)
        ]
        assert owners == [shelf.web.sessions.of("ada")[0].owner, None]
        assert len(moved.sessions.of("ada")) == 1


def test_a_source_that_goes_on_changing_is_told(tmp_path: Path) -> None:
    """With `--passes`, a copy that cannot become equal says so in one line, and exits with 1."""
    source_url, target_url = f"sqlite:///{tmp_path}/from.db", f"sqlite:///{tmp_path}/to.db"
    with ExitStack() as stack:
        source = opened(stack, source_url)
        fill(source, 10)
        done = Terminal(source_url).run("copy", target_url, "--json", "--passes", "1", *state(tmp_path))
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == ("Error: the source still changes after pass 1: stop the application and run this again\n")


def test_a_target_with_records_is_refused_unless_they_may_be_there(tmp_path: Path) -> None:
    """Without a state file, a target that holds records is refused; with --merge they stay, and ours are added."""
    source_url, target_url = f"sqlite:///{tmp_path}/from.db", f"sqlite:///{tmp_path}/to.db"
    until = int(time.time() * 1000) + HOUR
    with ExitStack() as stack:
        source, target = opened(stack, source_url), opened(stack, target_url)
        source.create(key(1), b"new", expires_at=until)
        target.create(key(1), b"old", expires_at=until)
        target.create(key(2), b"other", expires_at=until)
        error = Terminal(source_url).error("copy", target_url, *state(tmp_path))
        assert error.startswith("the target holds records, and ")
        assert not (tmp_path / "copy.state").exists()
        assert copied(source_url, target_url, tmp_path, "--merge")["records"] == 1
        assert {data for data, _, _ in content(target).values()} == {b"new", b"other"}


def test_the_state_file_is_of_one_copy(tmp_path: Path) -> None:
    """Another copy cannot use the file, nor can a second process at the same time; only its owner can read it."""
    Journal(tmp_path / "copy.state", source="a", target="b").close()
    with pytest.raises(ConfigurationError, match="belongs to a copy between other stores"):
        Journal(tmp_path / "copy.state", source="a", target="c")
    first = Journal(tmp_path / "copy.state", source="a", target="b")
    with pytest.raises(ConfigurationError, match="Does another copy use it"):
        Journal(tmp_path / "copy.state", source="a", target="b")
    first.close()
    assert (tmp_path / "copy.state").stat().st_mode & 0o777 == 0o600


def test_a_new_password_does_not_make_it_another_copy(tmp_path: Path) -> None:
    """What tells a store from others is its place, and the file holds neither place nor password."""
    for password in ("old", "new"):
        Journal(tmp_path / "copy.state", source=f"redis://:{password}@host/0", target="b").close()
    raw = (tmp_path / "copy.state").read_bytes()
    assert b"host" not in raw


@pytest.mark.parametrize(
    ("urls", "code", "message"),
    [
        (["memory://", "memory://"], 2, "FROM and TO are the same store"),
        (["a://", "b://", "c://"], 2, "give one URL, or two: [FROM] TO"),
        ([], 2, "Missing argument '[FROM] TO'"),
        (["memory://", "nowhere://"], 1, "the store URL's scheme 'nowhere' is not known"),
        (["env:NO_SUCH_PLACE", "memory://"], 2, "the environment variable NO_SUCH_PLACE is not set"),
        (["memcached://127.0.0.1:1", "memory://"], 1, "a MemcachedStore cannot list what it holds"),
        (["memory://", "redis://:hunter2@127.0.0.1:1"], 1, "Redis did not do what it was asked"),
    ],
)
def test_what_cannot_be_copied_is_one_line(urls: list[str], code: int, message: str, tmp_path: Path) -> None:
    """Every mistake is told in one line, without a password."""
    error = Terminal(None).error("copy", *urls, *state(tmp_path), code=code)
    assert error.startswith(message)
    assert "hunter2" not in error


def copied(source_url: str, target_url: str, folder: Path, *options: str) -> dict[str, Any]:
    """Run the command to its end, and return what it says."""
    done = Terminal(source_url).run("copy", target_url, "--json", "--pause", "0", *state(folder), *options)
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found

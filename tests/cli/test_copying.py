"""The command that copies all records to another store."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from support.copying import HOUR, as_copied, content, fill, key, opened
from support.everywhere import url_of_kind
from support.terminal import Shelf, Terminal
from support.web import Web, end

from holdfast.flask import session
from holdfast.stores.pair import PairStore

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

FAST = ["files", pytest.param("redis", marks=pytest.mark.redis)]


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
        assert Terminal(source_url).data("copy", target_url)["copied"] == len(shapes)
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
    """A copy from the store is equal to it, and a second run finds every record there."""
    source_url, target_url = url_of_kind(kind, request, tmp_path), f"sqlite:///{tmp_path}/to.db"
    with ExitStack() as stack:
        source, target = opened(stack, source_url), opened(stack, target_url)
        fill(source, 50)
        assert Terminal(source_url).read("copy", target_url) == "Copied 50 records; 0 were there already.\n"
        assert Terminal(source_url).read("copy", target_url) == "Copied 0 records; 50 were there already.\n"
        assert content(source) == content(target)


@pytest.mark.parametrize("kind", FAST)
def test_a_copy_that_was_killed_is_run_again(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """After a kill halfway the same command copies the rest."""
    source_url, target_url = f"sqlite:///{tmp_path}/from.db", url_of_kind(kind, request, tmp_path)
    with ExitStack() as stack:
        source, target = opened(stack, source_url), opened(stack, target_url)
        fill(source, 3000)
        process = subprocess.Popen([sys.executable, "-m", "holdfast", "copy", source_url, target_url])
        while not content(target):
            assert process.poll() is None, "the copy ended before it could be killed"
        process.kill()
        process.wait()
        there = len(content(target))
        done = Terminal(source_url).data("copy", target_url)
        # The server may carry out what the killed command sent after the others were counted.
        assert there <= done["present"] < 3000
        assert done["copied"] == 3000 - done["present"]
        assert content(source) == content(target)


@pytest.mark.parametrize("kind", [pytest.param("redis", marks=pytest.mark.redis)])
def test_the_browsers_stay_signed_in(kind: str, shelf: Shelf, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """An application on the target knows the cookies of before, and not those of users who had logged out."""
    target_url = url_of_kind(kind, request, tmp_path)
    stays, leaves = (shelf.web.app.test_client() for _ in range(2))
    for browser in (stays, leaves):
        shelf.web.do(lambda: session.bind("ada"), browser)
    shelf.web.do(end, leaves)
    shelf.app.data("copy", target_url)
    with ExitStack() as stack:
        store = opened(stack, target_url)
        moved = Web(lambda _: store)
        moved.clock.advance_ms(shelf.web.clock() - moved.clock())
        owners = [
            moved.see(lambda: session.owner, moved.with_token(shelf.web.token(browser))) for browser in (stays, leaves)
        ]
        assert owners == [shelf.web.sessions.of("ada")[0].owner, None]
        assert len(moved.sessions.of("ada")) == 1


@pytest.fixture
def stores(tmp_path: Path) -> Any:
    """Return a source of three records and a target that is a copy of it, and the terminal at the source."""
    source_url, target_url = f"sqlite:///{tmp_path}/from.db", f"sqlite:///{tmp_path}/to.db"
    with ExitStack() as stack:
        source, target = opened(stack, source_url), opened(stack, target_url)
        fill(source, 3)
        Terminal(source_url).data("copy", target_url)
        yield source, target, (lambda: Terminal(source_url).error("copy", target_url))


def test_a_record_of_the_target_is_never_written_over(stores: Any) -> None:
    """Where the target has another record under the key, it stays, the others are copied, and the exit code is 1."""
    source, target, error = stores
    record = target.load(key(1))
    target.replace(key(1), b"newer", expect=record.version, expires_at=record.expires_at)
    source.create(key(3), b"3", expires_at=record.expires_at)
    assert error().startswith("1 record at the target differs from the source, and 0 are not at the source:")
    assert target.load(key(1)).data == b"newer"
    assert target.load(key(3)).data == b"3"


def test_a_session_that_ended_after_it_was_copied_is_reported(stores: Any) -> None:
    """A source that was in use between two runs is detected, so that no user who logged out stays signed in."""
    source, _, error = stores
    source.delete(key(2))
    assert error().startswith("0 records at the target differ from the source, and 1 is not at the source:")


def test_a_record_that_lives_longer_by_now_does_so_at_the_target(tmp_path: Path) -> None:
    """A second run prolongs what was used at the source since the first."""
    source_url, target_url = f"sqlite:///{tmp_path}/from.db", f"sqlite:///{tmp_path}/to.db"
    with ExitStack() as stack:
        source, target = opened(stack, source_url), opened(stack, target_url)
        fill(source, 2)
        Terminal(source_url).data("copy", target_url)
        source.touch(key(0), expires_at=int(time.time() * 1000) + 2 * HOUR)
        assert Terminal(source_url).data("copy", target_url)["present"] == 2
        assert content(source) == content(target)


@pytest.mark.parametrize("kind", FAST)
def test_records_move_while_an_application_uses_both_stores(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """With `--move` the old store ends up empty, no session is lost, and none that ended meanwhile comes back."""
    old_url, new_url = f"sqlite:///{tmp_path}/from.db", url_of_kind(kind, request, tmp_path)
    with ExitStack() as stack:
        pair = PairStore(opened(stack, new_url), opened(stack, old_url))
        fill(opened(stack, old_url), 600)
        ended: list[str] = []
        begun = [key(number) for number in range(1000, 1050)]
        over = threading.Event()

        def work() -> None:
            for number, name in enumerate(begun):
                pair.create(name, b"new", expires_at=int(time.time() * 1000) + HOUR)
                ended.append(key(number * 12))
                assert pair.delete(ended[-1])
            over.set()

        application = threading.Thread(target=work)
        application.start()
        moved = Terminal(None).data("copy", "--move", old_url, new_url)["copied"]
        application.join()
        assert over.is_set()
        rest = Terminal(None).data("copy", "--move", old_url, new_url)
        assert rest["copied"] == 0
        assert moved <= 600
        assert content(opened(stack, old_url)) == {}
        assert set(content(opened(stack, new_url))) == {key(number) for number in range(600)} - {*ended} | {*begun}


@pytest.mark.parametrize("call", range(4))
def test_a_session_that_ends_while_it_moves_stays_ended(call: int) -> None:
    """If the end of the session comes before any call of a move, the session is in neither store afterwards."""
    from holdfast.stores.memory import MemoryStore

    class Interrupted(MemoryStore):
        def load(self, *arguments: Any) -> Any:
            interrupt()
            return super().load(*arguments)

        def create(self, *arguments: Any, **options: Any) -> Any:
            interrupt()
            return super().create(*arguments, **options)

        def delete(self, *arguments: Any) -> Any:
            interrupt()
            return super().delete(*arguments)

    new, old = Interrupted(), Interrupted()
    calls = itertools.count()
    ending = False

    def interrupt() -> None:
        nonlocal ending
        if not ending and next(calls) == call:
            ending = True
            PairStore(new, old).delete(key(1))

    MemoryStore.create(old, key(1), b"1", expires_at=int(time.time() * 1000) + HOUR)
    PairStore(new, old).migrate(key(1))
    assert ending
    assert (content(new), content(old)) == ({}, {})


@pytest.mark.parametrize(
    ("urls", "code", "message"),
    [
        (["memory://", "memory://"], 2, "FROM and TO are the same store"),
        (["a://", "b://", "c://"], 2, "give one URL, or two: [FROM] TO"),
        (["--move", "memory://"], 2, "give FROM and TO"),
        ([], 2, "Missing argument '[FROM] TO'"),
        (["memory://", "nowhere://"], 1, "the store URL's scheme 'nowhere' is not known"),
        (["env:NO_SUCH_PLACE", "memory://"], 2, "the environment variable NO_SUCH_PLACE is not set"),
        (["memcached://127.0.0.1:1", "memory://"], 1, "MemcachedStore cannot list what it holds"),
    ],
)
def test_what_cannot_be_copied_is_one_line(urls: list[str], code: int, message: str) -> None:
    """Every mistake is reported in one line."""
    assert Terminal(None).error("copy", *urls, code=code).startswith(message)

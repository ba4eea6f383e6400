"""The store of one JSON file: the contract, and what it alone promises."""

from __future__ import annotations

import errno
import functools
import json
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import disk, seams

from holdfast.clock import Clock
from holdfast.errors import StoreUnavailable
from holdfast.stores.contract import Store
from holdfast.stores.jsonfile import JSONFileStore, _data_of, _form_of
from holdfast.stores.shared.locks import locked
from holdfast.testing import FakeClock, Fault, StoreContract

KEY, OTHER = "ab" * 32, "cd" * 32
FOREVER = 2**50
FILES = ["sessions.json", "sessions.json.lock", "sessions.json.lock.queue"]


class TestJSONFileStore(StoreContract):
    """The contract, on one JSON file."""

    shared_between_processes = True

    def open_store(self, place: Path, clock: Clock) -> JSONFileStore:
        """Return a store on the file of the test."""
        return JSONFileStore(place / "kept" / "sessions.json", clock=clock)

    def disturb(self, fault: Fault, store: Store, place: Path) -> AbstractContextManager[object] | None:
        """Take the folder away."""
        return disk.taken_away(place / "kept") if fault is Fault.DOWN else None


@pytest.fixture
def clock() -> FakeClock:
    """The clock of the test."""
    return FakeClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file of the store."""
    return tmp_path / "kept" / "sessions.json"


@pytest.fixture
def store(path: Path, clock: FakeClock) -> JSONFileStore:
    """A store on its own file."""
    return JSONFileStore(path, clock=clock)


def entry_at(path: Path, key: str = KEY) -> Any:
    """Return what the file says under *key*."""
    return json.loads(path.read_bytes())[key]


def data_at(store: JSONFileStore, key: str) -> bytes | None:
    """Return the data of the live record under *key*."""
    record = store.load(key)
    return record.data if record else None


def test_nothing_is_made_before_the_first_use(store: JSONFileStore, tmp_path: Path) -> None:
    """Making a store touches no file."""
    assert list(tmp_path.iterdir()) == []


def test_files_are_private_whatever_the_umask(path: Path, store: JSONFileStore, tmp_path: Path) -> None:
    """With umask 000 the folder has mode 0700, the file and its locks 0600, and no other file is left there."""
    with disk.umask(0):
        store.create(KEY, b"data", expires_at=FOREVER)
    assert disk.modes(tmp_path) == {
        "kept": 0o700,
        "kept/sessions.json": 0o600,
        "kept/sessions.json.lock": 0o600,
        "kept/sessions.json.lock.queue": 0o600,
    }


def test_a_person_can_read_it(path: Path, store: JSONFileStore, clock: FakeClock) -> None:
    """The file has one line for each record, JSON data is nested in it, and letters stand for themselves."""
    data = '{"name":"Ærø","cart":[{"id":1,"price":9.5}]}'.encode()
    first = store.create(KEY, data, expires_at=clock() + 1, owner="42")
    second = store.create(OTHER, "grün".encode(), expires_at=FOREVER)
    assert path.read_text("utf-8") == (
        "{\n"
        f'"{KEY}": {{"version": {first!r}, "expires_at": 1800000000001, "owner": "42", '
        '"data": {"name": "Ærø", "cart": [{"id": 1, "price": 9.5}]}},\n'
        f'"{OTHER}": {{"version": {second!r}, "expires_at": {FOREVER}, "owner": null, "data": "grün"}}\n'
        "}\n"
    )
    assert data_at(store, KEY) == data


DEEP = b'{"a":' * 2_000 + b"1" + b"}" * 2_000


@pytest.mark.parametrize(
    ("data", "form"),
    [
        (b"{}", "object"),
        (b'{"b":1,"a":[true,null,-0.5,"\xc3\xa9"]}', "object"),
        (b'{"a":' * 32 + b"1" + b"}" * 32, "object"),
        (b'{"a":' * 33 + b"1" + b"}" * 33, "text"),
        (DEEP, "text"),
        (b"", "text"),
        (b"[1]", "text"),
        (b'"{}"', "text"),
        (b'{"a": 1}', "text"),
        (b'{"a":1}\n', "text"),
        (b'{"a":1,"a":1}', "text"),
        (b'{"a":1e400}', "text"),
        (b'{"a":1e5}', "text"),
        (b'{"a":-0}', "text"),
        (b'{"a":NaN}', "text"),
        (b'{"a":"\\u00e9"}', "text"),
        (b'{"a":"\\ud800"}', "text"),
        (b'{"a":' + b"9" * 5_000 + b"}", "text"),
        (b"\0\x01\x7f\n", "text"),
        (b"\xff{}", "base64"),
        (b"\xed\xa0\x80", "base64"),
    ],
)
def test_data_has_the_most_readable_form_that_is_exact(
    data: bytes, form: str, path: Path, store: JSONFileStore
) -> None:
    """Compact JSON objects are nested, other text is text, other bytes are base64, and all come back byte for byte."""
    store.create(KEY, data, expires_at=FOREVER)
    store.create(OTHER, b"rewrites the file", expires_at=FOREVER)
    assert data_at(store, KEY) == data
    entry = entry_at(path)
    if form == "base64":
        assert isinstance(entry["base64"], str)
        assert "data" not in entry
    else:
        assert isinstance(entry["data"], dict if form == "object" else str)


@given(st.binary())
def test_any_bytes_come_back(data: bytes) -> None:
    """Any bytes are unchanged after encoding in the file's JSON."""
    assert _data_of(json.loads(json.dumps(_form_of(data)))) == data


@given(
    st.dictionaries(
        st.text(),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
            lambda children: st.lists(children) | st.dictionaries(st.text(), children),
            max_leaves=12,
        ),
    )
)
def test_any_compact_object_is_nested_and_comes_back(value: dict[str, Any]) -> None:
    """A JSON object in compact form stands in the file as itself, and its bytes are the same afterwards."""
    data = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    form = _form_of(data)
    assert form == {"data": value}
    assert _data_of(json.loads(json.dumps(form))) == data


def test_expired_records_go_when_the_file_is_written(path: Path, store: JSONFileStore, clock: FakeClock) -> None:
    """A save drops what has expired; a refused one leaves the file as it is."""
    store.create(KEY, b"data", expires_at=clock() + 1_000)
    clock.advance(2)
    before = path.read_bytes()
    store.delete(OTHER)
    store.touch(KEY, expires_at=FOREVER)
    store.replace(KEY, b"data", expect=1, expires_at=FOREVER)
    assert path.read_bytes() == before
    store.create(OTHER, b"data", expires_at=FOREVER)
    assert list(json.loads(path.read_bytes())) == [OTHER]


@pytest.mark.parametrize("nothing", [b"", b" \n"])
def test_an_empty_file_is_an_empty_store(nothing: bytes, path: Path, store: JSONFileStore) -> None:
    """A file that somebody touched, or emptied, has no records and can be written."""
    path.parent.mkdir()
    path.write_bytes(nothing)
    assert store.load(KEY) is None
    store.create(KEY, b"data", expires_at=FOREVER)
    assert data_at(store, KEY) == b"data"


GOOD = f'"{OTHER}": {{"version": 1, "expires_at": 1, "owner": null, "data": ""}}'


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b'{"a": 1}',
        b"[]",
        b"null",
        b"\xff",
        b"[" * 100_000,
        b'{"sid": {"permanent": 1}}',
        b'{"a": {"version": 1, "expires_at": "soon", "owner": null, "data": ""}}',
        b'{"a": {"version": 1, "expires_at": NaN, "owner": null, "data": ""}}',
        b'{"a": {"version": 1, "expires_at": 1, "owner": 42, "data": ""}}',
        b'{"a": {"version": 1, "expires_at": 1, "owner": null, "data": []}}',
        b'{"a": {"version": 1, "expires_at": 1, "owner": null}}',
        b'{"a": {"version": 1, "expires_at": 1, "owner": null, "data": "", "base64": ""}}',
    ],
)
def test_a_foreign_file_is_never_written_over(content: bytes, path: Path, store: JSONFileStore) -> None:
    """A file that is not of our layout raises on every operation, with its path, and stays as it is."""
    path.parent.mkdir()
    path.write_bytes(content)
    for call in (
        lambda: store.load(KEY),
        lambda: store.create(KEY, b"data", expires_at=FOREVER),
        lambda: store.touch(KEY, expires_at=FOREVER),
        lambda: store.delete(KEY),
        lambda: store.purge(FOREVER),
        store.ping,
    ):
        with pytest.raises(StoreUnavailable, match=r"sessions\.json is not a session file"):
            call()
    assert path.read_bytes() == content


@pytest.mark.parametrize("member", ['"base64": "%%"', '"data": "\\ud800"', '"data": {"a": "\\ud800"}'])
def test_data_that_stands_for_no_bytes_is_an_outage(member: str, path: Path, store: JSONFileStore) -> None:
    """A record whose data was spoilt by hand raises; the others can be loaded."""
    path.parent.mkdir()
    spoilt = f'"{KEY}": {{"version": 1, "expires_at": {FOREVER}, "owner": null, {member}}}'
    whole = f'"{OTHER}": {{"version": 1, "expires_at": {FOREVER}, "owner": null, "data": "whole"}}'
    path.write_text(f"{{{spoilt}, {whole}}}")
    with pytest.raises(StoreUnavailable, match="not a session file"):
        store.load(KEY)
    assert data_at(store, OTHER) == b"whole"
    assert store.touch(OTHER, expires_at=FOREVER + 1)
    assert data_at(store, OTHER) == b"whole"


def test_an_edit_by_hand_counts(path: Path, store: JSONFileStore) -> None:
    """A manual change of the file is returned by the next load."""
    store.create(KEY, b'{"hits":1}', expires_at=FOREVER)
    path.write_text(path.read_text().replace('"hits": 1', '"hits":   41'))
    assert data_at(store, KEY) == b'{"hits":41}'


def test_a_link_stays_a_link(path: Path, store: JSONFileStore, tmp_path: Path) -> None:
    """Where the path is a symbolic link, the file it points to is written, and both names share one lock."""
    path.parent.mkdir()
    (tmp_path / "real.json").touch()
    path.symlink_to(tmp_path / "real.json")
    store.create(KEY, b"data", expires_at=FOREVER)
    assert path.is_symlink()
    assert data_at(JSONFileStore(tmp_path / "real.json"), KEY) == b"data"
    assert (tmp_path / "real.json.lock").exists()


def test_a_full_disk_is_an_outage_that_changes_nothing(path: Path, store: JSONFileStore) -> None:
    """Without space for the file, saves raise, and the old file stays intact, without a temporary one."""
    version = store.create(KEY, b"data", expires_at=FOREVER)
    assert version is not None
    before = path.read_bytes()
    with disk.no_room_for_files_over(1_000):
        with disk.refused(errno.EFBIG):
            store.replace(KEY, b"x" * 5_000, expect=version, expires_at=FOREVER)
        with disk.refused(errno.EFBIG):
            store.create(OTHER, b"x" * 5_000, expires_at=FOREVER)
    assert path.read_bytes() == before
    assert sorted(file.name for file in path.parent.iterdir()) == FILES
    assert isinstance(store.replace(KEY, b"x" * 5_000, expect=version, expires_at=FOREVER), int)


def test_a_deleted_file_is_an_empty_store(path: Path, store: JSONFileStore) -> None:
    """When the file is deleted, or its folder too, the store is empty and works."""
    store.create(KEY, b"data", expires_at=FOREVER)
    path.unlink()
    assert store.load(KEY) is None
    store.create(KEY, b"new", expires_at=FOREVER)
    for file in path.parent.iterdir():
        file.unlink()
    path.parent.rmdir()
    assert store.load(KEY) is None
    store.create(KEY, b"newer", expires_at=FOREVER)
    assert data_at(store, KEY) == b"newer"


def test_an_unmounted_disk_is_no_empty_store(tmp_path: Path) -> None:
    """When the path leads to another device on which the file is missing, that is an outage until it is back."""
    (tmp_path / "disk").mkdir()
    mount = tmp_path / "mount"
    mount.symlink_to(tmp_path / "disk")
    store = JSONFileStore(mount / "sessions.json")
    store.create(KEY, b"data", expires_at=FOREVER)
    with disk.folder_on_another_device(tmp_path) as other_device:
        mount.unlink()
        mount.symlink_to(other_device)
        with pytest.raises(StoreUnavailable, match="another device"):
            store.load(KEY)
        with pytest.raises(StoreUnavailable, match="another device"):
            store.create(KEY, b"data", expires_at=FOREVER)
        assert not (other_device / "sessions.json").exists()
        mount.unlink()
        mount.symlink_to(tmp_path / "disk")
    assert data_at(store, KEY) == b"data"


def test_killed_writers_tear_and_lose_nothing(path: Path, store: JSONFileStore) -> None:
    """Thirty writers killed while they save leave an intact file with every confirmed step, and soon no other file."""
    found = disk.kill_writers(f"json:///{path}", kills=30, seed=3)
    assert found.pop("confirmed") > 30
    assert found == {"kills": 30, "torn": 0, "lost": 0}
    store.create(KEY, b"data", expires_at=FOREVER)
    assert sorted(file.name for file in path.parent.iterdir()) == FILES


def test_a_store_that_another_program_keeps_for_itself_is_not_ready(
    store: JSONFileStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another program holds the lock, a ping is an outage, as every write is."""
    seams.JSON_FILE_LOCKED.plant(monkeypatch, functools.partial(locked, timeout=0))
    store.ping()
    with locked(path.with_name("sessions.json.lock")), pytest.raises(StoreUnavailable, match="others hold the lock"):
        store.ping()
    store.ping()

"""Folders and files that another user of the machine made or can write to: no store trusts what is there."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from support import disk

from holdfast.errors import ConfigurationError, StoreUnavailable
from holdfast.stores.contract import Closes
from holdfast.stores.files import FileStore
from holdfast.stores.registry import open_store
from holdfast.stores.sql import SQLStore

KEY, FOREVER = "ab" * 32, 2**50
#: Not the user of the tests, and not root.
STRANGER = 54321

#: Each store on disk: its URL below a folder, its folder, and its file, if it has one.
PLACES = {
    "files": ("file:///{}/kept", "kept", None),
    "json": ("json:///{}/kept/sessions.json", "kept", "kept/sessions.json"),
    "sqlite": ("sqlite:///{}/kept/sessions.db", "kept", "kept/sessions.db"),
    "sql": ("sqlite+pysqlite:///{}/kept/sessions.db", "kept", "kept/sessions.db"),
}
WITH_FILE = [kind for kind, place in PLACES.items() if place[2]]


@contextlib.contextmanager
def opened(kind: str, place: Path) -> Iterator[Any]:
    """Yield the store of *kind* below *place*, which is closed at the end."""
    store = open_store(PLACES[kind][0].format(place))
    try:
        yield store
    finally:
        if isinstance(store, Closes):
            store.close()


def use(kind: str, place: Path) -> None:
    """Keep a record in the store of *kind* below *place*."""
    with opened(kind, place) as store:
        assert store.create(KEY, b"data", expires_at=FOREVER) is not None


@pytest.fixture
def give() -> Callable[[Path], None]:
    """Return a function that gives a file or a folder to another user of the machine."""
    if os.geteuid() != 0:
        pytest.skip("only root can give files to others")
    return lambda path: os.chown(path, STRANGER, -1)


@pytest.mark.parametrize("kind", PLACES)
@pytest.mark.parametrize("mode", [0o777, 0o707, 0o702])
def test_a_folder_that_others_can_write_to_is_refused(kind: str, mode: int, tmp_path: Path) -> None:
    """At once, with its path and the command that corrects it; with that command the store works."""
    folder = tmp_path / PLACES[kind][1]
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(ConfigurationError) as caught, opened(kind, tmp_path):
        pass
    assert str(caught.value).endswith(
        f"every user of the machine can write to {folder}, and plant sessions: chmod o-w {folder}"
    )
    folder.chmod(mode & ~0o002)
    use(kind, tmp_path)


@pytest.mark.parametrize("kind", PLACES)
def test_a_folder_that_becomes_writable_by_others_before_its_first_use_is_refused(kind: str, tmp_path: Path) -> None:
    """It is looked at again when it is first used."""
    folder = tmp_path / PLACES[kind][1]
    with opened(kind, tmp_path) as store:
        folder.mkdir()
        folder.chmod(0o777)
        with pytest.raises(StoreUnavailable, match="chmod o-w"):
            store.create(KEY, b"data", expires_at=FOREVER)
        assert list(folder.iterdir()) == []


@pytest.mark.parametrize("kind", PLACES)
def test_a_folder_of_another_user_is_refused(kind: str, tmp_path: Path, give: Callable[[Path], None]) -> None:
    """Its owner could put records there at any time."""
    folder = tmp_path / PLACES[kind][1]
    folder.mkdir(0o755)
    give(folder)
    with pytest.raises(ConfigurationError, match=f"{folder} belongs to another user"), opened(kind, tmp_path):
        pass


@pytest.mark.parametrize("kind", PLACES)
def test_a_group_may_share_a_folder(kind: str, tmp_path: Path) -> None:
    """The members of the folder's group are trusted, as the owner that gave it this mode does."""
    folder = tmp_path / PLACES[kind][1]
    folder.mkdir()
    folder.chmod(0o2770)
    use(kind, tmp_path)


@pytest.mark.parametrize("kind", WITH_FILE)
def test_a_file_in_a_folder_like_tmp_is_private(kind: str, tmp_path: Path) -> None:
    """In a folder where all can write but remove only what is theirs, the file has mode 0600, and works."""
    folder, file = tmp_path / PLACES[kind][1], tmp_path / str(PLACES[kind][2])
    folder.mkdir()
    folder.chmod(0o1777)
    with disk.umask(0):
        use(kind, tmp_path)
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_folder_like_tmp_is_none_for_a_store_of_files(tmp_path: Path) -> None:
    """Another user could make the folders of records there."""
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept").chmod(0o1777)
    with pytest.raises(ConfigurationError, match="chmod o-w"), opened("files", tmp_path):
        pass


@pytest.mark.parametrize("kind", WITH_FILE)
@pytest.mark.parametrize("fault", ["owner", "mode"])
def test_a_file_that_another_user_made_or_can_change_is_refused(
    kind: str, fault: str, tmp_path: Path, give: Callable[[Path], None]
) -> None:
    """In a folder like ``/tmp`` anybody may have made it first."""
    folder, file = tmp_path / PLACES[kind][1], tmp_path / str(PLACES[kind][2])
    folder.mkdir()
    folder.chmod(0o1777)
    with opened(kind, tmp_path) as store:
        file.touch()
        give(file) if fault == "owner" else file.chmod(0o666)
        with pytest.raises(StoreUnavailable, match=str(file)):
            store.create(KEY, b"data", expires_at=FOREVER)
        with pytest.raises(StoreUnavailable, match=str(file)):
            store.load(KEY)
    with pytest.raises(ConfigurationError, match=str(file)), opened(kind, tmp_path):
        pass


@pytest.mark.parametrize("kind", ["sqlite", "sql"])
@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal"])
def test_a_companion_that_another_user_made_is_refused(
    kind: str, suffix: str, tmp_path: Path, give: Callable[[Path], None]
) -> None:
    """SQLite would believe a journal that was planted next to its file."""
    file = tmp_path / str(PLACES[kind][2])
    use(kind, tmp_path)
    companion = file.with_name(file.name + suffix)
    companion.touch()
    give(companion)
    with pytest.raises(ConfigurationError, match=companion.name), opened(kind, tmp_path):
        pass


def test_a_record_of_another_user_is_none(tmp_path: Path, give: Callable[[Path], None]) -> None:
    """What was planted while others could write to the folder is no record, also after its mode was corrected."""
    use("files", tmp_path)
    record = tmp_path / "kept" / KEY[:2] / KEY
    give(record)
    assert FileStore(tmp_path / "kept").load(KEY) is None


def test_a_link_of_another_user_is_refused(tmp_path: Path, give: Callable[[Path], None]) -> None:
    """It is not followed to a folder of ours."""
    (tmp_path / "ours").mkdir()
    link = tmp_path / "kept"
    link.symlink_to(tmp_path / "ours")
    os.chown(link, STRANGER, -1, follow_symlinks=False)
    with pytest.raises(ConfigurationError, match="belongs to another user"), opened("files", tmp_path):
        pass


def test_the_file_of_an_applications_engine_is_private(tmp_path: Path) -> None:
    """An engine of the application's own on an SQLite file that is missing makes one with mode 0600."""
    engine = sa.create_engine(f"sqlite:///{tmp_path}/app.db")
    with disk.umask(0), contextlib.closing(SQLStore(engine)) as store:
        store.create(KEY, b"data", expires_at=FOREVER)
    engine.dispose()
    assert disk.modes(tmp_path)["app.db"] == 0o600


@pytest.mark.parametrize("kind", ["files", "json"])
def test_a_lock_is_not_taken_through_a_link(kind: str, tmp_path: Path) -> None:
    """A link in the place of a lock file makes no file elsewhere, and opens none."""
    use(kind, tmp_path)
    outside = tmp_path / "outside"
    for lock in [path for path in tmp_path.rglob("*") if "lock" in str(path.relative_to(tmp_path)) and path.is_file()]:
        lock.unlink()
        lock.symlink_to(outside)
    with opened(kind, tmp_path) as store, pytest.raises(StoreUnavailable):
        store.delete(KEY)
    assert not outside.exists()


@pytest.mark.parametrize("kind", ["files", "json"])
def test_a_planted_temporary_file_gets_no_data(kind: str, tmp_path: Path) -> None:
    """One that is there already, or a link to a file elsewhere, is replaced and not written to."""
    use(kind, tmp_path)
    temp = tmp_path / "kept" / ("sessions.json.temp" if kind == "json" else f"{KEY[:2]}/.temp")
    outside = tmp_path / "outside"
    for is_link in (False, True):
        outside.write_bytes(b"precious")
        temp.symlink_to(outside) if is_link else os.link(outside, temp)
        with opened(kind, tmp_path) as store:
            store.delete(KEY)
            assert store.create(KEY, b"secret", expires_at=FOREVER) is not None
        assert outside.read_bytes() == b"precious"
        temp.unlink(missing_ok=True)


@pytest.mark.parametrize("kind", ["json", "sqlite"])
def test_a_file_that_is_planted_later_is_refused(kind: str, tmp_path: Path, give: Callable[[Path], None]) -> None:
    """In a folder like ``/tmp`` the file may be another one at each use: what it is now counts."""
    folder, file = tmp_path / PLACES[kind][1], tmp_path / str(PLACES[kind][2])
    folder.mkdir()
    folder.chmod(0o1777)
    with opened(kind, tmp_path) as store:
        assert store.create(KEY, b"data", expires_at=FOREVER) is not None
        copy = file.read_bytes()
        file.unlink()
        file.write_bytes(copy)
        give(file)
        with pytest.raises(StoreUnavailable, match="belongs to another user"):
            store.load(KEY)


def test_a_link_to_a_record_is_none(tmp_path: Path) -> None:
    """A record elsewhere is not one of this store through a link under its key, whoever made both."""
    use("files", tmp_path / "elsewhere")
    use("files", tmp_path)
    file = tmp_path / "kept" / KEY[:2] / KEY
    file.unlink()
    file.symlink_to(tmp_path / "elsewhere" / "kept" / KEY[:2] / KEY)
    assert FileStore(tmp_path / "kept").load(KEY) is None

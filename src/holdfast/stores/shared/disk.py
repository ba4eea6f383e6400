"""The shared parts of the stores on disk: private folders and files, files written in one step, paths in URLs."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import unquote

from holdfast.errors import ConfigurationError, StoreUnavailable

#: How often a file that exists is opened again: on FUSE, as with bindfs, it seems missing while another replaces it.
TRIES = 20


class StoreDirectory:
    """The folder of a store. If it is missing, it is created with mode 0700 under any umask, and so are its parents.

    If an existing store disappears, its place must still be on the same device, through links too. Otherwise its disk
    was unmounted, and an empty store in its place would end every session.

    A folder in which others could plant sessions is a wrong setting: see `refuse_planted`. With *files* these are
    checked in its place where it is shared but sticky, as ``/tmp`` is.
    """

    def __init__(self, folder: Path, files: Sequence[Path] = ()) -> None:
        self._folder = folder
        self._files = files
        self._device: int | None = None
        check_folder(folder, files)

    def make(self, *, missing: bool) -> None:
        """Make the folder before the first use, and again when the store in it is *missing*.

        Raises:
            StoreUnavailable: It would be on another device than before, or others can write to it.
            OSError: It cannot be made.
        """
        if self._device is not None and not missing:
            return
        refuse_planted(self._folder, is_folder=True, may_be_sticky=bool(self._files))
        nearest = Path(os.path.realpath(self._files[0] if self._files else self._folder))
        while not nearest.is_dir() and nearest != nearest.parent:
            nearest = nearest.parent
        device = nearest.stat().st_dev
        if self._device not in {None, device}:
            raise StoreUnavailable(f"{self._folder} is on another device than before: mount its disk, or restart")
        make_folder(Path(os.path.realpath(self._folder)))
        _refuse_planted_in(self._folder, self._files)
        self._device = device


def check_folder(folder: Path, files: Sequence[Path] = ()) -> None:
    """Raise `ConfigurationError` if `refuse_planted` refuses *folder* or one of *files* in it: a wrong setting."""
    try:
        _refuse_planted_in(folder, files)
    except StoreUnavailable as error:
        raise ConfigurationError(str(error)) from None


def _refuse_planted_in(folder: Path, files: Sequence[Path]) -> None:
    refuse_planted(folder, is_folder=True, may_be_sticky=bool(files))
    for path in files:
        refuse_planted(path)


def refuse_planted(
    path: Path, *, descriptor: int | None = None, is_folder: bool = False, may_be_sticky: bool = False
) -> None:
    """Return if a file at *path*, or a folder if it *is_folder*, is safe or missing.

    It is safe if it belongs to this process's user or root, who alone can write. Members of its group may be able to:
    its owner gave it that mode. With *may_be_sticky* others may too, if they can remove only their own files from it.
    *descriptor* is that of the file, if it is open.

    Raises:
        StoreUnavailable: It is another user's, or others can write to it, or it is of another type.
    """
    try:
        found = path.stat() if descriptor is None else os.fstat(descriptor)
        owners = {found.st_uid, path.lstat().st_uid}
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        problem = f"{path} cannot be used: {error.strerror}: choose another place, or give this user the right to it"
    else:
        if not (stat.S_ISDIR if is_folder else stat.S_ISREG)(found.st_mode):
            found_is = "a folder: name a file in it" if stat.S_ISDIR(found.st_mode) else "no regular file: name another"
            problem = f"{path} is {'no folder: name another' if is_folder else found_is}, or move it away"
        elif not all(map(is_trusted_user, owners)):
            problem = f"{path} belongs to another user, who could plant sessions: run this as that user, or chown it"
        elif found.st_mode & stat.S_IWOTH and not (may_be_sticky and found.st_mode & stat.S_ISVTX):
            problem = f"every user of the machine can write to {path}, and plant sessions: chmod o-w {path}"
        else:
            return
    raise StoreUnavailable(problem, permanent=True)


def is_trusted_user(uid: int) -> bool:
    """Return whether *uid* is root or the user of this process. On a system without users: yes."""
    return uid in {0, os.geteuid()} if hasattr(os, "geteuid") else True


def make_private_file(path: Path) -> None:
    """Make the file *path* with mode 0600 under any umask, if it is missing. An existing one is not opened.

    Closing a file that SQLite has open would release its locks. Through a link its target is made, as by SQLite.
    """
    with suppress(FileExistsError):
        os.close(os.open(os.path.realpath(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def file_at(path: str) -> tuple[int, int] | None:
    """Return the device and the inode of the file at *path*, or None: it is missing."""
    try:
        status = os.stat(path)  # noqa: PTH116 (called for every operation; Path.stat takes twice as long)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def companions_of(path: Path) -> list[Path]:
    """Return *path*, a file of SQLite's, and those that it keeps next to it, each of which it would believe."""
    return [path, *(Path(f"{path}{suffix}") for suffix in ("-wal", "-shm", "-journal"))]


def make_folder(path: Path) -> None:
    """Make the folder *path* and its missing parents, each with mode 0700 under any umask."""
    if path.is_dir():
        return
    make_folder(path.parent)
    try:
        path.mkdir(0o700)
    except FileExistsError:
        if not path.is_dir():
            raise


def why_unusable(path: Path) -> str | None:
    """Return why the store at *path* could not write, as far as it shows without a write, or None. Makes nothing."""
    place = path
    try:
        while not place.exists() and place != place.parent:
            place = place.parent
        is_folder = place.is_dir()
    except PermissionError:
        return f"{place} cannot be reached: the permissions of a folder that leads to it forbid it"
    except OSError:  # it is not shown
        return None
    if not is_folder and place != path:
        return f"{place} is a file, and no folder"
    # SQLite and the JSON store make files beside theirs.
    written = [place] if is_folder else [place, place.parent]
    refused = next((each for each in written if not os.access(each, os.W_OK)), None)
    return None if refused is None else f"{refused} cannot be written to: its permissions or its disk forbid it"


def require_writable(path: Path) -> None:
    """Raise `StoreUnavailable` if the store at *path* could not write, as far as it shows without a write."""
    if reason := why_unusable(path):
        raise StoreUnavailable(f"sessions in {path} cannot be used: {reason}", permanent=True)


def write_file(path: Path, data: bytes, *, temp: Path, mode: int) -> None:
    """Put *data* at *path* in one step: a crash at any moment leaves the old file or the new one, complete.

    Only one writer at a time may use the name *temp*, in the same folder. The file of a killed writer is removed.
    """
    temp.unlink(missing_ok=True)
    try:
        descriptor = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        temp.replace(path)
    except BaseException:
        temp.unlink(missing_ok=True)
        raise


#: Errors of the system that waiting does not cure: permissions, a read-only file system, and another type of file.
SET_UP_WRONG = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP, errno.ENXIO}
)


@contextmanager
def faults_of(place: Path) -> Iterator[None]:
    """Turn every `OSError` of the block into `StoreUnavailable` about *place*.

    The cause is given without its file name, which may contain a key.
    """
    try:
        yield
    except OSError as error:
        cause, permanent = OSError(error.errno, error.strerror), error.errno in SET_UP_WRONG
        reason = (permanent and why_unusable(place)) or error.strerror
        raise StoreUnavailable(f"sessions in {place} cannot be used: {reason}", permanent=permanent) from cause


def path_from_url(url: str, root: Path) -> Path:
    """Return the path in *url*: relative to *root* after three slashes, absolute after four."""
    scheme, _, rest = url.partition("://")
    path = unquote(rest[1:])
    if not rest.startswith("/") or not path.strip("/") or "\0" in path:
        raise ConfigurationError(
            f"a {scheme} store is a path: write {scheme}:///name, relative to the instance folder, or {scheme}:////path"
        )
    return root / path

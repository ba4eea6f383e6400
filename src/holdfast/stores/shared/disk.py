"""The shared parts of the stores on disk: private folders, files written in one step, and paths in URLs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

from holdfast.errors import ConfigurationError, StoreUnavailable


class StoreDirectory:
    """The folder of a store. If it is missing, it is created with mode 0700 under any umask, and so are its parents.

    If an existing store disappears, the folder must still be on the same device. Otherwise its disk was unmounted, and
    an empty store in its place would end every session.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._device: int | None = None

    def make(self, *, missing: bool) -> None:
        """Make the folder before the first use, and again when the store in it is *missing*.

        Raises:
            StoreUnavailable: It would be on another device than before.
            OSError: It cannot be made.
        """
        if self._device is not None and not missing:
            return
        nearest = self._folder
        while not nearest.is_dir() and nearest != nearest.parent:
            nearest = nearest.parent
        device = nearest.stat().st_dev
        if self._device not in {None, device}:
            raise StoreUnavailable(f"{self._folder} is on another device than before: mount its disk, or restart")
        make_folder(self._folder)
        self._device = device


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


@contextmanager
def faults_of(place: Path) -> Iterator[None]:
    """Turn every `OSError` of the block into `StoreUnavailable` about *place*.

    The cause is given without its file name, which may contain a key.
    """
    try:
        yield
    except OSError as error:
        cause = OSError(error.errno, error.strerror)
        raise StoreUnavailable(f"sessions in {place} cannot be used: {error.strerror}") from cause


def path_from_url(url: str, root: Path) -> Path:
    """Return the path in *url*: relative to *root* after three slashes, absolute after four.

    Raises:
        ConfigurationError: The URL names a host, or no path.
    """
    scheme, _, rest = url.partition("://")
    path = unquote(rest[1:])
    if not rest.startswith("/") or not path:
        raise ConfigurationError(
            f"a {scheme} store is a path: write {scheme}:///name, relative to the instance folder, or {scheme}:////path"
        )
    return root / path

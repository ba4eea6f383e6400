"""Sessions in one JSON file that a person can read."""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import NoneType
from typing import Any, TypeAlias

from holdfast.clock import Clock, system_clock
from holdfast.errors import StoreUnavailable, raise_own_fault
from holdfast.stores.contract import Conflict, Gone, HealthFinding, Page, Record, Report, Rotation, Version
from holdfast.stores.shared import disk
from holdfast.stores.shared.answers import page_by_key, refusal, report_owned
from holdfast.stores.shared.health import about_modes
from holdfast.stores.shared.locks import locked

__all__ = ["JSONFileStore"]

Entries: TypeAlias = dict[str, dict[str, Any]]

# Deeper data is kept as text, so that the file can be parsed whatever the stack looks like by then.
_MAX_DEPTH = 32


class JSONFileStore:
    """Keeps all records in the JSON file at *path*, one line each, for small sites and for reading.

    Every save writes the whole file next to its place, syncs and renames it, under a lock (``<path>.lock``), and drops
    what has expired; every load parses the whole file. The first use makes missing folders with mode 0700, the first
    save the file with mode 0600. An empty or a deleted file is an empty store. A file that is not of this layout raises
    `StoreUnavailable` until it is repaired or removed; it is never written over. The layout::

        {"<key>": {"version": 1, "expires_at": 1800000000000, "owner": null, "data": {"cart": [1]}}}

    Data that is a JSON object in compact form stands there as this object, other text as a string, and other bytes
    as ``"base64"`` instead of ``"data"``.

    Args:
        path: The file. It must not be in a folder that a web server serves.
        clock: Returns the time in milliseconds since the epoch.
    """

    def __init__(self, path: str | Path, *, clock: Clock = system_clock) -> None:
        #: The file, as an absolute path.
        self.path: Path = Path(path).absolute()
        self._directory = disk.StoreDirectory(self.path.parent, [self.path])
        self._clock = clock

    @classmethod
    def from_url(cls, url: str, *, root: Path, clock: Clock = system_clock) -> JSONFileStore:
        """Return the store for ``json:///sessions.json``, relative to *root*, or ``json:////srv/sessions.json``."""
        return cls(disk.path_from_url(url, root), clock=clock)

    def load(self, key: str, /) -> Record | None:
        return self._live(self._read(), key)

    def create(self, key: str, data: bytes, /, *, expires_at: int, owner: str | None = None) -> Version | None:
        with self._changing() as entries:
            return None if self._live(entries, key) else _put(entries, key, data, expires_at, owner)

    def replace(
        self, key: str, data: bytes, /, *, expect: Version, expires_at: int, owner: str | None = None
    ) -> Version | Conflict | Gone:
        with self._changing() as entries:
            return refusal(self._live(entries, key), expect) or _put(entries, key, data, expires_at, owner)

    def touch(self, key: str, /, *, expires_at: int) -> bool:
        with self._changing() as entries:
            record = self._live(entries, key)
            if record and expires_at > record.expires_at:
                entries[key] = {**entries[key], "expires_at": expires_at}
            return record is not None

    def delete(self, key: str, /) -> bool:
        with self._changing() as entries:
            record = self._live(entries, key)
            entries.pop(key, None)
            return record is not None

    def discard(self, versions: Mapping[str, Version], /) -> frozenset[str]:
        with self._changing() as entries:
            removed = frozenset(key for key in versions if not refusal(self._live(entries, key), versions[key]))
            for key in removed:
                del entries[key]
            return removed

    def move(self, rotation: Rotation, /) -> Version | Conflict | Gone:
        with self._changing() as entries:
            if refused := refusal(self._live(entries, rotation.old), rotation.expect):
                return refused
            _put(entries, rotation.old, rotation.tombstone, rotation.grace_until, None)
            return _put(entries, rotation.new, rotation.data, rotation.expires_at, rotation.owner)

    def find(self, owner: str, /, after: str | None = None, *, limit: int = 100) -> Page:
        entries = self._read()
        return self._page({key: entry for key, entry in entries.items() if entry["owner"] == owner}, after, limit)

    def scan(self, after: str | None = None, /, *, limit: int = 100) -> Page:
        return self._page(self._read(), after, limit)

    def _page(self, entries: Entries, after: str | None, limit: int) -> Page:
        keys = sorted(key for key in entries if key > (after or ""))
        return page_by_key(((key, record) for key in keys if (record := self._live(entries, key))), limit)

    def purge(self, now: int, /, *, limit: int = 1000, report: Report | None = None) -> int:
        with self._locked():
            entries = self._read()
            due = [key for key, entry in entries.items() if entry["expires_at"] <= now][:limit]
            removed = [(key, entries.pop(key).get("owner")) for key in due]
            if due:
                self._write(entries)
        report_owned(removed, report)
        return len(due)

    def missing(self) -> str | None:
        return None if self.path.exists() else f"file {self.path}"

    def prepare(self) -> None:
        with self._locked():
            if not self.path.exists():
                self._save({})

    def ping(self) -> None:
        with self._locked():
            self._read()
            disk.require_writable(self.path)

    def check_health(self) -> list[HealthFinding]:
        self._read()
        return [about_modes(None, [self.path])]

    def _live(self, entries: Entries, key: str) -> Record | None:
        entry = entries.get(key)
        if entry is None or entry["expires_at"] <= self._clock():
            return None
        try:
            data = _data_of(entry)
        except ValueError as error:
            raise self._foreign() from error
        return Record(data, entry["version"], entry["expires_at"], entry["owner"])

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with disk.faults_of(self.path):
            self._directory.make(missing=False)
            path = self._target()
            with locked(path.with_name(f"{path.name}.lock")):
                yield

    @contextmanager
    def _changing(self) -> Iterator[Entries]:
        """Yield the entries under the lock. If some are others at the end, all that live are saved."""
        with self._locked():
            before = self._read()
            entries = before.copy()
            yield entries
            if entries != before:
                self._save(entries)

    def _read(self, tries: int = disk.TRIES) -> Entries:
        with disk.faults_of(self.path):
            self._directory.make(missing=False)
            try:
                with open(self.path, "rb", opener=_without_waiting) as file:  # Path.open has no opener
                    disk.refuse_planted(self.path, descriptor=file.fileno())
                    raw = file.read()
            except FileNotFoundError:
                if tries and self.path.exists():
                    return self._read(tries - 1)
                self._directory.make(missing=True)
                self._target().parent.stat()  # it may be a link to a disk that is not mounted
                return {}
            except OSError:
                disk.refuse_planted(self.path)  # with the reason, if there is something else in its place
                raise
        try:
            content: Any = json.loads(raw, parse_constant=_refuse) if raw.strip() else {}
        except (ValueError, RecursionError) as error:
            raise_own_fault(error)
            raise self._foreign() from error
        if not isinstance(content, dict) or not all(map(_is_entry, content.values())):
            raise self._foreign()
        return content

    def _foreign(self) -> StoreUnavailable:
        return StoreUnavailable(
            f"{self.path} is not a session file of this store: repair it, or move it away", permanent=True
        )

    def _save(self, entries: Entries) -> None:
        now = self._clock()
        self._write({key: entry for key, entry in entries.items() if entry["expires_at"] > now})

    def _target(self) -> Path:
        return Path(os.path.realpath(self.path))  # Path.resolve raises another error for a circle of links

    def _write(self, entries: Entries) -> None:
        lines = (f"{json.dumps(key)}: {json.dumps(entry, ensure_ascii=False)}" for key, entry in entries.items())
        path = self._target()
        # An edit by hand may have put in half of a surrogate pair, which no file holds.
        content = ("{\n" + ",\n".join(lines) + "\n}\n").encode(errors="replace")
        disk.write_file(path, content, temp=path.with_name(f"{path.name}.temp"), mode=0o600)


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a FIFO would wait for a writer


def _put(entries: Entries, key: str, data: bytes, expires_at: int, owner: str | None) -> Version:
    # Every reader of JSON keeps integers of 53 bits.
    version = secrets.randbits(53)
    entries[key] = {"version": version, "expires_at": expires_at, "owner": owner, **_form_of(data)}
    return version


def _is_entry(value: Any) -> bool:
    if not isinstance(value, dict) or ("data" in value) == ("base64" in value):
        return False
    return (
        isinstance(value.get("version"), int)
        and isinstance(value.get("expires_at"), int)
        and isinstance(value.get("owner", 0), str | NoneType)
        and isinstance(value.get("data", ""), str | dict)
        and isinstance(value.get("base64", ""), str)
    )


def _form_of(data: bytes) -> dict[str, Any]:
    """Return the member of an entry that stands for *data*."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}
    with suppress(ValueError, RecursionError):
        value = json.loads(text, parse_constant=_refuse)
        if isinstance(value, dict) and _is_shallow(value, _MAX_DEPTH) and _compact(value) == data:
            return {"data": value}
    return {"data": text}


def _data_of(entry: dict[str, Any]) -> bytes:
    if "base64" in entry:
        return base64.b64decode(entry["base64"], validate=True)
    data = entry["data"]
    return data.encode() if isinstance(data, str) else _compact(data)


def _compact(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _is_shallow(value: object, depth: int) -> bool:
    if not isinstance(value, dict | list):
        return True
    children = value.values() if isinstance(value, dict) else value
    return depth > 0 and all(_is_shallow(child, depth - 1) for child in children)


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")

"""Sessions on the disk: where they are, who may read them, and what else may lie in their place."""

from __future__ import annotations

import os
import re
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from security import planted_files_on_disk as planted
from security.bugs import any_shape_is_looked_up
from security.rows import advisory, requirement
from support.disk import modes, umask
from support.web import STRANGER, Web, cookies_set

from holdfast.errors import ConfigurationError
from holdfast.flask import Session, session

WebOn = Callable[..., Web]


# --- paths ------------------------------------------------------------------------------------------------------------

#: Values that lead somewhere as a path, or as part of one, on some system.
_PATHS = [
    "../../etc/passwd", "..\\..\\boot.ini", "/etc/passwd", "{outside}", "../{name}", "C:\\x", "\\\\host\\share\\x",
    "//", ".", "..", "CON", "NUL", "NUL.txt", "COM1", "COM¹", "aux ", "x.", "x ", "x" * 300, "%2e%2e%2f{name}",
    "~", "~root",
    "../{name}\x00.session", "a/" * 21 + "a", "." * 43, "....//....//{name}", "file:///{outside}", "\u2025/{name}",
    "link", ".locks", ".owners", "00/../../{name}",
]  # fmt: skip

#: The names that a file store gives to what it makes, below its folder.
_OURS = r"(\.locks(/[0-9a-f]{2}(\.queue)?)?|[0-9a-f]{2}(/([0-9a-f]{64}|\.temp))?)?"

#: Python's audit events before an operation on a named file.
_EVENTS = {
    "open",
    "os.listdir",
    "os.link",
    "os.mkdir",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.scandir",
    "os.symlink",
}


class Listener:
    """Takes note of the files that one thread touches while it listens. An audit hook stays until the process ends."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.thread: int | None = None
        self.is_hooked = False

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.thread == threading.get_ident() and event in _EVENTS and isinstance(arguments[0], str | bytes):
            self.names.append(os.fsdecode(arguments[0]))


_listener = Listener()


@contextmanager
def files_touched() -> Iterator[list[str]]:
    """Note each file and folder that Python opens, lists, makes, moves or removes inside the block."""
    if not _listener.is_hooked:
        sys.addaudithook(_listener)
        _listener.is_hooked = True
    _listener.names, _listener.thread = [], threading.get_ident()
    try:
        yield _listener.names
    finally:
        _listener.thread = None


@advisory(
    "CVE-2008-0252",
    "CVE-2011-0698",
    "GO-2024-2730",
    "CVE-2024-3400",
    "CVE-2025-61686",
    "CVE-2024-2044",
    product="CherryPy, Django on Windows, gorilla/sessions, PAN-OS, React Router, pgAdmin",
    cause="The id in the cookie was used as part of a path, so that it could lead to any file.",
    mutants=[planted.the_id_is_a_file_name, planted.joined_safely_enough, any_shape_is_looked_up],
)
@advisory(
    "CVE-2025-66221",
    "CVE-2026-21860",
    product="Werkzeug",
    cause="Device names, which Windows has in every folder, were accepted as file names.",
    mutants=[planted.the_id_is_a_file_name, planted.joined_safely_enough, any_shape_is_looked_up],
)
@requirement(
    "Catalogue P",
    says="A client's value is never part of a path.",
    mutants=[planted.the_id_is_a_file_name, planted.joined_safely_enough, any_shape_is_looked_up],
)
@pytest.mark.kinds("files")
def test_no_cookie_is_a_path(place: str, web_on: WebOn, tmp_path: Path) -> None:
    """A path in the cookie opens no session and touches no file; a token touches only files named by keys."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    web.put(user="victim")
    folder = Path(place.partition(":///")[2])
    outside = tmp_path / "outside"
    [record] = [path for path in folder.rglob("*") if path.is_file() and ".locks" not in path.parts]
    shutil.copy(record, outside)
    (folder / "link").symlink_to(outside)
    for value in _PATHS:
        cookie = value.replace("{outside}", str(outside)).replace("{name}", outside.name)
        with files_touched() as touched:
            raw = {"HTTP_COOKIE": f"session={cookie}".encode().decode("latin-1")}
            browser = web.app.test_client(use_cookies=False)
            response = web.do(lambda: str(session.get("user")), browser, environ_overrides=raw)
        assert (response.status_code, response.text) == (200, "None"), value
        assert not cookies_set(response), value
        assert not touched, value
    with files_touched() as touched:
        assert web.data() == {"user": "victim"}
        web.put(a=1)
        web.data(web.with_token(STRANGER))
    assert touched
    for name in touched:
        below = Path(name).relative_to(folder).as_posix()
        assert re.fullmatch(_OURS, "" if below == "." else below), name


# --- what lies in the place of a record -------------------------------------------------------------------------------


def record_of(web: Web, place: str) -> Path:
    """Return the file of the browser's session."""
    key: str = web.see(lambda: session.handle)
    return Path(place.partition(":///")[2]) / key[:2] / key


@advisory(
    "GO-2024-2730",
    "CVE-2022-23181",
    product="gorilla/sessions, Tomcat's FileStore",
    cause="The path of a session was checked and then opened, or not checked, and links were followed.",
    mutants=[planted.follows_links, planted.reads_what_is_no_file, planted.looks_before_it_opens],
)
@pytest.mark.kinds("files")
def test_what_is_no_file_is_no_record(
    place: str, web_on: WebOn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link, a FIFO or a folder under a record's name is no session, even if it is created at the last moment."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    web.put(user="victim")
    path = record_of(web, place)
    good = tmp_path / "good"
    path.rename(good)

    def assert_nobody() -> None:
        response = web.do(lambda: str(session.get("user")), web.twin())
        assert (response.status_code, response.text) == (200, "None")

    path.symlink_to(good)
    assert_nobody()
    path.unlink()
    path.mkdir()
    assert_nobody()
    path.rmdir()
    os.mkfifo(path)
    with path.open("r+b", buffering=0) as fifo:
        fifo.write(good.read_bytes())
        assert_nobody()
    path.unlink()

    evil = tmp_path / "evil"
    shutil.copy(good, evil)
    for name in ("stat", "lstat"):
        monkeypatch.setattr(os, name, _swapping(getattr(os, name), path, evil))
    path.write_bytes(b"")
    assert_nobody()


def _swapping(look: Callable[..., Any], path: Path, target: Path) -> Callable[..., Any]:
    """Return a function that looks at a file as *look* does, and right after it puts a link to *target* at *path*."""
    swapped: list[bool] = []

    def looked(name: Any, *arguments: Any, **named: Any) -> Any:
        found = look(name, *arguments, **named)
        if not swapped and not isinstance(name, int) and os.fspath(name) == str(path):
            swapped.append(True)
            path.unlink()
            path.symlink_to(target)
        return found

    return looked


@advisory(
    "GO-2024-2730",
    product="gorilla/sessions",
    cause="A session was written to the target of its name, which could be any file.",
    mutants=[planted.writes_through_links, planted.opens_a_planted_temp_file],
)
@pytest.mark.kinds("files")
def test_nothing_is_written_through_a_link(place: str, web_on: WebOn, tmp_path: Path) -> None:
    """The targets of planted links, under a record's name and under a temporary one, are not changed."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    web.put(user="victim")
    path, target = record_of(web, place), tmp_path / "target"
    (path.parent / ".temp").symlink_to(target)
    target.write_bytes(b"precious")
    web.put(a=1)
    assert target.read_bytes() == b"precious"
    assert web.data() == {"user": "victim", "a": 1}

    def view() -> None:
        session["b"] = 2
        path.rename(target)
        path.symlink_to(target)

    before = path.read_bytes()
    assert web.do(view).status_code == 200
    assert target.read_bytes() == before


# --- permissions ------------------------------------------------------------------------------------------------------


@advisory(
    "CVE-2019-16354",
    "CVE-2019-16355",
    product="beego",
    cause="Session files could be read and written by every user of the machine.",
    mutants=[planted.files_for_all, planted.folders_for_all],
)
@advisory(
    "CVE-2020-24583",
    "CVE-2020-24584",
    product="Django",
    cause="The parent folders of a file had the permissions that the umask left.",
    mutants=[planted.parents_for_all, planted.folders_for_all],
)
@requirement(
    "OWASP protection of the repository",
    says="Files of sessions are private to their owner.",
    mutants=[planted.files_for_all, planted.folders_for_all, planted.parents_for_all],
)
@pytest.mark.kinds("files", "json")
def test_files_are_private_whatever_the_umask(place: str, web_on: WebOn, tmp_path: Path) -> None:
    """Under the umask 000 every file has the mode 0600, and every created folder the mode 0700."""
    assert_private(place, web_on, tmp_path)


@advisory(
    "CVE-2019-16354",
    "CVE-2019-16355",
    product="beego",
    cause="Session files could be read and written by every user of the machine.",
    mutants=[planted.databases_for_all, planted.folders_for_all, planted.parents_for_all],
)
@pytest.mark.kinds("sqlite")
def test_a_database_is_private_whatever_the_umask(place: str, web_on: WebOn, tmp_path: Path) -> None:
    """The same holds for a SQLite file and for the files that SQLite creates beside it."""
    assert_private(place, web_on, tmp_path)


def assert_private(place: str, web_on: WebOn, tmp_path: Path) -> None:
    """Use a store in a folder that is not there yet, and look at what was made."""
    with umask(0):
        web = web_on(place.replace(str(tmp_path), f"{tmp_path}/a/b"))
        for view in (lambda: session.update(a=1), lambda: session.bind("ada"), lambda: session.update(b=2)):
            web.do(view)
        made = modes(tmp_path)
    assert len(made) > 3
    for name, mode in made.items():
        wanted = 0o700 if (tmp_path / name).is_dir() else 0o600
        assert mode == wanted, f"{name} has the mode {mode:o}"


@advisory(
    "CVE-2020-24584",
    product="Django",
    cause="Stored sessions were readable for unauthorised clients.",
    mutants=[planted.static_files_are_no_matter],
)
@pytest.mark.kinds("sqlite", "files", "json")
def test_sessions_are_not_given_out_as_static_files(place: str, tmp_path: Path) -> None:
    """A store below the static folder is an error at start-up, also through links."""
    static = tmp_path / "static"
    static.mkdir()
    (tmp_path / "link").symlink_to(static)
    for folder in ("static", "link", "static/deep", "x/../static"):
        app = Flask("shop", static_folder=str(static))
        app.config["SESSION_STORE"] = place.replace(str(tmp_path), f"{tmp_path}/{folder}")
        with pytest.raises(ConfigurationError, match="would be served"):
            Session(app)

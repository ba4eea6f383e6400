"""Small programs of long ago run with one import changed: cookie, home-made JSON file, folder of files."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask

from holdfast.flask.interface import HoldfastInterface
from holdfast.sessions.manager import directory

HERE = Path(__file__).parent


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Flask]]:
    """Return a function that starts a program afresh, in a folder of its own, and returns its application."""
    monkeypatch.setenv("SESSION_FILE_DIR", str(tmp_path / "flask-session"))
    started: list[Flask] = []

    def start(name: str) -> Flask:
        path = tmp_path / f"{name}.py"
        shutil.copy(HERE / f"{name}.py", path)
        spec = importlib.util.spec_from_file_location(f"{name}_{uuid.uuid4().hex}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
        started.append(module.app)
        return started[-1]

    yield start
    for app in started:
        if isinstance(app.session_interface, HoldfastInterface):
            getattr(directory(app.session_interface.manager).store, "close", lambda: None)()


def test_the_first_example_keeps_a_name(start: Callable[[str], Flask]) -> None:
    """With the import of `session` changed and no extension, Flask's signed cookie works as ever."""
    browser = start("cookie").test_client()
    assert browser.get("/name").text == "nobody"
    assert browser.get("/test1/").text == "OK"
    assert browser.get("/name").text == "xiaoming"


def test_null_is_flask_s_signed_cookie(start: Callable[[str], Flask]) -> None:
    """With ``SESSION_TYPE = 'null'`` the session is in the cookie, where Flask keeps it."""
    app = start("null")
    browser = app.test_client()
    assert browser.get("/index").text == "xx"
    assert browser.get("/k1").text == "v1"
    cookie = browser.get_cookie("session")
    assert cookie is not None
    serializer = app.session_interface.get_signing_serializer(app)  # type: ignore[attr-defined]  # Flask's own
    assert serializer.loads(cookie.value) == {"k1": "v1"}


@pytest.mark.parametrize("name", ["json_file", "filesystem"])
def test_a_session_outlives_the_server(start: Callable[[str], Flask], name: str) -> None:
    """A value in a browser's session is there after a restart of the program, and no other browser sees it."""
    browser = start(name).test_client()
    assert browser.get("/k1").text == "nothing"
    assert browser.get("/index").text == "xx"
    cookie = browser.get_cookie("session")
    assert cookie is not None
    again = start(name)
    returning, stranger = again.test_client(), again.test_client()
    returning.set_cookie("session", cookie.value)
    assert returning.get("/k1").text == "v1"
    assert stranger.get("/k1").text == "nothing"


def test_the_json_file_can_be_read_and_is_not_served(start: Callable[[str], Flask], tmp_path: Path) -> None:
    """The file is JSON with the session's data in it, no URL leads to it, and the cookie is signed."""
    app = start("json_file")
    browser = app.test_client()
    browser.get("/index")
    [file] = tmp_path.rglob("session.json")
    assert '"k1":"v1"' in json.dumps(json.loads(file.read_text()), separators=(",", ":"))
    assert file.stat().st_mode & 0o777 == 0o600
    assert app.static_folder is not None
    assert not file.resolve().is_relative_to(Path(app.static_folder).resolve())
    assert browser.get("/static/session.json").status_code == 404
    cookie = browser.get_cookie("session")
    assert cookie is not None
    assert cookie.value.count(".") == 1


def test_the_folder_of_files_is_as_it_was_set_up(start: Callable[[str], Flask], tmp_path: Path) -> None:
    """The files are in the folder that was named, with its mode, and sessions are permanent."""
    app = start("filesystem")
    response = app.test_client().get("/index")
    assert "Max-Age=2678400" in response.headers["Set-Cookie"]
    [file] = [path for path in (tmp_path / "flask-session").rglob("*") if path.is_file() and len(path.name) == 64]
    assert file.stat().st_mode & 0o777 == 384

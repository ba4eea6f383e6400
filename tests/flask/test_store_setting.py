"""The setting SESSION_STORE: URLs, stores, clients, and paths that would be served."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
from flask import Blueprint, Flask
from support.building import assert_works, store_of

from holdfast.errors import ConfigurationError
from holdfast.flask import Session, session
from holdfast.stores.files import FileStore
from holdfast.stores.jsonfile import JSONFileStore
from holdfast.stores.memory import MemoryStore
from holdfast.stores.sqlite import SQLiteStore


def test_the_default_is_sqlite_in_the_instance_folder(build: Any, tmp_path: Path) -> None:
    """Without any setting, sessions are in a SQLite file of the instance folder that only its owner can read."""
    app = build()
    assert isinstance(store_of(app), SQLiteStore)
    file = tmp_path / "instance" / "sessions.db"
    assert not file.exists()
    assert app.test_client().get("/get").text == "None"
    assert not file.exists()
    assert_works(app)
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("url", "kind", "place"),
    [
        ("sqlite:///x.db", SQLiteStore, "instance/x.db"),
        ("file:///x", FileStore, "instance/x"),
        ("json:///x.json", JSONFileStore, "instance/x.json"),
        ("memory://", MemoryStore, None),
    ],
)
def test_a_url_names_the_store(build: Any, tmp_path: Path, url: str, kind: type, place: str | None) -> None:
    """A URL picks the store; a relative path is in the instance folder."""
    app = build(SESSION_STORE=url)
    assert isinstance(store_of(app), kind)
    assert_works(app)
    assert place is None or (tmp_path / place).exists()


def test_an_absolute_url(build: Any, tmp_path: Path) -> None:
    """Four slashes begin an absolute path."""
    assert_works(build(SESSION_STORE=f"sqlite:///{tmp_path}/elsewhere/x.db"))
    assert (tmp_path / "elsewhere" / "x.db").exists()


def test_a_store_is_taken_as_it_is(build: Any) -> None:
    """A store that was made by hand is used, and two applications may share it."""
    store = MemoryStore()
    one, two = build(SESSION_STORE=store), build(SESSION_STORE=store)
    assert store_of(one) is store is store_of(two)
    assert_works(one)


@pytest.mark.parametrize(
    ("store", "said"),
    [
        (7, "SESSION_STORE: it is of the type int: it must be a URL such as"),
        ({"a": 1}, "SESSION_STORE: it is of the type dict: it must be a URL such as"),
        (MemoryStore, "SESSION_STORE: it is the class MemoryStore: it must be a URL such as"),
        (object(), "SESSION_STORE: it is of the type object: it must be"),
        ("sessions.db", "SESSION_STORE: the store URL has no scheme"),
        ("nosuch:///x", "SESSION_STORE: the store URL's scheme 'nosuch' is not known"),
        ("sqlit:///x", "did you mean 'sqlite'"),
    ],
)
def test_what_is_no_store(build: Any, store: Any, said: str) -> None:
    """Anything else is an error at the start that says what it must be."""
    with pytest.raises(ConfigurationError, match=said):
        build(SESSION_STORE=store)


def test_two_stores_are_one_too_many(build: Any) -> None:
    """``SESSION_STORE`` beside ``SESSION_TYPE`` is an error that says to remove one."""
    with pytest.raises(ConfigurationError, match="SESSION_STORE and SESSION_TYPE='filesystem' are both set: remove"):
        build(SESSION_STORE="memory://", SESSION_TYPE="filesystem")


@pytest.mark.parametrize(
    "config",
    [
        {"SESSION_STORE": "sqlite:///../static/s.db"},
        {"SESSION_STORE": "file:///../static/deep/below"},
        {"SESSION_STORE": "json:///../static/s.json"},
        {"SESSION_STORE": "sqlite+pysqlite:///../static/s.db"},
        {"SESSION_TYPE": "file", "SESSION_FILE_PATH": "../static/s.json"},
        {"SESSION_TYPE": "filesystem", "SESSION_FILE_DIR": "static/sessions"},
        {"SESSION_TYPE": "filesystem", "SESSION_FILE_DIR": "link/sessions"},
    ],
)
def test_a_path_that_would_be_served_is_refused(build: Any, tmp_path: Path, config: dict[str, str]) -> None:
    """Sessions under the static folder, by whatever way, are an error at the start."""
    (tmp_path / "static").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "static")
    with pytest.raises(ConfigurationError, match=r"would be served with the static files: put them elsewhere"):
        build(**config)
    assert list((tmp_path / "static").iterdir()) == []


@pytest.mark.parametrize("scheme", ["sqlite", "file", "json", "sqlite+pysqlite"])
@pytest.mark.parametrize("wrong", ["a file on the way", "no permission", "an old file"])
def test_a_path_that_cannot_be_written_is_refused(
    build: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str, wrong: str
) -> None:
    """A path that leads through a file, and one without the permission to write, are errors at the start."""
    (tmp_path / "notes.txt").touch()
    below = {"a file on the way": "notes.txt/s", "no permission": "locked/deep/s", "an old file": "s"}[wrong]
    if wrong != "a file on the way":
        (tmp_path / "s").mkdir() if scheme == "file" else (tmp_path / "s").touch()
        # Root may write anywhere, and tests may run as root.
        monkeypatch.setattr("os.access", lambda path, mode: Path(path) != tmp_path or mode != os.W_OK)
    if wrong == "an old file" and scheme == "file":
        pytest.skip("its folder is all that it writes to")
    with pytest.raises(ConfigurationError, match=r"SESSION_STORE: .*([Cc]hoose another place|name another)"):
        build(SESSION_STORE=f"{scheme}:///{tmp_path}/{below}")
    assert not (tmp_path / "locked").exists()


@pytest.mark.parametrize("scheme", ["sqlite", "file", "json", "sqlite+pysqlite"])
@pytest.mark.parametrize(
    ("path", "said"),
    [
        (
            "{long}",
            "{long} cannot be used: File name too long: choose another place, or give this user the right to it",
        ),
        ("{long}/deep/s", "cannot be used: File name too long"),
        ("", "is a folder: name a file in it"),
        ("a%00b", "a {scheme} store is a path: write {scheme}:///name"),
        ("/", "a {scheme} store is a path: write {scheme}:///name"),
    ],
)
def test_a_path_that_cannot_be_looked_at_is_refused(
    build: Any, tmp_path: Path, scheme: str, path: str, said: str
) -> None:
    """A path that the system refuses, as one below another user's folder, or that names no file, is one line."""
    if (scheme == "sqlite+pysqlite" and path in {"a%00b", "/"}) or (scheme == "file" and not path):
        pytest.skip("SQLAlchemy's URLs have their own rules, and files are kept in a folder")
    url = f"{scheme}:////" if path == "/" else f"{scheme}:///{tmp_path}/{path.format(long='x' * 300)}"
    with pytest.raises(ConfigurationError, match=re.escape(said.format(long="x" * 300, scheme=scheme))):
        build(SESSION_STORE=url)


def test_a_store_that_would_be_served_is_refused(build: Any, tmp_path: Path) -> None:
    """So is a store made by hand."""
    with pytest.raises(ConfigurationError, match="served"):
        build(SESSION_STORE=JSONFileStore(tmp_path / "static" / "s.json"))


@pytest.mark.parametrize("store", ["sqlite:///../pages/s.db", "file:///../pages/deep", "json:///../pages/s.json"])
@pytest.mark.parametrize("late", [False, True])
def test_a_path_that_a_blueprint_serves_is_refused(tmp_path: Path, store: str, *, late: bool) -> None:
    """Its static files are served too: an error at the start, or at the first request if it is registered later."""
    app = Flask("shop", instance_path=str(tmp_path / "instance"), static_folder=None)
    app.config.update(SESSION_STORE=store, PROPAGATE_EXCEPTIONS=True)
    pages = Blueprint("pages", "pages", static_folder=str(tmp_path / "pages"), url_prefix="/pages")
    app.add_url_rule("/", view_func=lambda: str(session.get("a")))
    if not late:
        app.register_blueprint(pages)

    def start() -> None:
        Session(app)
        app.register_blueprint(pages)
        app.test_client().get("/")

    with pytest.raises(ConfigurationError, match="would be served with the static files of the blueprint 'pages'"):
        start()

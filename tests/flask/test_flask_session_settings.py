"""Flask-Session's settings, translated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.building import assert_works, store_of

from holdfast.errors import ConfigurationError
from holdfast.flask.interface import HoldfastInterface
from holdfast.records.encryption import new_key
from holdfast.stores.files import FileStore


def test_filesystem(build: Any, tmp_path: Path) -> None:
    """``SESSION_TYPE="filesystem"`` is a folder of files with the mode that was asked for."""
    app = build(
        SESSION_TYPE="filesystem",
        SESSION_FILE_DIR=str(tmp_path / "kept"),
        SESSION_FILE_THRESHOLD=500,
        SESSION_FILE_MODE=0o640,
        SESSION_KEY_PREFIX="filesystem:",
        SESSION_USE_SIGNER=False,
        SESSION_PERMANENT=True,
    )
    assert isinstance(store_of(app), FileStore)
    assert_works(app)
    [file] = [path for path in (tmp_path / "kept").rglob("*") if path.is_file() and len(path.name) == 64]
    assert file.stat().st_mode & 0o777 == 0o640


def test_filesystem_s_default_folder(build: Any, tmp_path: Path) -> None:
    """Without ``SESSION_FILE_DIR`` it is the folder that Flask-Session uses, with files for their owner alone."""
    assert_works(build(SESSION_TYPE="filesystem"))
    [file] = [path for path in (tmp_path / "flask_session").rglob("*") if path.is_file() and len(path.name) == 64]
    assert file.stat().st_mode & 0o777 == 0o600


def test_forty_live_sessions_outlast_a_threshold_of_twenty(build: Any) -> None:
    """No number of sessions pushes out one that lives."""
    app = build(SESSION_TYPE="filesystem", SESSION_FILE_THRESHOLD=20)
    browsers = [app.test_client() for _ in range(40)]
    for browser in browsers:
        browser.get("/")
    assert [browser.get("/get").text for browser in browsers] == ["[1]"] * 40


@pytest.mark.parametrize("name", ["SESSION_FILE_PATH", "MY_SESSION_PATH"])
@pytest.mark.parametrize("path", ["s.json", "\\s.json"])
def test_file(build: Any, tmp_path: Path, name: str, path: str) -> None:
    """``SESSION_TYPE="file"`` is one JSON file in the instance folder that a person can read."""
    app = build(**{"SESSION_TYPE": "file", name: path})
    assert_works(app)
    text = (tmp_path / "instance" / "s.json").read_text()
    assert '"payload":{"a":[1]' in text.replace(" ", "")


def test_file_with_an_absolute_path(build: Any, tmp_path: Path) -> None:
    """An absolute path is taken as it is."""
    assert_works(build(SESSION_TYPE="file", SESSION_FILE_PATH=str(tmp_path / "kept" / "s.json")))
    assert (tmp_path / "kept" / "s.json").exists()


@pytest.mark.parametrize("path", [None, "", "\\", 7])
def test_file_needs_a_path(build: Any, path: Any) -> None:
    """Without the path of its file, ``SESSION_TYPE="file"`` is an error that names the setting."""
    with pytest.raises(ConfigurationError, match=r"SESSION_FILE_PATH is .*: SESSION_TYPE 'file' needs the path"):
        build(SESSION_TYPE="file", SESSION_FILE_PATH=path)


@pytest.mark.parametrize("value", ["600", 600, 0o666, 0o400, -1, True, 0.5])
def test_file_mode_is_octal(build: Any, value: Any) -> None:
    """A mode that is no number, that was not written as octal, or that is too wide is an error that names it."""
    with pytest.raises(ConfigurationError, match=f"SESSION_FILE_MODE is {value!r}: it must be octal, such as 0o600"):
        build(SESSION_TYPE="filesystem", SESSION_FILE_MODE=value)


def test_sessions_are_permanent_as_with_flask_session(build: Any) -> None:
    """Where ``SESSION_TYPE`` is used, sessions start permanent unless ``SESSION_PERMANENT`` says otherwise."""
    assert build(SESSION_TYPE="filesystem").config["SESSION_PERMANENT"] is True
    assert build(SESSION_TYPE="filesystem", SESSION_PERMANENT=False).config["SESSION_PERMANENT"] is False
    assert build().config["SESSION_PERMANENT"] is False


def test_null_is_flask_s_own_cookie(build: Any) -> None:
    """``SESSION_TYPE="null"`` keeps Flask's signed cookie, and warns of its limits."""
    app = build(SESSION_TYPE="null", SECRET_KEY="made up for tests: B7u-q2Xn_fLw90Rk")
    assert not isinstance(app.session_interface, HoldfastInterface)
    assert_works(app)
    with pytest.raises(ConfigurationError, match="SESSION_TYPE is 'null': sessions live in Flask's signed cookie"):
        app.extensions["holdfast"].of("ada")


@pytest.mark.parametrize(("name", "value"), [("SESSION_FILE_DIR", "/tmp/x"), ("SESSION_REDIS", object())])  # noqa: S108  # never made
def test_a_setting_of_flask_session_without_its_type_is_a_warning(build: Any, name: str, value: object) -> None:
    """Without SESSION_TYPE, a warning reports that the other settings have no effect."""
    with pytest.warns(UserWarning, match=f"{name} has no effect without SESSION_TYPE"):
        build(**{name: value})


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("redis", "SESSION_REDIS"),
        ("memcached", "SESSION_MEMCACHED"),
        ("mongodb", "SESSION_MONGODB"),
        ("dynamodb", "SESSION_DYNAMODB"),
        ("sqlalchemy", "SESSION_SQLALCHEMY"),
    ],
)
def test_a_url_in_the_place_of_a_client(build: Any, kind: str, name: str) -> None:
    """A URL where Flask-Session takes a client is an error that says where URLs go, and does not show it."""
    with pytest.raises(ConfigurationError, match=f"{name} is text: it must be a client.*set SESSION_STORE") as caught:
        build(**{"SESSION_TYPE": kind, name: f"{kind}://user:hunter2@host/x"})
    assert "hunter2" not in str(caught.value)


def test_an_owner_key_without_an_index_is_a_warning(build: Any) -> None:
    """A store without an index has no owner values."""

    class Bare:
        load = create = replace = touch = delete = lambda self: None

    with pytest.warns(UserWarning, match="SESSION_OWNER_KEY is set, but Bare keeps no index"):
        build(SESSION_STORE=Bare(), SESSION_OWNER_KEY=new_key())

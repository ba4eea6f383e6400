"""The mistakes of a first hour: each is one line on the terminal that names what to do."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

import pytest
from click.testing import CliRunner
from flask import Flask
from flask.cli import FlaskGroup
from support.servers import Server, free_port
from support.terminal import Terminal
from support.web import SECRET_KEY

from holdfast.errors import ConfigurationError
from holdfast.flask import Session
from holdfast.stores.contract import Closes

SHOW = ("show", "0" * 64)

#: The URL of a store, and words of the line.
MISTAKES = {
    "rediss2://localhost": ("did you mean 'rediss'?",),
    "localhost:6379": ("write it like sqlite:///sessions.db",),
    "postgresql+psycopgx://localhost/shop": ("no driver 'postgresql+psycopgx'", "postgresql+psycopg"),
    "mariadb+pymysql://root@localhost": ("names no database", "mariadb+pymysql://user@host/name"),
    "memcached://localhost?timeout=-1": ("timeout",),
    "redis://127.0.0.1:{port}/0": ("127.0.0.1:{port}", "Connection refused", "is the server running"),
    "redis://host.invalid/0": ("host.invalid:6379", "is the server running, and its URL right?"),
    "memcached://127.0.0.1:{port}": ("127.0.0.1:{port}", "Connection refused", "is the server running"),
    "postgresql+psycopg://127.0.0.1:{port}/shop": ("{port}", "Connection refused", "is the server running"),
    "mariadb+pymysql://127.0.0.1:{port}/shop": ("{port}", "Connection refused", "is the server running"),
    "mongodb://127.0.0.1:{port}/shop?timeoutMS=1000": ("127.0.0.1:{port}", "Connection refused", "is the server"),
    "dynamodb://?region=eu-central-1&endpoint=http://127.0.0.1:{port}": ("http://127.0.0.1:{port}",),
    "sqlite:///{folder}/typo/sessions.db": ("there is no file {folder}/typo/sessions.db", "`init`"),
    "json:///{folder}/typo.json": ("there is no file {folder}/typo.json", "`init`"),
    "file:///{folder}/typo": ("there is no folder of sessions {folder}/typo", "`init`"),
}


def of_flask(url: str, folder: Path, *arguments: str) -> str:
    """Return the one line of a ``flask`` command that fails, in an application on the store at *url*."""
    stores = list[object]()

    def create_app() -> Flask:
        app = Flask("shop", instance_path=str(folder))
        app.config.update(SECRET_KEY=SECRET_KEY, SESSION_STORE=url)
        sessions = Session(app)
        with app.app_context():
            stores.append(getattr(sessions.manager, "store", None))
        return app

    done = CliRunner().invoke(FlaskGroup(create_app=create_app), arguments)
    for store in stores:
        if isinstance(store, Closes):
            store.close()
    assert (done.exit_code, done.stdout) == (1, ""), done.output
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_the_url_is_one_line(mistake: str, tmp_path: Path) -> None:
    """`flask sessions` and `python -m holdfast` say in one line what is wrong and what to do."""
    facts = {"port": free_port(), "folder": tmp_path}
    url = mistake.format(**facts)
    for line in (of_flask(url, tmp_path, "sessions", *SHOW), Terminal(url).error(*SHOW)):
        assert all(words.format(**facts) in line for words in MISTAKES[mistake]), line


@pytest.mark.parametrize("command", ["run", "routes", "sessions"])
def test_every_command_of_flask_reports_a_wrong_setting_in_one_line(command: str, tmp_path: Path) -> None:
    """An application that cannot be made is no traceback, whatever was to be done with it."""
    line = of_flask("rediss2://localhost", tmp_path, command, *(["list"] if command == "sessions" else []))
    assert line.startswith("Error: SESSION_STORE: the store URL's scheme 'rediss2' is not known")


def test_a_missing_extra_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line has the command that installs it."""
    monkeypatch.setitem(sys.modules, "pymemcache", None)
    for name in [name for name in sys.modules if name.startswith("holdfast.stores.memcached")]:
        monkeypatch.delitem(sys.modules, name)
    assert "pip install 'holdfast[memcached]'" in of_flask("memcached://localhost", tmp_path, "sessions", *SHOW)


@pytest.mark.postgresql
@pytest.mark.mariadb
def test_a_wrong_user_password_or_database_is_one_line(
    postgresql_server: Server, mariadb_server: Server, tmp_path: Path
) -> None:
    """The line has what the server says, and that the URL is to be corrected."""
    mistakes = {
        "postgresql+psycopg://nobody@{}:{}/postgres": (postgresql_server, "nobody"),
        "postgresql+psycopg://postgres@{}:{}/shop": (postgresql_server, "shop"),
        "mariadb+pymysql://root:wrong@{}:{}/holdfast": (mariadb_server, "Access denied"),
        "mariadb+pymysql://root@{}:{}/shop": (mariadb_server, "shop"),
    }
    for url, (server, words) in mistakes.items():
        line = of_flask(url.format(*server.address), tmp_path, "sessions", *SHOW)
        assert words in line
        assert line.endswith("correct the URL of the store, or what its user may do\n")


@pytest.mark.parametrize(
    "settings",
    [
        {"SESSION_STORE": "sqlite:///sessions.db?tiemout=3"},
        {"SESSION_STORE": "redis://127.0.0.1:70000"},
        {"SESSION_TYPE": "sqlalchemy", "SQLALCHEMY_DATABASE_URI": "postgresql+psycopgx://localhost/shop"},
        {"SESSION_SEAL_KEYS": ["short"]},
        {"SESSION_ABSOLUTE_LIFETIME": "soon"},
    ],
)
def test_a_server_prints_the_mistake_without_our_frames(tmp_path: Path, settings: dict[str, object]) -> None:
    """What a server prints for each of its workers has no chain of errors, and of our frames those of the call."""
    app = Flask("shop", instance_path=str(tmp_path))
    app.config.update(settings)
    with pytest.raises(ConfigurationError) as caught:
        Session(app)
    printed = "".join(traceback.format_exception(caught.value))
    assert printed.count("Traceback") == 1
    assert printed.count("\n  File ") == 3, printed

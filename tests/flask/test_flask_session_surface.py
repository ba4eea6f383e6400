"""What applications call of Flask-Session besides its settings."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

import holdfast.flask
from holdfast.errors import ConfigurationError
from holdfast.flask import session


def test_regenerate_gives_a_new_token(build: Any) -> None:
    """``app.session_interface.regenerate(session)`` is ``session.rotate()``, with a warning that says so."""
    app: Flask = build(SESSION_TYPE="filesystem")

    def login() -> str:
        interface: Any = app.session_interface
        with pytest.warns(DeprecationWarning, match=r"regenerate\(session\) is Flask-Session's: use session.rotate"):
            interface.regenerate(session)
        return "ok"

    app.add_url_rule("/login", "login", login)
    browser = app.test_client()
    browser.get("/")
    before = browser.get_cookie("session")
    browser.get("/login")
    after = browser.get_cookie("session")
    assert before is not None
    assert after is not None
    assert before.value != after.value
    assert browser.get("/get").text == "[1]"


def test_the_client_is_the_one_that_was_given(build: Any) -> None:
    """``app.session_interface.client`` is the client of the settings, with a warning; without one it is an error."""
    import pymemcache

    client = pymemcache.Client("127.0.0.1:1")
    interface: Any = build(SESSION_TYPE="memcached", SESSION_MEMCACHED=client).session_interface
    with pytest.warns(DeprecationWarning, match="client is Flask-Session's"):
        assert interface.client is client
    interface = build(SESSION_TYPE="memcached").session_interface
    with (
        pytest.warns(DeprecationWarning, match="client"),
        pytest.raises(ConfigurationError, match="the settings give no client"),
    ):
        _ = interface.client


@pytest.mark.parametrize(
    ("name", "instead"),
    [("serializer", "holdfast.register_type"), ("key_prefix", "SESSION_KEY_PREFIX"), ("other", "no attribute 'other'")],
)
def test_an_attribute_that_is_not_kept_names_its_replacement(build: Any, name: str, instead: str) -> None:
    """Other attributes of Flask-Session's interfaces are an error that says what to use."""
    interface = build(SESSION_TYPE="filesystem").session_interface
    with pytest.raises(AttributeError, match=instead):
        getattr(interface, name)


def test_names_to_import() -> None:
    """The session's class is there, with a warning; an interface's class is an error that names the setting."""
    module: Any = holdfast.flask
    with pytest.warns(DeprecationWarning, match="use holdfast.flask.FlaskSession"):
        assert module.ServerSideSession is module.RedisSession is holdfast.flask.FlaskSession
    with pytest.raises(ImportError, match="one interface for all stores: set SESSION_TYPE to 'redis'"):
        _ = module.RedisSessionInterface
    with pytest.raises(ImportError, match="write a store"):
        _ = module.ServerSideSessionInterface
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = module.Nothing


def test_session_cleanup_purges(build: Any) -> None:
    """``flask session_cleanup`` removes expired records, and names the command to use; without a type there is none."""
    app: Flask = build(SESSION_TYPE="filesystem")
    app.test_client().get("/")
    result = app.test_cli_runner().invoke(args=["session_cleanup"])
    assert result.exit_code == 0
    assert "Removed 0 expired records." in result.output
    assert "use `flask sessions purge`" in result.output
    assert "session_cleanup" not in build().cli.commands

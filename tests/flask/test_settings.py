"""Settings: their valid values, and the errors for others."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from support.web import Web, attributes, cookies_set

from holdfast.errors import ConfigurationError
from holdfast.flask import Session, session
from holdfast.flask.interface import HoldfastInterface
from holdfast.flask.settings.table import OWN
from holdfast.sessions.directory import directory
from holdfast.stores.files import FileStore
from holdfast.stores.jsonfile import JSONFileStore
from holdfast.stores.memory import MemoryStore
from holdfast.stores.sqlite import SQLiteStore

DEFAULTS = {setting.name: setting.default for setting in OWN}


@pytest.fixture
def made() -> Iterator[list[Any]]:
    """Return a list of stores, which are closed after the test."""
    stores: list[Any] = []
    yield stores
    for store in stores:
        getattr(store, "close", lambda: None)()


@pytest.fixture
def build(tmp_path: Path, made: list[Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that makes an application with settings, its instance and static folders in a temporary one."""
    monkeypatch.chdir(tmp_path)

    def build(**config: Any) -> Flask:
        app = Flask("shop", instance_path=str(tmp_path / "instance"), static_folder=str(tmp_path / "static"))
        app.config.update(config)
        Session(app)
        app.add_url_rule("/", "put", lambda: str(session.setdefault("a", [1])))
        app.add_url_rule("/get", "get", lambda: str(session.get("a")))
        if isinstance(app.session_interface, HoldfastInterface):
            made.append(directory(app.session_interface.manager).store)
        return app

    return build


def store_of(app: Flask) -> Any:
    """Return the store of an application."""
    assert isinstance(app.session_interface, HoldfastInterface)
    return directory(app.session_interface.manager).store


def assert_works(app: Flask) -> None:
    """Assert that a session is kept from one request to the next."""
    browser = app.test_client()
    assert browser.get("/").text == "[1]"
    assert browser.get("/get").text == "[1]"


# --- SESSION_STORE ---------------------------------------------------------------------------------------------------


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


def test_a_store_that_would_be_served_is_refused(build: Any, tmp_path: Path) -> None:
    """So is a store made by hand."""
    with pytest.raises(ConfigurationError, match="served"):
        build(SESSION_STORE=JSONFileStore(tmp_path / "static" / "s.json"))


# --- values ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "fix"),
    [
        ("SESSION_PERMANENT", "yes", "it must be True or False"),
        ("SESSION_SAVE_ON_ERROR", 1, "it must be True or False"),
        ("SESSION_USE_SIGNER", "no", "it must be True or False"),
        ("SESSION_KEEP_DEVICE", "yes", "it must be True or False"),
        ("SESSION_KEEP_ADDRESS", 1, "it must be True or False"),
        ("SESSION_KEY_PREFIX", b"x", "it must be text"),
        ("SESSION_ON_CONFLICT", "retry", "it must be one of 'merge', 'error'"),
        ("SESSION_ON_STORE_ERROR", "ignore", "it must be one of 'raise', 'anonymous'"),
        ("SESSION_MAX_BYTES", 0, "it must be a number of bytes greater than 0"),
        ("SESSION_MAX_BYTES", "1M", "it must be a number of bytes greater than 0"),
        ("SESSION_ROTATION_GRACE", "soon", "it must be seconds greater than 0, or a timedelta"),
        ("SESSION_SERIALIZATION_FORMAT", "pickle", "msgpack"),
        ("SESSION_TYPE", "rediss", "it must be one of"),
    ],
)
def test_a_wrong_value_is_an_error_at_the_start(build: Any, name: str, value: Any, fix: str) -> None:
    """The error names the setting, the value and what to write instead."""
    with pytest.raises(ConfigurationError) as caught:
        build(**{name: value})
    for part in (name, repr(value), fix):
        assert part in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_a_wrong_owner_key_is_not_shown(build: Any) -> None:
    """An error about a secret setting does not repeat it."""
    with pytest.raises(
        ConfigurationError, match="SESSION_OWNER_KEY is of the type int: it must be bytes or text"
    ) as caught:
        build(SESSION_OWNER_KEY=271828)
    assert "271828" not in str(caught.value)


@pytest.mark.parametrize("key", ["", b""])
def test_an_empty_owner_key_is_refused(build: Any, key: Any) -> None:
    """An empty secret, as an unset variable of the environment gives, is not taken for one."""
    with pytest.raises(ConfigurationError, match="SESSION_OWNER_KEY is empty"):
        build(SESSION_OWNER_KEY=key)


@pytest.mark.parametrize("key", ["secret", b"secret"])
def test_an_owner_key_changes_the_owner_values(key: Any) -> None:
    """With ``SESSION_OWNER_KEY`` the store does not reveal the user of a session."""
    keyed, plain = Web(SESSION_OWNER_KEY=key), Web()
    owners = [(web.do(lambda: session.bind("ada")), web.see(lambda: session.owner))[1] for web in (keyed, plain)]
    assert owners[0] != owners[1]
    assert len(keyed.sessions.of("ada")) == 1


def test_prefixes_keep_applications_apart() -> None:
    """A cookie of one application is rejected by another that shares its store under another ``SESSION_KEY_PREFIX``."""
    one = Web()
    two = Web(SESSION_STORE=one.store, SESSION_KEY_PREFIX="other:")
    one.put(a=1)
    assert two.data(two.with_token(one.token())) == {}
    three = Web(SESSION_STORE=one.store)
    assert three.data(three.with_token(one.token())) == {"a": 1}


def test_none_stands_for_the_default(build: Any) -> None:
    """A setting of None is as good as none at all."""
    assert_works(build(**dict.fromkeys(DEFAULTS)))


def test_defaults_are_in_the_configuration(build: Any) -> None:
    """The defaults can be read afterwards."""
    app = build()
    assert {name: app.config[name] for name in DEFAULTS} == DEFAULTS


def test_settings_are_read_at_each_request(web: Web) -> None:
    """Timeouts, limits and choices that change after the start hold from the next request on."""
    web.put(a=1)
    web.app.config["SESSION_MAX_BYTES"] = 10
    with pytest.raises(Exception, match="exceeds the limit"):
        web.put(b="x" * 100)
    web.app.config.update(SESSION_MAX_BYTES=1000, SESSION_ABSOLUTE_LIFETIME=timedelta(seconds=10))
    web.clock.advance(10)
    assert web.data() == {}


def test_a_wrong_live_value_is_an_error_at_the_request(web: Web) -> None:
    """A setting that is changed to a wrong value is refused by the requests that use their session."""
    web.put(a=1)
    web.app.config["SESSION_MAX_BYTES"] = "1M"
    with pytest.raises(ConfigurationError, match="SESSION_MAX_BYTES is '1M': it must be a number of bytes"):
        web.data()
    web.app.config["SESSION_MAX_BYTES"] = 1000
    assert web.data() == {"a": 1}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SESSION_STORE", "memory://"),
        ("SESSION_TYPE", "redis"),
        ("SESSION_USE_SIGNER", True),
        ("SESSION_KEY_PREFIX", "other:"),
        ("SESSION_SEAL_KEYS", ["hunter2"]),
        ("SESSION_PROFILE", "asvs-l1"),
        ("SESSION_FILE_MODE", 0o640),
    ],
)
def test_a_late_change_without_effect_is_an_error(web: Web, name: str, value: Any) -> None:
    """A setting that was read once, and is changed before the first request, is an error at each request."""
    web.sessions.purge()
    web.app.config[name] = value
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=f"^{name} was changed after Session") as caught:
            web.do(lambda: None)
        assert "hunter2" not in str(caught.value)


# --- Flask's settings ------------------------------------------------------------------------------------------------

SWITCHES = [
    "SESSION_COOKIE_HTTPONLY",
    "SESSION_COOKIE_PARTITIONED",
    "SESSION_COOKIE_SECURE",
    "SESSION_REFRESH_EACH_REQUEST",
]


@pytest.mark.parametrize("name", SWITCHES)
@pytest.mark.parametrize("value", ["False", "true", "0", "", b"", [], 2, object()])
def test_a_switch_of_flask_as_text_is_refused(build: Any, name: str, value: Any) -> None:
    """Flask takes every text for True, as "False" from the environment: here it is an error at the start."""
    with pytest.raises(ConfigurationError) as caught:
        build(**{name: value})
    assert str(caught.value) == f"{name} is {value!r}: it must be True or False"


@pytest.mark.parametrize("name", ["SESSION_COOKIE_HTTPONLY", "SESSION_COOKIE_SECURE", "SESSION_REFRESH_EACH_REQUEST"])
@pytest.mark.parametrize("value", [True, False, 1, 0])
def test_a_switch_of_flask_may_be_a_number(build: Any, name: str, value: Any) -> None:
    """1 and 0, as Flask reads them from the environment, are True and False."""
    assert build(**{name: value}).config[name] == value


@pytest.mark.parametrize(
    "domain",
    [
        "http://example.com",
        "https://example.com:443/",
        "example.com/shop",
        "com",
        ".com",
        "com:5000",
        "*.example.com",
        "example..com",
        "example.com.",
        "-example.com",
        "example-.com",
        "exam ple.com",
        " example.com",
        "example.com,example.org",
        "[::1]",
        "x" * 64 + ".com",
        ["example.com"],
        b"example.com",
        1,
    ],
)
def test_a_domain_that_browsers_drop_is_refused(build: Any, domain: Any) -> None:
    """A cookie with such a Domain would never come back: the start fails, and names the setting and the value."""
    with pytest.raises(ConfigurationError, match=r"^SESSION_COOKIE_DOMAIN is .*: (it must|browsers drop)"):
        build(SESSION_COOKIE_DOMAIN=domain)


@pytest.mark.parametrize(
    ("domain", "sent"),
    [
        ("example.com", "example.com"),
        (".example.com", "example.com"),
        ("example.com:5000", "example.com"),
        ("shop.example.co.uk", "shop.example.co.uk"),
        ("b\u00fccher.example", "xn--bcher-kva.example"),
        ("127.0.0.1", "127.0.0.1"),
        ("localhost", "localhost"),
        ("", None),
        (None, None),
        (False, None),
    ],
)
def test_a_domain_that_browsers_keep_is_sent(domain: Any, sent: str | None) -> None:
    """Other domains are sent as Werkzeug writes them."""
    [cookie] = cookies_set(Web(SESSION_COOKIE_DOMAIN=domain).put(a=1))
    assert attributes(cookie).get("domain") == sent


# --- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("SESSION_STOR", ": did you mean SESSION_STORE?"),
        ("SESSION_COOKIE_SAME_SITE", ": did you mean SESSION_COOKIE_SAMESITE?"),
        ("SESSION_ABSOLUTE_LIFE_TIME", ": did you mean SESSION_ABSOLUTE_LIFETIME?"),
        ("SESSION_XYZZY", ""),
    ],
)
def test_an_unknown_name_is_a_warning_with_the_nearest(build: Any, name: str, hint: str) -> None:
    """An unknown ``SESSION_*`` setting is a warning, which names the probable one and the line."""
    with pytest.warns(UserWarning, match="is not a setting") as heard:
        build(**{name: "x"})
    assert str(heard[0].message) == f"{name} is not a setting of Holdfast or Flask{hint}"


def test_a_warning_points_to_the_application() -> None:
    """The warning is about the line that made the extension, whichever way it was made."""
    for make in (Session, Session().init_app):
        app = Flask("shop")
        app.config.update(SESSION_STORE="memory://", SESSION_XYZZY=1)
        with pytest.warns(UserWarning, match="SESSION_XYZZY") as heard:
            make(app)
        assert Path(heard[0].filename).name == "test_settings.py"


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"SESSION_XYZZY": 1}, "SESSION_XYZZY is not a setting"),
        ({"SESSION_REDIS": 1}, "SESSION_REDIS has no effect"),
        ({"SESSION_ABSOLUTE_LIFETIME": timedelta(days=401)}, "at most 400 days"),
    ],
)
def test_every_warning_points_to_the_application(config: dict[str, Any], said: str) -> None:
    """Each warning is about the line that made the extension."""
    app = Flask("shop")
    app.config.update({"SESSION_STORE": "memory://", **config})
    with pytest.warns(UserWarning, match=said) as heard:
        Session(app)
    assert [Path(warning.filename).name for warning in heard] == ["test_settings.py"]


def test_known_names_are_no_warning(build: Any) -> None:
    """Flask's own settings, Flask-Login's, Flask-Session's and ours are known."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        build(
            SESSION_PROTECTION="strong", SESSION_COOKIE_PARTITIONED=False, SESSION_ID_LENGTH=32, SESSION_KEY_PREFIX="x"
        )


# --- Flask-Session's settings ----------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("name", ["SESSION_FILE_MODE", "SESSION_FILE_THRESHOLD"])
@pytest.mark.parametrize("value", ["600", -1, True, 0.5])
def test_file_numbers(build: Any, name: str, value: Any) -> None:
    """A mode or a threshold that is no whole number is an error that names it."""
    with pytest.raises(ConfigurationError, match=f"{name} is {value!r}: it must be a whole number"):
        build(SESSION_TYPE="filesystem", **{name: value})


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
        build(SESSION_STORE=Bare(), SESSION_OWNER_KEY=b"k" * 32)

"""Opening a store by its URL."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from typing import Any

import pytest
from support import seams

from holdfast.clock import Clock
from holdfast.errors import ConfigurationError
from holdfast.stores import registry
from holdfast.stores.contract import Closes
from holdfast.stores.memory import MemoryStore
from holdfast.stores.registry import open_store
from holdfast.testing import FakeClock

KEY = "ab" * 32
SECRET = "hunter2"


class Elsewhere:
    """A store class whose URLs are its driver's: it takes the whole URL."""

    url_options = None

    def __init__(self, url: str) -> None:
        self.url = url

    @classmethod
    def from_url(cls, url: str, *, clock: Clock) -> Elsewhere:
        """Return a store that remembers its URL."""
        return cls(url)


class Driverless:
    """A store class whose driver turns out to be missing when it is used."""

    @classmethod
    def from_url(cls, url: str, *, clock: Clock) -> Any:
        """Fail as an import does."""
        raise ModuleNotFoundError("No module named 'quick_driver'", name="quick_driver")


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows as a network store would add them."""
    rows = (
        registry._Backend(f"{__name__}:Elsewhere", ("quick",), "quick"),
        registry._Backend(f"{__name__}:Elsewhere", ("mysql+*",), "sql"),
        registry._Backend(f"{__name__}:Driverless", ("slow",), "slow"),
        registry._Backend("holdfast_no_such_module:Store", ("absent",), "absent"),
    )
    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or _this_module())
    seams.STORE_BACKENDS.plant(monkeypatch, seams.STORE_BACKENDS.sound + rows)


def _this_module() -> Any:
    module = type(sys)(__name__)
    vars(module).update(Elsewhere=Elsewhere, Driverless=Driverless)
    return module


@pytest.mark.parametrize("scheme", ["sqlite", "file", "json"])
def test_three_slashes_are_relative_and_four_absolute(scheme: str, tmp_path: Path) -> None:
    """A path after three slashes starts from the root folder, after four from the top, and both name the same store."""
    clock = FakeClock()
    relative = open_store(f"{scheme}:///kept/here", root=tmp_path, clock=clock)
    absolute = open_store(f"{scheme}:///{tmp_path}/kept/here", root=Path("/nowhere"), clock=clock)
    relative.create(KEY, b"data", expires_at=clock() + 1)
    record = absolute.load(KEY)
    assert record is not None
    assert record.data == b"data"
    assert (tmp_path / "kept" / "here").exists()
    for store in (relative, absolute):
        getattr(store, "close", lambda: None)()


@pytest.mark.parametrize("scheme", ["sqlite", "file", "json"])
def test_opening_touches_nothing(scheme: str, tmp_path: Path) -> None:
    """Opening a store makes no file and no folder."""
    open_store(f"{scheme}:///deep/below", root=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_memory_has_no_path(tmp_path: Path) -> None:
    """``memory://`` opens a memory store, and anything after it is refused."""
    assert isinstance(open_store("memory://", root=tmp_path), MemoryStore)
    with pytest.raises(ConfigurationError, match="memory://"):
        open_store("memory:///here", root=tmp_path)


def test_the_scheme_may_be_upper_case(tmp_path: Path) -> None:
    """A scheme is the same in upper case."""
    assert isinstance(open_store("MEMORY://", root=tmp_path), MemoryStore)


def test_percent_escapes_are_decoded(tmp_path: Path) -> None:
    """A percent-escape in a path stands for its character, so that a path can hold a question mark."""
    open_store("json:///what%3F%20now.json", root=tmp_path).create(KEY, b"data", expires_at=2**50)
    assert (tmp_path / "what? now.json").is_file()


def test_options_reach_the_store(tmp_path: Path) -> None:
    """The options of the URL are given to the store as what they mean."""
    store: Any = open_store("file:///here?mode=640", root=tmp_path)
    assert store._mode == 0o640
    store = open_store("sqlite:///here.db?timeout=2.5", root=tmp_path)
    assert store._connections._timeout == 2.5


def test_an_unknown_option_is_named(tmp_path: Path) -> None:
    """An option that the store does not have is an error that names it, the nearest one and those there are."""
    with pytest.raises(ConfigurationError, match=r"'timout', did you mean 'timeout'\? Known: timeout"):
        open_store("sqlite:///here.db?timout=2", root=tmp_path)


_SECONDS = "it must be seconds, more than 0 and at most 3600, such as 2.5"


@pytest.mark.parametrize(
    ("url", "fix"),
    [
        *[
            (f"{store}{name}={text}", _SECONDS)
            for store, name in [
                ("sqlite:///here.db?", "timeout"),
                ("memcached://h?", "timeout"),
                ("redis://h?", "timeout"),
                ("redis+cluster://h?", "connect_timeout"),
                ("redis+sentinel://h/s?", "wait_timeout"),
            ]
            for text in ("nan", "-1", "0", "inf", "1e9", "3601", "soon", "1_0", "", "\N{ARABIC-INDIC DIGIT ONE}")
        ],
        *[
            (f"{store}{name}={text}", f"it must be a whole number from {least} to 2147483647")
            for store, name, least in [
                ("memcached://h?", "max_bytes", 1),
                ("redis://h?", "db", 0),
                ("redis://h?", "wait_replicas", 0),
            ]
            for text in ("-1", "1.5", "nan", "many", "1_0", "", "9" * 5000)
        ],
        *[
            (f"file:///here?mode={text}", "it must be three octal digits, with 6 for the owner and no right to write")
            for text in ("9", "777777", "0o600", "400", "602", "666", "-600", "")
        ],
    ],
)
def test_a_bad_option_value_is_named(url: str, fix: str, tmp_path: Path) -> None:
    """A value that does not fit its option is an error at start-up that names the option, the value and the fix."""
    name, _, text = url.partition("?")[2].partition("=")
    with pytest.raises(ConfigurationError) as caught:
        open_store(url, root=tmp_path)
    assert f"option {name}={text!r} is not valid: {fix}" in str(caught.value)


@pytest.mark.parametrize(
    "url", ["sqlite:///a?timeout=1&timeout=2", "redis://h?db=1&db=1", "file:///a?mode=600&mode=640"]
)
def test_an_option_twice_is_refused(url: str, tmp_path: Path) -> None:
    """An option that is there twice is an error that names it, since one of the two would be without effect."""
    with pytest.raises(ConfigurationError, match=r"the option (timeout|db|mode) twice: remove one"):
        open_store(url, root=tmp_path)


@pytest.mark.parametrize(
    "url",
    [
        *[
            f"{scheme}://{host}"
            for scheme in ("redis", "memcached")
            for host in ("h:0", "h:1:2", "::1", "[::1", "h :1")
        ],
        "memcached://h:99999",
        "postgresql+psycopg://h:0/d",
        "mysql+pymysql://h:65536/d",
    ],
)
def test_a_host_and_a_port_are_what_there_can_be(url: str, tmp_path: Path) -> None:
    """A port below 1 or above 65535, or an IPv6 address without brackets, is an error at start-up."""
    with pytest.raises(ConfigurationError, match="port"):
        open_store(url, root=tmp_path)


def test_the_old_name_of_postgresql_is_put_right(tmp_path: Path) -> None:
    """``postgres://``, which some hosts hand out, is an error that says what to write instead."""
    with pytest.raises(ConfigurationError, match=r"'postgres' is not known: write postgresql\+psycopg://$"):
        open_store(f"postgres://u:{SECRET}@h/d", root=tmp_path)


def test_an_unknown_scheme_is_named(tmp_path: Path) -> None:
    """An unknown scheme is an error that names it, the nearest one and those there are."""
    with pytest.raises(ConfigurationError, match=r"'sqlit' is not known, did you mean 'sqlite'\? Known: .*memory"):
        open_store("sqlit:///here.db", root=tmp_path)


@pytest.mark.parametrize("url", ["", "sessions.db", "/var/sessions.db", f"user:{SECRET}@host://x", "sqlite:here.db"])
def test_a_url_has_a_scheme(url: str, tmp_path: Path) -> None:
    """A value that is not a URL is an error that shows how to write one."""
    with pytest.raises(ConfigurationError, match="no scheme: write it like sqlite:///"):
        open_store(url, root=tmp_path)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite://host/name", "file://", "json://sessions.json"])
def test_a_store_on_disk_is_a_path(url: str, tmp_path: Path) -> None:
    """Without a path, or with a host before it, the error shows the two ways to write a path."""
    with pytest.raises(ConfigurationError, match=r":///name.*:////path"):
        open_store(url, root=tmp_path)


@pytest.mark.usefixtures("table")
def test_a_network_store_gets_the_whole_url(tmp_path: Path) -> None:
    """A store whose options are None is given the URL as it is, query and all."""
    url = f"quick://user:{SECRET}@host/0?wait=1"
    store: Any = open_store(url, root=tmp_path)
    assert store.url == url


@pytest.mark.usefixtures("table")
def test_a_family_of_schemes_is_one_row(tmp_path: Path) -> None:
    """A dialect, with any driver or none, opens the dialect's store; the stores with a row of their own keep it."""
    for url in ("mysql+pymysql://host/db", "mysql://host/db"):
        assert isinstance(open_store(url, root=tmp_path), Elsewhere)
    with pytest.raises(ConfigurationError, match=r"'memory\+quick' is not known"):
        open_store("memory+quick://", root=tmp_path)


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize(("scheme", "module"), [("absent", "holdfast_no_such_module"), ("slow", "quick_driver")])
def test_a_missing_driver_names_its_extra(scheme: str, module: str, tmp_path: Path) -> None:
    """Where a driver is not installed, the error names it and the command that installs it."""
    with pytest.raises(ConfigurationError, match=rf"needs {module}, .*pip install 'holdfast\[{scheme}\]'"):
        open_store(f"{scheme}://user:{SECRET}@host", root=tmp_path)


def test_a_driver_that_is_broken_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a driver is installed and lacks a library of its own, the error has its reason, and asks for no module."""
    (tmp_path / "psycopg.py").write_text("raise ImportError('no pq wrapper available')")
    for name in [name for name in sys.modules if name.partition(".")[0] == "psycopg"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigurationError, match=r"module that cannot be imported: no pq wrapper available$"):
        open_store("postgresql+psycopg://u@h/d", root=tmp_path)


def test_a_python_without_sqlite_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Python itself lacks what a store needs, the error names that and no extra."""
    monkeypatch.delitem(sys.modules, "holdfast.stores.sqlite", raising=False)
    monkeypatch.setitem(sys.modules, "sqlite3", None)
    with pytest.raises(ConfigurationError, match=r"'sqlite' needs sqlite3, which is not installed$"):
        open_store("sqlite:///sessions.db", root=tmp_path)


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize(
    "url",
    [
        f"sqlit://user:{SECRET}@host/x",
        f"user:{SECRET}@host",
        f"sqlite://user:{SECRET}@host/x",
        f"absent://user:{SECRET}@host",
        f"memory://user:{SECRET}@host",
        f"redis://user:pass?{SECRET}@host",
        f"redis://user:pass?{SECRET}={SECRET}@host",
        f"memcached://user:pass?{SECRET}@host",
    ],
)
def test_no_message_shows_credentials(url: str, tmp_path: Path) -> None:
    """For any fault in a URL, its password is not in the message."""
    with pytest.raises(ConfigurationError) as caught:
        open_store(url, root=tmp_path)
    assert SECRET not in str(caught.value)
    assert SECRET not in str(caught.value.__cause__)


SCHEMES = [
    *(
        "redis",
        "redis+cluster",
        "redis+sentinel",
        "unix",
        "memcached",
        "mongodb",
        "dynamodb",
        "postgresql+psycopg",
        "mysql+pymysql",
    ),
    *("sqlite+pysqlite", "sqlite", "file", "json", "postgres", "nosuch"),
]
PASSWORDS = [
    *("Hunter2?x", "?Hunter2", "a@b?Hunter2", "a@b?Hunter2=1", "x?Hunter2=1&", "Hunter2#", "/Hunter2", "Hunter2 x"),
    *("[Hunter2", "Hunter2]", "%Hunter2", "a&Hunter2=1", "a@Hunter2", "a;Hunter2", "a,Hunter2", "a?timeout=Hunter2"),
    *("a?timeout=1&Hunter2", "a@b?prefix=c&Hunter2=d", "Hunter2:1", "\N{LATIN SMALL LETTER E WITH ACUTE}?Hunter2"),
]


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("rest", ["host/0", "host:6379/0", "host", "host:x/0", "host:6379/0?timeout=soon"])
def test_no_message_quotes_a_password(scheme: str, rest: str, tmp_path: Path) -> None:
    """A password whose special characters are not encoded is in no error, nor in what that was raised from."""
    for password in PASSWORDS:
        for user in ("", "user"):
            try:
                store = open_store(f"{scheme}://{user}:{password}@{rest}", root=tmp_path)
            except ConfigurationError as error:
                said = "".join(traceback.format_exception_only(error))
                cause = error.__cause__ if error.__suppress_context__ else error.__context__
                said += repr(cause)
            else:
                said = repr(store)
                if isinstance(store, Closes):
                    store.close()
            assert "Hunter2" not in said, password


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_line_break_is_no_part_of_a_url(scheme: str, tmp_path: Path) -> None:
    """What comes with a URL from a file is refused at start-up: it would be a part of a name, or of a password."""
    for url in (f"{scheme}://user:{SECRET}@host/0\n", f" {scheme}:///name", f"{scheme}://host\t/name"):
        with pytest.raises(ConfigurationError, match="a blank at an end, or a line break: remove it") as caught:
            open_store(url, root=tmp_path)
        assert SECRET not in str(caught.value)

"""The values of Flask-Session's records: read as they are, and refused without harm if damaged or hostile."""

from __future__ import annotations

import base64
import collections
import datetime as dt
import json
import pickle  # noqa: TID251  # the tests write what old releases wrote
import pickletools
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack  # type: ignore[import-untyped]  # it ships no annotations
import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup
from moving_in.conftest import with_cookie
from moving_in.old_application import VALUES, application

from holdfast.errors import ConfigurationError, DecodeError
from holdfast.flask import Session
from holdfast.imports.flask_session import decoded

_ID = "3f2b6a4e-3d51-4b7e-9a51-0d8c7c1b0a11"


@pytest.mark.parametrize("protocol", range(6))
def test_every_type_is_read_from_a_pickle(protocol: int) -> None:
    """A pickle of each protocol stands for the same values, with the same types, as for Python."""
    shared = ["one", ("two",)]
    data = {
        **VALUES,
        "markup": Markup("<b>"),
        "frozen": frozenset({1}),
        "time": dt.time(1, 2, 3, 4),
        "zone": dt.datetime(2026, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=2))),
        "twice": [shared, shared],
        "empty": [(), [], {}, set(), "", b""],
        "many": list(range(3000)),
    }
    read = decoded(pickle.dumps(data, protocol))
    assert read == data
    assert {key: type(value) for key, value in read.items()} == {key: type(value) for key, value in data.items()}


@pytest.mark.parametrize("protocol", range(6))
def test_the_library_s_kinds_of_dict_become_dicts(protocol: int) -> None:
    """So they do where a session of Holdfast's gets one; a factory is not called, and alone it is no value."""
    factories: list[Any] = [None, list, dict, set, int, float, str]
    kinds: list[dict[Any, Any]] = [
        collections.OrderedDict(a=1, b=2),
        collections.Counter("abca"),
        *(collections.defaultdict(factory, a=1) for factory in factories),
    ]
    read = decoded(pickle.dumps({"kinds": kinds}, protocol))["kinds"]
    assert read == kinds
    assert {type(value) for value in read} == {dict}
    for value in (list, collections.OrderedDict, [int], {"a": dict}):
        with pytest.raises(DecodeError):
            decoded(pickle.dumps({"value": value}, protocol))


_plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary() | st.datetimes()
    | st.decimals(allow_nan=False) | st.uuids(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=20,
)  # fmt: skip


@given(data=st.dictionaries(st.text(), _plain), protocol=st.integers(0, 5))
def test_any_session_is_read_as_python_reads_it(data: dict[str, Any], protocol: int) -> None:
    """Any data of the listed types is read from its pickle."""
    assert decoded(pickle.dumps(data, protocol)) == data


@given(data=st.dictionaries(st.text(), st.none() | st.integers(-(2**63), 2**63) | st.text() | st.binary()))
def test_any_session_of_0_7_is_read(data: dict[str, Any]) -> None:
    """Any msgpack and any JSON of Flask-Session is read."""
    assert decoded(msgpack.packb(data)) == data
    texts = {key: value for key, value in data.items() if not isinstance(value, bytes)}
    assert decoded(json.dumps(texts).encode()) == texts


@pytest.mark.parametrize("moment", [0, 1, 2**32 - 1, 2**32, 2**33, -1, -(2**31), 0.25, -0.000001])
def test_moments_of_msgpack_are_read(moment: float) -> None:
    """Moments before and after 1970, with fractions of a second and without, are read in UTC."""
    at = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc) + dt.timedelta(seconds=moment)
    assert decoded(msgpack.packb({"at": at}, datetime=True)) == {"at": at}


_RECORDED = json.loads(Path(__file__).with_name("recorded.json").read_text("utf-8"))


@pytest.mark.parametrize("recorded", _RECORDED, ids=lambda each: f"{each['by']}-{each['in']}")
def test_what_real_releases_stored_is_read(recorded: dict[str, str]) -> None:
    """A value that a real release stored in a real place shows what that release showed."""
    data = decoded(base64.b64decode(recorded["value"]))
    kept = {key: value for key, value in data.items() if key not in {"_flashes", "_permanent"}}
    assert repr(sorted((key, type(value).__name__, value) for key, value in kept.items())) == recorded["shows"]
    assert data["_permanent"] is True
    assert next(iter(data["_flashes"]))[0] == "info"


class Runs:
    """Runs a program when it is unpickled."""

    def __init__(self, call: Callable[..., Any], *arguments: Any) -> None:
        self.call = call, arguments

    def __reduce__(self) -> Any:
        return self.call


def hostile(folder: Path) -> dict[str, bytes]:
    """Return pickles that run a program, import a module or grow without end."""
    import os
    import subprocess

    touch = f"touch {folder}/ran"
    bomb = b"\x80\x04]\x94" + b"(h\x00h\x00h\x00h\x00h\x00h\x00h\x00h\x00e"
    nested = b"\x80\x04" + b"]\x94" + b"".join(b"](" + b"h%c" % n * 8 + b"e\x94" for n in range(200))
    pairs = b"K\x01\x85\x94" + b"".join(b"h%c\x86\x94" % n for n in range(24))
    return {
        "system": pickle.dumps({"a": Runs(os.system, touch)}),
        "popen": pickle.dumps({"a": Runs(subprocess.Popen, touch, -1)}),
        "eval": pickle.dumps({"a": Runs(eval, f"__import__('os').system({touch!r})")}),
        "exec by protocol 0": pickle.dumps({"a": Runs(exec, "1")}, 0),
        "getattr": pickle.dumps({"a": Runs(getattr, dt.datetime, "now")}),
        "of another class": pickle.dumps({"a": collections.deque([1])}),
        "state of a date": b"\x80\x04}(\x8c\x01a\x8c\x08datetime\x8c\x08datetime\x93)R}bu.",
        "uuid without number": b"\x80\x04}(\x8c\x01a\x8c\x04uuid\x8c\x04UUID\x93)\x81u.",
        "encode": b"\x80\x04}(\x8c\x01a\x8c\x07_codecs\x8c\x06encode\x93\x8c\x01b\x8c\x03rot\x86Ru.",
        "itself": bomb + b".",
        "a class": b"\x80\x04}(\x8c\x01a\x8c\x08datetime\x8c\x08datetime\x93u.",
        "lists of lists": b"\x80\x04}(\x8c\x01a" + nested[2:] + b"u.",
        "key of pairs": b"\x80\x04}" + pairs + b"K\x01s.",
        "set of pairs": b"\x80\x04}\x8c\x01a\x8f(" + pairs + b"\x90s.",
        "frozen pairs": b"\x80\x04}\x8c\x01a(" + pairs + b"\x91s.",
        "set by name": b"\x80\x02}U\x01ac__builtin__\nset\n](" + pairs + b"e\x85Rs.",
        "persistent": b"\x80\x04}(\x8c\x01a\x8c\x01bQu.",
        "extension": b"\x80\x02}(U\x01a\x82\x01u.",
        "deep": b"(" * 100_000,
        "no dict": pickle.dumps([1]),
        "nothing": b"",
        "mark": b"\x80\x04(.",
    }


def test_a_hostile_pickle_runs_nothing(tmp_path: Path) -> None:
    """A pickle that would run a program, or grow without end, is refused in less than a second, and runs nothing."""
    for name, payload in hostile(tmp_path).items():
        start = time.process_time()
        with pytest.raises(DecodeError):
            pytest.fail(f"{name}: {decoded(payload)!r}")
        assert time.process_time() - start < 1, name
    assert not (tmp_path / "ran").exists()


def test_damaged_pickles_are_read_or_refused() -> None:
    """A pickle with any byte changed or cut off raises the one error, or stands for data."""
    chance = random.Random(12)
    for protocol in range(6):
        good = pickle.dumps({**VALUES, "markup": Markup("<b>")}, protocol)
        for _ in range(300):
            payload = bytearray(good)
            for _ in range(chance.randint(1, 3)):
                payload[chance.randrange(len(payload))] = chance.randrange(256)
            try:
                data = decoded(bytes(payload[: chance.choice([len(payload), chance.randrange(len(payload))])]))
            except DecodeError:
                continue
            assert type(data) is dict


def test_the_reader_knows_each_opcode_that_python_writes() -> None:
    """Each opcode that pickling a session writes, in any protocol, is among those that are read."""
    from holdfast.imports import pickled

    known = pickled._ACTIONS.keys() | {"STOP"}
    written = {
        opcode.name
        for protocol in range(6)
        for opcode, *_ in pickletools.genops(pickle.dumps({**VALUES, "markup": Markup("<b>")}, protocol))
    }
    assert written <= known


@pytest.fixture
def folder(tmp_path: Path, apps: list[Flask]) -> Callable[[bytes], Flask]:
    """Return a function that makes an application whose old folder has a file with a value, as cachelib writes it."""
    import hashlib

    def folder(payload: bytes) -> Flask:
        (tmp_path / "files").mkdir(exist_ok=True)
        name = hashlib.sha256(f"session:{_ID}".encode()).hexdigest()
        (tmp_path / "files" / name).write_bytes(payload)
        config = {"SESSION_TYPE": "filesystem", "SESSION_FILE_DIR": str(tmp_path / "files")}
        apps.append(application(Session, {**config, "INSTANCE_PATH": str(tmp_path / "instance")}))
        return apps[-1]

    return folder


def test_damaged_records_are_no_session(folder: Callable[[bytes], Flask], tmp_path: Path) -> None:
    """A damaged or hostile record gives an empty session and no error, and nothing is stored for it."""
    for payload in [*hostile(tmp_path).values(), b"\xc1", b"{", b'{"a":', b"\x81\xa1", b"\x00\xff"]:
        app = folder(bytes(4) + payload)
        response = with_cookie(app, _ID).get("/me")
        assert (response.status_code, response.text) == (200, "None")
        assert "Set-Cookie" not in response.headers
        assert app.extensions["holdfast"].manager.count() == 0
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("ends_in", [-10, None, 1000])
def test_an_expired_file_is_no_session(folder: Callable[[bytes], Flask], ends_in: int | None) -> None:
    """A file whose time is over is no session; one without an end is."""
    import struct

    expiry = 0 if ends_in is None else int(time.time()) + ends_in
    app = folder(struct.pack("I", expiry) + pickle.dumps({"name": "Ida"}))
    assert with_cookie(app, _ID).get("/me").text == ("None" if ends_in == -10 else "Ida")


def test_values_stay_what_they_are(tmp_path: Path, apps: list[Flask]) -> None:
    """A tuple, a set, a moment, an amount and an id come back as they went in, from the first request on."""
    config = {"SESSION_TYPE": "filesystem", "SESSION_FILE_DIR": str(tmp_path / "files")}
    apps.append(application(Session, {**config, "INSTANCE_PATH": str(tmp_path)}, markup=True))
    browser = apps[-1].test_client()
    browser.get("/login/ada")
    shown = browser.get("/values").text
    for key, value in {**VALUES, "markup": Markup("<b>")}.items():
        assert repr((key, type(value).__name__, value)) in shown


def test_a_cache_in_the_folder_counts_its_own_files_alone(
    folder: Callable[[bytes], Flask], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """After a rollback with 40 sessions of ours beside, cachelib removes no live session, and warns of no file."""
    cachelib = pytest.importorskip("cachelib")
    app = folder(bytes(4) + pickle.dumps({"name": "Ida"}))
    for number in range(40):
        app.test_client().get(f"/name/{number}")
    cache = cachelib.FileSystemCache(str(tmp_path / "files"), threshold=20)
    for number in range(10):
        assert cache.set(f"session:{number}", {"name": "Eve"}, 60)
    assert cache.get(f"session:{_ID}") == {"name": "Ida"}
    assert not caplog.records


def test_a_session_in_a_folder_that_anyone_can_write_to_is_not_taken_over(
    folder: Callable[[bytes], Flask], tmp_path: Path
) -> None:
    """Another user of the machine could have planted it: no application starts, and a running one answers 503."""
    app = folder(bytes(4) + pickle.dumps({"name": "Ida"}))
    (tmp_path / "files").chmod(0o777)
    assert with_cookie(app, _ID).get("/me").status_code == 503
    with pytest.raises(ConfigurationError, match="chmod o-w"):
        folder(b"")

"""Choose the serializer: the types that each candidate supports, its reaction to hostile bytes, and its speed.

Usage: python benchmarks/serializers.py

The candidates are ormsgpack, msgspec and msgpack. Each is timed as a whole codec, Holdfast's own over that library:
every type is returned unchanged, deep nesting is refused, and a payload is read only if it is canonical.
"""

from __future__ import annotations

import dataclasses
import enum
import platform
import random
import resource
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import UUID

import msgpack  # type: ignore[import-untyped]  # it ships no annotations
import msgspec
import ormsgpack
from flask.json.tag import TaggedJSONSerializer
from markupsafe import Markup

from holdfast.records.codec import JSON, MAX_DEPTH
from holdfast.records.codec.formats import Default, ExtHook, MsgpackCodec, Ormsgpack

SEED = 20_240_611
ROUNDS = 25
ROUND_SECONDS = 0.004
MEMORY = 2 << 30


# --- the candidates, as Holdfast would use them -----------------------------------------------------------------------


class Msgpack:
    """msgpack with a reused packer, which is its fastest way, and a hook for values that it does not write exactly."""

    def __init__(self) -> None:
        self.ext = msgpack.ExtType
        self._packer: Any = None

    def pack(self, lowered: Any, /) -> bytes:
        """Return an encoded value as bytes."""
        packed: bytes = msgpack.packb(lowered, strict_types=True)
        return packed

    def pack_native(self, data: dict[Any, Any], default: Default, /) -> bytes | None:
        """Return data encoded, or None."""
        if self._packer is None:
            self._packer = msgpack.Packer(strict_types=True, default=default)
        try:
            packed: bytes = self._packer.pack(data)
        except (TypeError, ValueError, OverflowError):
            return None
        return packed

    def unpack(self, payload: bytes, hook: ExtHook | None, /) -> Any:
        """Return the data in *payload*."""
        return msgpack.unpackb(payload, ext_hook=hook)


class Msgspec:
    """msgspec, which writes many types in its own way without a hook: data must be known to be plain."""

    _PLAIN = frozenset({type(None), bool, int, float, str, bytes})
    _TEXT = frozenset({str})

    def __init__(self) -> None:
        self.ext = msgspec.msgpack.Ext
        self.pack = msgspec.msgpack.Encoder().encode

    def pack_native(self, data: dict[Any, Any], _default: Default, /) -> bytes | None:
        """Return data encoded if all of it is plain, else None."""
        level: list[Any] = [data]
        for _ in range(MAX_DEPTH):
            for container in level:
                if type(container) is dict and not self._TEXT.issuperset(map(type, container)):
                    return None
            level = [
                value
                for container in level
                for value in (container.values() if type(container) is dict else container)
                if type(value) not in self._PLAIN
            ]
            if not level:
                return self._encoded(data)
            if not all(type(value) is dict or type(value) is list for value in level):
                return None
        return None

    def _encoded(self, data: dict[Any, Any]) -> bytes | None:
        try:
            return self.pack(data)
        except (OverflowError, ValueError):
            return None

    def unpack(self, payload: bytes, hook: ExtHook | None, /) -> Any:
        """Return the data in *payload*."""
        untyped: Any = hook  # it gets a memoryview, which our hooks can read as well
        return msgspec.msgpack.decode(payload, ext_hook=untyped)


class FlaskTagged:
    """The serializer of Flask's cookie sessions, for comparison: it supports fewer types and checks nothing."""

    def __init__(self) -> None:
        serializer = TaggedJSONSerializer()
        self.dumps: Callable[[Any], Any] = serializer.dumps
        self.loads: Callable[[Any], Any] = serializer.loads


CODECS: dict[str, Any] = {
    "ormsgpack": MsgpackCodec(Ormsgpack()),
    "msgspec": MsgpackCodec(Msgspec()),
    "msgpack": MsgpackCodec(Msgpack()),
    "json": JSON,
    "Flask's": FlaskTagged(),
}
LIBRARIES = ["ormsgpack", "msgspec", "msgpack"]


# --- sessions ---------------------------------------------------------------------------------------------------------


def sessions(rng: random.Random) -> dict[str, dict[str, Any]]:
    """Return typical sessions of applications."""

    def token(length: int) -> str:
        return "".join(rng.choices("0123456789abcdef", k=length))

    def line(*, special: bool) -> dict[str, Any]:
        price = rng.randrange(100, 20_000) / 100
        return {
            "sku": f"SKU-{rng.randrange(10**6):06}",
            "qty": rng.randrange(1, 9),
            "price": Decimal(f"{price:.2f}") if special else price,
            "options": ("red", "XL") if special else ["red", "XL"],
        }

    login = {
        "_user_id": "42",
        "_fresh": True,
        "_id": token(128),
        "_permanent": True,
        "csrf_token": token(40),
        "locale": "en",
        "theme": "dark",
        "visits": rng.randrange(1000),
        "last_seen": rng.random() * 2e9,
        "next": None,
    }
    special = {
        **login,
        "_flashes": [("message", "Saved."), ("error", Markup("<b>Not</b> sent."))],
        "last_seen": datetime(2026, 5, 4, 3, 2, 1, tzinfo=timezone.utc),
        "cart_id": UUID(int=rng.getrandbits(128)),
        "total": Decimal("12.50"),
        "roles": {"admin", "staff"},
    }
    user = {"_user_id": "42", "_fresh": True}
    return {
        "login, 10 keys": login,
        "login, with types": special,
        "cart": {**user, "cart": [line(special=False) for _ in range(5)]},
        "cart, with types": {**user, "cart": [line(special=True) for _ in range(5)]},
        "600 bytes": {**login, "bio": "é" * 50, "history": [f"/product/{rng.randrange(10**5)}" for _ in range(13)]},
        "6 KB": {**login, "cart": [line(special=False) for _ in range(112)]},
        "6 KB, with types": {**login, "cart": [line(special=True) for _ in range(91)]},
    }


# --- what each library keeps ------------------------------------------------------------------------------------------


class Color(enum.Enum):
    """An enumeration."""

    RED = "red"


class Level(enum.IntEnum):
    """An enumeration of ints."""

    HIGH = 3


@dataclasses.dataclass
class Point:
    """A dataclass."""

    x: int = 1


class Name(str):
    """A subclass of str."""

    __slots__ = ()


VALUES: dict[str, Any] = {
    "None, bool, str, list": [None, True, "é", [1]],
    "int, 64 bits": [-(2**63), 2**64 - 1],
    "int, larger": 2**64,
    "float": [1.5, -0.0, float("inf")],
    "bytes": b"\xff",
    "tuple": (1, 2),
    "set": {1},
    "Decimal": Decimal("1.50"),
    "UUID": UUID(int=1),
    "datetime, aware": datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=1))),
    "datetime, naive": datetime(2026, 1, 2),  # noqa: DTZ001  # sessions hold naive ones too
    "date": date(2026, 1, 2),
    "timedelta": timedelta(1),
    "Markup": Markup("<b>"),
    "str subclass": Name("a"),
    "IntEnum": Level.HIGH,
    "Enum": Color.RED,
    "dataclass": Point(),
    "bytearray": bytearray(b"a"),
    "dict, int key": {1: 2},
    "dict, tuple key": {(1, 2): 3},
    "dict, UUID key": {UUID(int=1): 2},
}


class HandedOverError(Exception):
    """The library called the hook."""


def hand_over(_: Any) -> Any:
    """A placeholder for the hook that writes values which a library does not."""
    raise HandedOverError


def library_packs(library: str) -> Callable[[Any], bytes]:
    """Return a packing function of a library alone, which leaves as much as possible to the hook."""
    if library == "ormsgpack":
        passed = [getattr(ormsgpack, name) for name in dir(ormsgpack) if name.startswith("OPT_PASSTHROUGH_")]
        return lambda value: ormsgpack.packb(value, hand_over, sum(passed))
    if library == "msgspec":
        return msgspec.msgpack.Encoder(enc_hook=hand_over).encode
    pack: Callable[[Any], bytes] = msgpack.Packer(strict_types=True, default=hand_over).pack
    return pack


def library_unpacks(library: str) -> Callable[[bytes], Any]:
    """Return an unpacking function of a library alone."""
    if library == "ormsgpack":
        return lambda data: ormsgpack.unpackb(data, option=ormsgpack.OPT_NON_STR_KEYS)
    if library == "msgspec":
        return msgspec.msgpack.decode
    return lambda data: msgpack.unpackb(data, strict_map_key=False)


def fate(library: str, value: Any) -> str:
    """Return the result for *value*: the same, written by the hook, refused with an error, or changed silently."""
    try:
        packed = library_packs(library)(value)
    except Exception as error:  # noqa: BLE001  # each library raises its own
        # ormsgpack turns the hook's error into its own.
        return "asked" if isinstance(error, HandedOverError) or "serializable:" in str(error) else "refused"
    back = library_unpacks(library)(packed)
    return "same" if type(back) is type(value) and repr(back) == repr(value) else f"-> {type(back).__name__}"


# --- hostile bytes ----------------------------------------------------------------------------------------------------

MANY = b"\xff\xff\xff\xff"
HOSTILE = {
    "array of 2^32-1 items": b"\xdd" + MANY + b"\xc0" * 10,
    "array of 2^31-1 items": b"\xdd\x7f" + MANY[:3] + b"\xc0" * 10,
    "1,000 nested arrays of 2^20": b"\xdd\x00\x10\x00\x00" * 1000 + b"\xc0" * 100_000,
    "map of 2^32-1 items": b"\xdf" + MANY + b"\xa1a\xc0",
    "900 nested maps of 2^20": b"\xdf\x00\x10\x00\x00\xa1a" * 900,
    "text of 2^32-1 bytes": b"\xdb" + MANY + b"a",
    "200,000 nested arrays": b"\x91" * 200_000,
    "100,000 nested maps": b"\x81\xa1a" * 100_000,
    "bytes after the end": b"\x81\xa1a\x01\x00",
    "a key twice": b"\x82\xa1a\x01\xa1a\x02",
}


def attack(library: str, name: str) -> None:
    """Unpack one hostile payload in this process, with little memory, and print the result."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    unpack = library_unpacks(library)
    began = time.perf_counter()
    try:
        unpack(HOSTILE[name])
        outcome = "accepted"
    except Exception as error:  # noqa: BLE001  # each library raises its own
        outcome = type(error).__name__
    seconds = time.perf_counter() - began
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(outcome if seconds < 1 and megabytes < 200 else f"{outcome}, {seconds:.1f} s, {megabytes} MB")


def outcome_of_attack(library: str, name: str) -> str:
    """Return the result of one hostile payload in a process of its own."""
    done = subprocess.run([sys.executable, __file__, library, name], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode >= 0 else f"killed: {signal.Signals(-done.returncode).name}"


# --- speed ------------------------------------------------------------------------------------------------------------


def seconds_of(work: Callable[[], object], times: int) -> float:
    """Return the duration of *work*, *times* times."""
    began = time.perf_counter()
    for _ in range(times):
        work()
    return time.perf_counter() - began


def measured(works: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Return the median microseconds of each of *works*, alternating."""
    times = {name: max(1, int(ROUND_SECONDS / (seconds_of(work, 20) / 20))) for name, work in works.items()}
    samples: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(ROUNDS):
        for name, work in works.items():
            samples[name].append(seconds_of(work, times[name]) / times[name])
    return {name: statistics.median(values) * 1e6 for name, values in samples.items()}


def round_trip(codec: Any, data: dict[str, Any]) -> Callable[[], object]:
    """Return a function that loads and dumps *data* once, as a request does."""
    payload = codec.dumps(data)
    return lambda: codec.dumps(codec.loads(payload))


# --- the report -------------------------------------------------------------------------------------------------------


def processor() -> str:
    """Return the name of the processor."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def table(head: list[str], rows: list[list[str]]) -> None:
    """Print a table."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, ["-" * width for width in widths], *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    print()


def main() -> None:
    """Print the three tables."""
    versions = ", ".join(f"{name} {version(name)}" for name in (*LIBRARIES, "Flask"))
    python = f"{platform.python_implementation()} {platform.python_version()}"
    print(f"{processor()}, {platform.system()}, {python}, {versions}")
    print(f"seed {SEED}; median of {ROUNDS} rounds of about {ROUND_SECONDS * 1000:.0f} ms each, taken in turns\n")

    print("What each library alone does with a type. `asked`: it calls the hook. `->`: it changes the type in silence.")
    table(["", *LIBRARIES], [[name, *(fate(lib, value) for lib in LIBRARIES)] for name, value in VALUES.items()])

    print(f"What each library alone does with hostile bytes, in a process with {MEMORY >> 30} GB of memory.")
    table(["", *LIBRARIES], [[name, *(outcome_of_attack(lib, name) for lib in LIBRARIES)] for name in HOSTILE])

    print("loads + dumps of a whole codec: microseconds with ormsgpack, the others as a multiple of it.")
    rows = []
    for name, data in sessions(random.Random(SEED)).items():
        found = measured({codec: round_trip(CODECS[codec], data) for codec in _able(data)})
        base = found["ormsgpack"]
        others = [f"{found[codec] / base:.2f} x" if codec in found else "-" for codec in list(CODECS)[1:]]
        rows.append([name, str(len(CODECS["ormsgpack"].dumps(data))), f"{base:.1f} us", *others])
    table(["", "bytes", *CODECS], rows)


def _able(data: dict[str, Any]) -> list[str]:
    """Return the codecs that can write *data* at all."""
    able = []
    for name, codec in CODECS.items():
        try:
            codec.dumps(data)
        except TypeError:
            continue
        able.append(name)
    return able


if __name__ == "__main__":
    if sys.argv[1:]:
        attack(*sys.argv[1:])
    else:
        main()

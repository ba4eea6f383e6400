"""What sealing adds to a request, in each mode."""

from __future__ import annotations

import os
import random
import time
import timeit
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from flask import Flask

from benchmarks.apps import DATA, with_holdfast, without_sessions
from benchmarks.backends import temp_folder
from benchmarks.measure import BASE, measured, overheads
from holdfast.records.encryption import new_key

_CALLS = 10_000
_MODES = ("keys", "cookie", "mac")
_COLD = "keys, first seen"

#: The most microseconds that the mode ``keys`` may add to a read and to a write.
TARGET = {"read": 10, "write": 15}


def report(*, samples: int, rng: random.Random) -> str:
    """Return the microseconds of processor time that sealing adds, on SQLite, and those of AES-GCM alone."""
    with ExitStack() as stack:
        apps: dict[str, Flask] = {BASE[0]: without_sessions()}
        for name in ("unsealed", *_MODES, _COLD):
            folder, settings = stack.enter_context(temp_folder()), dict[str, Any]()
            if name != "unsealed":
                settings = {"SESSION_SEAL": name.partition(",")[0], "SESSION_SEAL_KEYS": [new_key()]}
            apps[name] = with_holdfast("sqlite:///sessions.db", folder, **settings)
            if name == _COLD:
                interface: Any = apps[name].session_interface
                keyring = interface.manager.context.sealer._keys  # noqa: SLF001  # as if each record were new
                keyring.cipher = keyring.cipher.__wrapped__
        found = overheads(measured(apps, samples=samples, rng=rng, apart=True))
    lines = [
        f"Sealing: microseconds of processor time more than unsealed, on SQLite; {samples} requests of each kind",
        f"(held to {TARGET['read']} for a read and {TARGET['write']} for a write, with keys)",
        f"{'':18}{'read':>8}{'write':>8}",
    ]
    lines.append(f"{'AES-GCM alone':18}" + "".join(f"{each:8.1f}" for each in _bare()))
    for name in (*_MODES, _COLD):
        more = [found[name, path].cpu - found["unsealed", path].cpu for path in ("read", "write")]
        lines.append(f"{name:18}" + "".join(f"{each:8.0f}" for each in more))
    return "\n".join(lines)


def _bare() -> tuple[float, float]:
    """Return the microseconds that a read and a write take AES-GCM and the nonce, in a loop that does nothing else."""
    cipher, nonce, plain, associated = AESGCM(os.urandom(32)), os.urandom(12), DATA, os.urandom(128)
    sealed = cipher.encrypt(nonce, plain, associated)

    def microseconds(call: Callable[[], object]) -> float:
        return min(timeit.repeat(call, timer=time.thread_time, number=_CALLS)) / _CALLS * 1e6

    read = microseconds(lambda: cipher.decrypt(nonce, sealed, associated))
    return read, read + microseconds(lambda: cipher.encrypt(os.urandom(12), plain, associated))

"""Kill processes while they save, and look at what is left: ``python kills.py <url> <kills> <seed>``.

Two writers at a time create, save and end records of their own, and confirm each step through a pipe. Each is killed at
a random moment. The result of the last confirmed step, or of the next one, must be there, intact. Prints JSON: the
numbers of ``kills``, ``confirmed`` steps, ``torn`` records and ``lost`` steps.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from holdfast.records.record import Record
from holdfast.stores.contract import Store
from holdfast.stores.registry import open_store

SLOTS = 3
FOREVER = 2**50


def contents(life: int, number: int) -> bytes | None:
    """Return the data after step *number* of a writer's *life*; None where that step ends the record."""
    return None if number % 5 == 0 else b"%06d %08d " % (life, number) * random.Random(number).choice([1, 50, 2_000])


def is_whole(data: bytes) -> bool:
    """Return whether *data* is a result of some step of some life."""
    life, number = data[:16].split()
    return data == contents(int(life), int(number))


def key_of(writer: int, slot: int) -> str:
    """Return the key of a writer's record."""
    return f"{writer:032x}{slot:032x}"


def write(store: Store, writer: int, life: int, confirm: int) -> None:
    """Take one step after the other, for ever."""
    for slot in range(SLOTS):
        store.delete(key_of(writer, slot))
    for number in itertools.count(1):
        for slot in range(SLOTS):
            step(store, key_of(writer, slot), contents(life, number))
            os.write(confirm, b"%d %d\n" % (slot, number))


def step(store: Store, key: str, data: bytes | None) -> None:
    """Store *data* under *key*, or delete it."""
    record = store.load(key)
    if data is None:
        assert store.delete(key)
    elif record is None:
        assert store.create(key, data, expires_at=FOREVER, owner="ada") is not None
    else:
        answer = store.replace(key, data, expect=record.version, expires_at=FOREVER, owner="ada")
        assert isinstance(answer, int)


def start(url: str, writer: int, life: int) -> tuple[int, int]:
    """Start a writer. Return its process id and the end of the pipe that its confirmations come out of."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            write(open_store(url, root=Path()), writer, life, writing)
        finally:
            os._exit(1)
    os.close(writing)
    return pid, reading


def finish(pid: int, reading: int) -> list[tuple[int, int]]:
    """Kill the writer. Return its confirmed steps, each a slot and a number."""
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status), "a writer failed before it was killed"
    with os.fdopen(reading, "rb") as pipe:
        steps = [line.split() for line in pipe.read().splitlines()]
    return [(int(slot), int(number)) for slot, number in steps]


def look(url: str, writer: int, life: int, steps: list[tuple[int, int]]) -> dict[str, int]:
    """Count what is torn and what is lost of a dead writer's records."""
    store = open_store(url, root=Path())
    found = {"kills": 1, "confirmed": len(steps), "torn": 0, "lost": 0}
    for slot, number in dict(steps).items():
        record: Record | None = store.load(key_of(writer, slot))
        data = record.data if record else None
        if data is not None and not is_whole(data):
            found["torn"] += 1
        elif data not in {contents(life, number), contents(life, number + 1)}:
            found["lost"] += 1
    getattr(store, "close", lambda: None)()
    return found


def main(url: str, kills: int, seed: int) -> None:
    """Kill and look, again and again, and print the sums."""
    chance = random.Random(seed)
    sums = {"kills": 0, "confirmed": 0, "torn": 0, "lost": 0}
    for life in range(kills // 2):
        writers = {writer: start(url, writer, life) for writer in range(2)}
        for writer in chance.sample(range(2), 2):
            time.sleep(chance.uniform(0.01, 0.06))
            steps = finish(*writers[writer])
            for name, number in look(url, writer, life, steps).items():
                sums[name] += number
    sys.stdout.write(json.dumps(sums))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))

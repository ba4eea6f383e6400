"""A walk over all records, node by node, and again if slots of a Cluster moved during it: it may have missed some."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from holdfast.errors import StoreUnavailable
from holdfast.records.record import Page, Record

_KEY_BYTES = 32

# How often slots may move during a walk before it gives up.
_TURNS = 5

# A cursor of SCAN is less than this.
_CURSORS = 2**64

#: The number of keys that each further step of one call scans, while few are ours.
_STEPS = (16, 64, 256, 1_024, *[4_096] * 24)


def next_page(
    after: str | None,
    find_nodes: Callable[[], Mapping[str, Any]],
    layout: Callable[[], str],
    read: Callable[[Any, int], tuple[int, tuple[tuple[str, Record], ...]]],
) -> Page:
    """Return the page after the position *after*. A position is a node, a cursor, a turn, a layout, and nodes walked.

    Args:
        after: The position; None: the start. Another text than a position is a ValueError.
        find_nodes: Returns the nodes by name.
        layout: Returns the present layout, as `layout_of`.
        read: Returns the next cursor of a node and the records before it, given the node and a cursor.
    """
    at, cursor, turn, began_with, *done = (after or f"- 0 1 {layout()}").split()
    if not (0 <= int(cursor) < _CURSORS and 1 <= int(turn) <= _TURNS):
        raise ValueError("no page ends at such a position")
    nodes = find_nodes()
    left = sorted(nodes.keys() - set(done))
    items: tuple[tuple[str, Record], ...] = ()
    if left:
        if at not in left:
            at, cursor = left[0], "0"
        further, items = read(nodes[at], int(cursor))
        if further:
            return Page(items, " ".join([at, str(further), turn, began_with, *done]))
        left.remove(at)
    if left:
        return Page(items, " ".join(["-", "0", turn, began_with, *done, at]))
    now = layout()
    if now == began_with:
        return Page(items, None)
    if int(turn) >= _TURNS:
        raise StoreUnavailable("the slots of the Cluster are moving: a walk over all records may miss some; repeat it")
    return Page(items, f"- 0 {int(turn) + 1} {now}")


def scan_node(
    call: Callable[..., Any], node: Mapping[str, Any], prefix: bytes, cursor: int, limit: int
) -> tuple[int, list[bytes]]:
    """Return the next cursor of *node*, 0 at its end, and the names of about *limit* records from *cursor* on.

    *call* calls a method of the client, and *node* are the arguments that choose the node.
    """
    pattern = re.sub(rb"([*?\[\]\\])", rb"\\\1", prefix) + b"?" * _KEY_BYTES
    found: list[bytes] = []
    # COUNT is of every key scanned, including those of other programs: the rarer ours are, the longer the step.
    for count in [limit, *(step for step in _STEPS if step > limit)]:
        further, names = call("scan", cursor, match=pattern, count=count, **node)
        cursor = next(iter(further.values())) if isinstance(further, dict) else further
        found += names
        if not cursor or 2 * len(found) >= limit:
            break
    return cursor, found


def layout_of(call: Callable[..., Any], primaries: Iterable[Any], connection_of: Callable[[Any], Any]) -> str:
    """Return a digest of which of *primaries* has which slots, and how many records those have that are being moved.

    *call* calls a method of the client, and *connection_of* returns the client of one node.
    """
    parts = []
    for node in primaries:
        known = call("cluster", "nodes", of=connection_of(node))
        mine: dict[str, Any] = next((each for each in known.values() if "myself" in each["flags"]), {})
        moving = [int(each["slot"]) for each in mine.get("migrations", ())]
        counts = [call("execute_command", "CLUSTER COUNTKEYSINSLOT", slot, of=connection_of(node)) for slot in moving]
        parts.append(f"{node.name} {mine.get('slots')} {moving} {counts}")
    return hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest()[:16]

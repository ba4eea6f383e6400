"""What a storm prints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from storm.campaign import Storm
from storm.checker import Finding
from storm.history import Request, Window
from storm.promises import DECLARED

#: The actions that may end the sessions of other browsers.
ENDS = ("login", "others", "everywhere")

#: How many violations of one rule are printed with their histories.
SHOWN = 3


def of(storm: Storm, *, whole: bool = False) -> str:
    """Return the lines about *storm*: figures, times, and each violation with its history.

    Args:
        storm: The storm.
        whole: Whether a history has all requests of its browsers, not only those that show the violation.
    """
    requests, faults = storm.history.requests, storm.history.faults
    statuses = Counter("no answer" if request.status is None else str(request.status) for request in requests)
    figures = ", ".join(f"{count:,} {status}" for status, count in statuses.most_common())
    title = f"{storm.place}, {'sealed' if storm.sealed else 'not sealed'}"
    lines = [f"{title:24} {len(requests):6,} requests: {figures}; {len(faults)} faults"]
    times = ", ".join(f"{kind} {ours:.1f} ({bare:.1f}) s" for kind, (ours, bare) in sorted(storm.back.items()))
    lines.append(f"    back after (the bare driver): {times or 'no fault'}")
    for entry, count in storm.declared.items():
        among = f"{count} of {storm.acknowledged[entry]:,} acknowledged"
        lines.append(f"    declared{', ' + entry.fault if entry.fault != '*' else ''}: {among}: {entry.reason}")
    for rule, count in Counter(finding.rule for finding in storm.violations).items():
        lines.append(f"    VIOLATED {count} times: {rule}")
        found = [finding for finding in storm.violations if finding.rule == rule]
        for finding in sorted(found, key=lambda finding: len(finding.evidence))[:SHOWN]:
            lines += _history(finding, storm, whole=whole)
    return "\n".join(lines) + "\n"


def _history(finding: Finding, storm: Storm, *, whole: bool) -> Iterator[str]:
    """Yield the shortest history of *finding*, or the whole: its requests, and the faults that they overlap."""
    yield f"        {finding.text}"
    first = min((_moment(event) for event in finding.evidence), default=finding.since)
    faults = [fault for fault in storm.history.faults if fault.ended > first - 1 and fault.began < finding.seen]
    seen = dict.fromkeys([*finding.evidence, *faults])
    if whole:
        browsers = {getattr(event, "browser", None) for event in finding.evidence}
        near = [request for request in storm.history.requests if first - 0.2 <= request.sent <= finding.seen]
        seen |= dict.fromkeys(near_by for near_by in near if near_by.browser in browsers or near_by.action in ENDS)
    yield from (f"            {event}" for event in sorted(seen, key=_moment))


def _moment(event: Request | Window) -> float:
    return event.sent if isinstance(event, Request) else event.began


def summary(storms: Sequence[Storm]) -> str:
    """Return the last lines: all figures, what is declared, and how to repeat the run."""
    requests = sum(len(storm.history.requests) for storm in storms)
    faults = sum(len(storm.history.faults) for storm in storms)
    broken = sum(len(storm.violations) for storm in storms)
    lines = [f"\n{requests:,} requests, {faults} faults, {broken} violations; --seed {storms[0].seed} repeats it"]
    lines.append("\nNot promised:")
    for entry in (entry for entry in DECLARED if entry.place in {"*", *(storm.place for storm in storms)}):
        count = sum(storm.declared[entry] for storm in storms)
        where = "every store" if entry.place == "*" else entry.place
        lines.append(f"    {where}, {entry.fault if entry.fault != '*' else 'at any time'}: {entry.reason}: {count}")
    return "\n".join(lines) + "\n"

"""Charts of what a store holds: sessions by user, device and age. ``holdfast/operator/charts.html`` draws them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from holdfast.sessions.flows.stats import SessionStats

#: The number of users and devices in a chart, and of characters of an owner value: enough to identify users.
_MOST, SHORT = 10, 12


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart with a bar for each name, one below the other; *bars* are names and numbers of sessions."""

    title: str
    bars: Sequence[tuple[str, int]]

    @property
    def highest(self) -> int:
        """The highest of the numbers, at least 1."""
        return max((number for _, number in self.bars), default=0) or 1


def charts_of(stats: SessionStats) -> list[Chart]:
    """Return charts of the sessions counted in *stats*, by user, device, age and last use."""
    users = [(f"{owner[:SHORT]}…", number) for owner, number in (stats.owners or Counter()).most_common(_MOST)]
    devices, known = stats.devices.most_common(_MOST), stats.devices.total()
    users += [("other users", _rest(stats.bound, users) if stats.owners else 0)]
    users += [("no user", stats.sessions - stats.bound)]
    devices += [("other devices", _rest(known, devices)), ("not known", stats.sessions - known)]
    return [
        Chart("By user", _some(users)),
        Chart("By device", _some(devices)),
        Chart("By age", list(stats.ages.items())),
        Chart("By the time since their last use", list(stats.idle.items())),
    ]


def _rest(total: int, shown: Sequence[tuple[str, int]]) -> int:
    return total - sum(number for _, number in shown)


def _some(numbers: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    return [(name, number) for name, number in numbers if number]

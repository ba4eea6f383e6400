"""A check, its arguments, and the report of all checks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any, Literal, NamedTuple, TypeAlias

from flask import Flask

from holdfast.errors import ConfigurationError
from holdfast.flask.interface import HoldfastInterface
from holdfast.flask.managers import CLIENT_SIDE
from holdfast.flask.settings.profiles import Profile, profile_named
from holdfast.stores.contract import Store

#: Whether a requirement is met. ``"yours"``: the application is responsible.
Status: TypeAlias = Literal["met", "not met", "yours", "not applicable"]

STATUSES: tuple[Status, ...] = ("met", "not met", "yours", "not applicable")

#: The profile of an application that has none.
_LEAST = "asvs-l1"


class Verdict(NamedTuple):
    """The result of a check.

    Attributes:
        status: Whether the requirement is met.
        found: The value that decided it.
        change: The line to change, or the action to take; empty if there is none.
    """

    status: Status
    found: str
    change: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the report.

    Attributes:
        area: The group of the row, such as ``"Cookie"``.
        name: The name within the group, such as ``"secure"``. Names are stable.
        requirements: The ids of the requirements, such as ``"ASVS 5.0 3.3.1"``.
        asks: The text of the requirement.
        status: Whether it is met.
        found: The value that decided it.
        change: The line to change, or the action to take; empty if there is none.
    """

    area: str
    name: str
    requirements: tuple[str, ...]
    asks: str
    status: Status
    found: str
    change: str


@dataclass(frozen=True, slots=True)
class Report:
    """The result for an application.

    Attributes:
        profile: The name of the profile that was checked.
        title: The standard and the level as text.
        rows: The results.
        advice: A change that fixes several rows at once; empty if there is none.
    """

    profile: str
    title: str
    rows: tuple[Row, ...]
    advice: str = ""

    @property
    def passes(self) -> bool:
        """Whether every required row is met."""
        return not self.with_status("not met")

    def with_status(self, status: Status) -> list[Row]:
        """Return the rows with *status*."""
        return [row for row in self.rows if row.status == status]

    def as_data(self) -> dict[str, Any]:
        """Return the report as data for JSON."""
        return {
            "profile": self.profile,
            "title": self.title,
            "passes": self.passes,
            "counts": {status: len(self.with_status(status)) for status in STATUSES},
            "advice": self.advice,
            "rows": [asdict(row) for row in self.rows],
        }


@dataclass(frozen=True, slots=True)
class Case:
    """The arguments of a check.

    Attributes:
        app: The application.
        profile: The profile to check.
        store: The store; None if sessions are in the cookie.
    """

    app: Flask
    profile: Profile
    store: Store | None

    @property
    def config(self) -> Mapping[str, Any]:
        """The settings."""
        return self.app.config

    def line(self, setting: str) -> str:
        """Return the line that sets *setting* to the profile's value."""
        return line(setting, self.profile.settings[setting])

    def wants(self, setting: str) -> Verdict:
        """Check that a setting has the profile's value."""
        value = self.config.get(setting)
        return unless(value == self.profile.settings[setting], f"{setting} is {value!r}", self.line(setting))


#: Checks one requirement. Its docstring is the requirement's text.
Judge: TypeAlias = Callable[[Case], Verdict]

#: Checks any number of requirements, and yields for each its name, the ids, the text, and the verdict.
Judges: TypeAlias = Callable[[Case], Iterator[tuple[str, tuple[str, ...], str, Verdict]]]


class _Check(NamedTuple):
    area: str
    levels: Mapping[str, int]
    judge: Judges


_CHECKS: list[_Check] = []


def check(area: str, *requirements: str, asvs: int | None = 1, nist: int | None = 1) -> Callable[[Judge], Judge]:
    """Add a check to the report, from the level *asvs* or *nist* on; None: never under that standard."""

    def add(judge: Judge) -> Judge:
        name, asks = judge.__name__, " ".join((judge.__doc__ or "").split())
        levels = {which: level for which, level in (("asvs", asvs), ("nist", nist)) if level is not None}
        _CHECKS.append(_Check(area, levels, lambda case: iter([(name, requirements, asks, judge(case))])))
        return judge

    return add


def checks(area: str) -> Callable[[Judges], Judges]:
    """Add a check that makes any number of rows, at every level."""

    def add(judge: Judges) -> Judges:
        _CHECKS.append(_Check(area, {"asvs": 1, "nist": 1}, judge))
        return judge

    return add


def examine(app: Flask, *, profile: str | None = None) -> Report:
    """Check *app* against *profile*: by default its own, or the first level of ASVS.

    Reads the current settings, and queries the store.

    Raises:
        ConfigurationError: There is no profile of that name, or the application's sessions are not Holdfast's.
    """
    if "holdfast" not in app.extensions:
        raise ConfigurationError(f"the application {app.name!r} has no sessions of Holdfast: call Session(app)")
    chosen = profile or app.config["SESSION_PROFILE"] or _LEAST
    case = Case(app, profile_named(chosen), _store_of(app))
    rows = tuple(
        Row(each.area, name, requirements, asks, *verdict)
        for each in _CHECKS
        if each.levels.get(case.profile.standard, 4) <= case.profile.level
        for name, requirements, asks, verdict in each.judge(case)
    )
    report = Report(chosen, case.profile.title, rows)
    if report.passes or app.config["SESSION_PROFILE"] == chosen:
        return report
    return replace(report, advice=f'SESSION_PROFILE = "{chosen}" changes every setting above that is still Flask\'s.')


def _store_of(app: Flask) -> Store | None:
    interface = app.session_interface
    if not isinstance(interface, HoldfastInterface) or app.config["SESSION_STORE"] == CLIENT_SIDE:
        return None
    return interface.manager.store


def unless(good: object, found: str, change: str) -> Verdict:
    """Return that the requirement is met if *found* is *good*, else that it is not, with the change to make."""
    return Verdict("met", found) if good else Verdict("not met", found, change)


def line(setting: str, value: Any) -> str:
    """Return the line of a configuration file in Python that sets *setting* to *value*."""
    if isinstance(value, timedelta):
        return f"{setting} = {round(value.total_seconds())}  # {in_words(value)}"
    return f'{setting} = "{value}"' if isinstance(value, str) else f"{setting} = {value!r}"


def in_words(span: timedelta) -> str:
    """Return a span as text."""
    seconds = span.total_seconds()
    for size, unit in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= 2 * size or seconds == size:
            number = seconds / size
            return f"{number:g} {unit}" if number == 1 else f"{number:g} {unit}s"
    return f"{seconds:g} seconds"

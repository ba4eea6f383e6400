"""A check: one requirement, and its evaluation for an application."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, NamedTuple, TypeAlias

from flask import Flask

from holdfast.flask.settings.profiles import Profile
from holdfast.sessions.ends import Ends
from holdfast.sessions.manager import Manager
from holdfast.stores.contract import Store

#: Whether a requirement is met. ``"manual"``: a person must check it, or it is the application's own work.
Status: TypeAlias = Literal["met", "not met", "manual", "not applicable"]

STATUSES: tuple[Status, ...] = ("met", "not met", "manual", "not applicable")


class Verdict(NamedTuple):
    """The result of a check: the status, the value that decided, and the line to change or action to take, if any."""

    status: Status
    found: str
    change: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the report: a check and its verdict.

    Attributes:
        area: The subject, such as ``"Cookie"``.
        name: The check, such as ``"secure"``: a name that does not change.
        requirements: The ids of the requirements, such as ``"ASVS 5.0 3.3.1"``.
        asks: The requirement in a sentence.
        status, found, change: As in `Verdict`.
    """

    area: str
    name: str
    requirements: tuple[str, ...]
    asks: str
    status: Status
    found: str
    change: str


@dataclass(frozen=True, slots=True)
class Case:
    """The argument of a check.

    Attributes:
        app: The application.
        profile: The profile to check.
        ends: The manager if it has a store: of sessions, or of the revocations of those in the cookie.
    """

    app: Flask
    profile: Profile
    ends: Ends | None

    @property
    def manager(self) -> Manager | None:
        """The manager of its stored sessions; None if sessions are in the cookie."""
        return self.ends if isinstance(self.ends, Manager) else None

    @property
    def store(self) -> Store | None:
        """The store of the sessions, if there is one."""
        return None if self.manager is None else self.manager.store

    @property
    def config(self) -> Mapping[str, Any]:
        """The settings."""
        return self.app.config

    def line(self, setting: str) -> str:
        """Return the line that sets *setting* to the profile's value."""
        return line(setting, self.profile.settings[setting])

    def in_profile(self, setting: str) -> Verdict:
        """Judge whether *setting* has the profile's value."""
        value = self.config.get(setting)
        return unless(value == self.profile.settings[setting], f"{setting} is {value!r}", self.line(setting))


#: Judges an application by one requirement.
Judge: TypeAlias = Callable[[Case], Verdict]


class Check(NamedTuple):
    """One requirement, with its judge.

    Attributes:
        name, asks, requirements: As in `Row`.
        judge: Returns the verdict on an application.
        asvs, nist: The lowest level with the requirement in each standard; None: it is not part of the standard.
    """

    name: str
    asks: str
    requirements: tuple[str, ...]
    judge: Judge
    asvs: int | None
    nist: int | None

    def applies(self, profile: Profile) -> bool:
        """Return whether *profile* includes the requirement."""
        level = self.asvs if profile.standard == "asvs" else self.nist
        return level is not None and level <= profile.level

    def row(self, area: str, case: Case) -> Row:
        """Return the row of the report about *case*."""
        return Row(area, self.name, self.requirements, self.asks, *self.judge(case))


def check(requirements: str = "", *, asvs: int | None = 1, nist: int | None = 1) -> Callable[[Judge], Check]:
    """Return a decorator that makes a `Check` of a judge: its docstring is the requirement, as a command's is its help.

    The name is the judge's without the underscore. *requirements* are the ids, with ``; `` between them.
    """
    ids = tuple(requirements.split("; ")) if requirements else ()
    return lambda judge: Check(judge.__name__[1:], judge.__doc__ or "", ids, judge, asvs, nist)


def unless(good: object, found: str, change: str) -> Verdict:
    """Return that the requirement is met if *found* is *good*, else that it is not, with the change to make."""
    return Verdict("met", found) if good else Verdict("not met", found, change)


def line(setting: str, value: Any) -> str:
    """Return the line of a configuration file in Python that sets *setting* to *value*."""
    if isinstance(value, timedelta):
        return f"{setting} = {round(value.total_seconds())}  # {in_words(value)}"
    return f'{setting} = "{value}"' if isinstance(value, str) else f"{setting} = {value!r}"


def in_words(span: timedelta) -> str:
    """Return a span in the largest unit that fits at least twice, or exactly once."""
    seconds = span.total_seconds()
    for size, unit in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= 2 * size or seconds == size:
            number = seconds / size
            return f"{number:g} {unit}" if number == 1 else f"{number:g} {unit}s"
    return f"{seconds:g} seconds"

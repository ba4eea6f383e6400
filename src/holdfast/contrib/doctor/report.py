"""The report: every check of a profile, on one application."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from flask import Flask

from holdfast.contrib.doctor import cookie, lifetimes, store, tokens, transport, users
from holdfast.contrib.doctor.checks import STATUSES, Case, Check, Row, Status
from holdfast.errors import ConfigurationError
from holdfast.flask.settings.profiles import profile_named
from holdfast.sessions.ends import Ends
from holdfast.sessions.manager import Manager

#: Every check, by its area, in the order of the report.
CHECKS: Mapping[str, tuple[Check, ...]] = {
    "Cookie": cookie.CHECKS,
    "Requests": transport.CHECKS,
    "Timeouts": lifetimes.CHECKS,
    "Tokens": tokens.CHECKS,
    "Users": users.CHECKS,
    store.AREA: store.CHECKS,
}

#: The profile of an application that has none.
_LEAST = "asvs-l1"


@dataclass(frozen=True, slots=True)
class Report:
    """The result for an application.

    Attributes:
        profile: The name of the profile that was checked.
        title: The standard and the level as text.
        rows: The results.
        advice: One change for several rows; empty if there is none.
    """

    profile: str
    title: str
    rows: tuple[Row, ...]
    advice: str = ""

    @property
    def passes(self) -> bool:
        """Whether no row is ``"not met"``."""
        return not self.with_status("not met")

    def with_status(self, status: Status) -> list[Row]:
        """Return the rows with *status*."""
        return [row for row in self.rows if row.status == status]

    def as_data(self) -> dict[str, Any]:
        """Return the report for JSON."""
        counts = {status: len(self.with_status(status)) for status in STATUSES}
        return {"passes": self.passes, "counts": counts, **asdict(self)}


def examine(app: Flask, *, profile: str | None = None) -> Report:
    """Check *app* against *profile*, by default its own or the first level of ASVS, and return the report.

    Reads the current settings, and queries the store.

    Raises:
        ConfigurationError: There is no profile of that name, or the application's sessions are not Holdfast's.
    """
    if "holdfast" not in app.extensions:
        raise ConfigurationError(f"the application {app.name!r} has no sessions of Holdfast: call Session(app)")
    chosen = profile or app.config["SESSION_PROFILE"] or _LEAST
    found = getattr(app.session_interface, "manager", None)
    case = Case(app, profile_named(chosen), found if isinstance(found, Ends) else None)
    report = Report(chosen, case.profile.title, (*_rows(case), *store.left_before(case)))
    if report.passes or app.config["SESSION_PROFILE"] == chosen:
        return report
    return replace(report, advice=f'SESSION_PROFILE = "{chosen}" changes every setting above that is still Flask\'s.')


def examine_store(manager: Manager) -> Report:
    """Check the store of *manager* alone, where the application is unknown."""
    app = Flask("app")
    app.config["SESSION_KEY_PREFIX"] = manager.keys.namespace
    case = Case(app, profile_named(_LEAST), manager)
    return Report(_LEAST, case.profile.title, tuple(_rows(case, {store.AREA: store.CHECKS})))


def _rows(case: Case, areas: Mapping[str, tuple[Check, ...]] = CHECKS) -> Iterator[Row]:
    for area, checks in areas.items():
        yield from (check.row(area, case) for check in checks if check.applies(case.profile))
    yield from store.findings(case)

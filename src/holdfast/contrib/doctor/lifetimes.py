"""Requirements for timeouts."""

from __future__ import annotations

from datetime import timedelta

from holdfast.contrib.doctor.checks import Case, Verdict, check, in_words, unless

_LIMITS = "ASVS 4.0.3 3.3.2; NIST 5.2; NIST 2.1.3, 2.2.3, 2.3.3"


@check(f"ASVS 5.0 7.3.1; {_LIMITS}")
def _idle(case: Case) -> Verdict:
    """A session that is not used ends within the limit of the level."""
    return _within(case, "PERMANENT_SESSION_LIFETIME", case.app.permanent_session_lifetime, case.profile.idle)


@check(f"ASVS 5.0 7.3.2; {_LIMITS}")
def _absolute(case: Case) -> Verdict:
    """A session ends, used or not, within the limit of the level."""
    value = case.config["SESSION_ABSOLUTE_LIFETIME"]
    span = value if isinstance(value, timedelta) else timedelta(seconds=value)
    return _within(case, "SESSION_ABSOLUTE_LIFETIME", span, case.profile.absolute)


@check("ASVS 5.0 7.1.1; NIST 5.2", asvs=2)
def _written_down(_: Case) -> Verdict:
    """The timeouts are documented, with the reasons if they differ from NIST's."""
    return Verdict("manual", "not looked for", "copy the two rows above to the application's documentation")


@check("OWASP renewal timeout")
def _renewal(case: Case) -> Verdict:
    """A session in use gets a new token periodically."""
    interval = case.config["SESSION_RENEWAL_INTERVAL"]
    found = f"SESSION_RENEWAL_INTERVAL is {interval!s}"
    if interval is not None:
        return Verdict("met", found)
    if "SESSION_RENEWAL_INTERVAL" in case.profile.settings:
        return Verdict("not met", found, case.line("SESSION_RENEWAL_INTERVAL"))
    return Verdict("not applicable", f"{found}: not required at this level")


def _within(case: Case, setting: str, span: timedelta, limit: timedelta) -> Verdict:
    if case.store is None and case.config.get("SESSION_TYPE") == "null":
        found = f"{in_words(span)} by {setting}, in Flask's signed cookie: a copy of an older cookie is valid again"
        return Verdict("not met", found, 'SESSION_STORE = "sqlite:///sessions.db"')
    return unless(span <= limit, f"{in_words(span)}; at most {in_words(limit)}", case.line(setting))


CHECKS = (_idle, _absolute, _written_down, _renewal)

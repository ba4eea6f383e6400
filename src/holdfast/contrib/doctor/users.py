"""Requirements for a user's sessions; the application must provide most of them."""

from __future__ import annotations

from holdfast.contrib.doctor.checks import Case, Verdict, check
from holdfast.stores.contract import Indexes

_OTHER_STORE = 'SESSION_STORE = "sqlite:///sessions.db"  # or one with an index'


@check("ASVS 5.0 7.4.2; ASVS 5.0 7.4.3; ASVS 5.0 7.4.5; ASVS 4.0.3 3.3.3", nist=None)
def _end_all(case: Case) -> Verdict:
    """All of a user's sessions end when the account is disabled, and can be ended when its password changes."""
    return _with_index(case, "call sessions.revoke_all(user_id) there")


@check("ASVS 5.0 7.5.2; ASVS 4.0.3 3.3.4; OWASP simultaneous logons", asvs=2, nist=None)
def _listed(case: Case) -> Verdict:
    """Users can see their sessions, and end them."""
    return _with_index(case, "show sessions.of(user_id) on a page, with sessions.revoke(handle)")


@check("ASVS 5.0 7.1.2; OWASP simultaneous logons", asvs=2, nist=None)
def _limited(case: Case) -> Verdict:
    """The number of a user's sessions is limited, or the absence of a limit is documented."""
    limit = case.config.get("SESSION_MAX_PER_USER")
    found = f"SESSION_MAX_PER_USER is {limit!r}"
    if limit is not None and not isinstance(case.store, Indexes):
        return Verdict("not met", f"{found}, but the store has no index by owner", _OTHER_STORE)
    if limit is not None:
        return Verdict("met", f"{found}: {case.config['SESSION_ON_MAX_PER_USER']}")
    if "SESSION_MAX_PER_USER" in case.config.get("SESSION_PROFILE_EXCEPT", ()):
        return Verdict("manual", f"{found}, by SESSION_PROFILE_EXCEPT", "document why there is no limit")
    return Verdict("not met", found, case.line("SESSION_MAX_PER_USER"))


@check("ASVS 5.0 7.5.1; ASVS 4.0.3 3.7.1; NIST 5.1")
def _fresh(_: Case) -> Verdict:
    """Changing a password or another factor requires recent re-authentication."""
    return Verdict("manual", "not looked for", "add @require_fresh(seconds) to those views")


@check("ASVS 5.0 7.5.3", asvs=3, nist=None)
def _step_up(_: Case) -> Verdict:
    """Highly sensitive actions require another factor each time."""
    return Verdict("manual", "not looked for", "add @require_fresh(0) to those views")


@check("ASVS 5.0 7.4.4; NIST 5.1", asvs=2)
def _visible_logout(_: Case) -> Verdict:
    """Every page behind a login shows how to log out."""
    return Verdict("manual", "not looked for", "add a button to the layout: it posts to a view with session.destroy()")


@check("ASVS 5.0 7.1.3; ASVS 5.0 7.6.1; ASVS 4.0.3 3.6.1", asvs=2, nist=2)
def _single_sign_on(_: Case) -> Verdict:
    """With single sign-on, the timeouts of both sides are consistent and documented."""
    return Verdict(
        "manual", "not looked for", "end sessions when the identity provider requests it; nothing without one"
    )


@check("ASVS 5.0 7.4.3", nist=None)
def _remembered(case: Case) -> Verdict:
    """Ending all of a user's sessions also ends their remember-me cookies."""
    if not hasattr(case.app, "login_manager"):
        return Verdict("not applicable", "Flask-Login is not found")
    if case.store is None and case.config.get("SESSION_REVOCATION_STORE") is None:
        return Verdict("not met", "sessions are in the cookie, and nothing ends them", _OTHER_STORE)
    if case.store is not None and not isinstance(case.store, Indexes):
        return Verdict("not met", f"{type(case.store).__name__} keeps no index by owner", _OTHER_STORE)
    return Verdict("met", "cookies of Flask-Login from before an end of all a user's sessions sign nobody in")


def _with_index(case: Case, task: str) -> Verdict:
    if case.store is None:
        return Verdict("not met", "sessions are in the cookie, and cannot be listed", _OTHER_STORE)
    kind = type(case.store).__name__
    if isinstance(case.store, Indexes):
        return Verdict("manual", f"{kind} finds a user's sessions", task)
    return Verdict("not met", f"{kind} keeps no index by owner", _OTHER_STORE)


CHECKS = (_end_all, _remembered, _listed, _limited, _fresh, _step_up, _visible_logout, _single_sign_on)

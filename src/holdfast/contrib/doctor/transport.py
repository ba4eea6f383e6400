"""Requirements for requests and responses."""

from __future__ import annotations

from holdfast.contrib.doctor.checks import Case, Verdict, check, unless


@check("ASVS 5.0 3.3.1; NIST 5.1 (4); OWASP transport layer security")
def _https(case: Case) -> Verdict:
    """A session is used over HTTPS only: a cookie over http is not accepted."""
    verdict = case.in_profile("SESSION_REQUIRE_HTTPS")
    if verdict.status == "met":
        return verdict
    return verdict._replace(change=f"{verdict.change}  # needs ProxyFix behind a proxy")


@check("ASVS 5.0 14.2.2; ASVS 5.0 14.3.2; ASVS 4.0.3 8.2.1; NIST 5.1 (6); OWASP caching")
def _caching(case: Case) -> Verdict:
    """No cache stores a response that used a session."""
    return case.in_profile("SESSION_CACHE_CONTROL")


@check("ASVS 5.0 14.3.1; ASVS 4.0.3 8.2.3; OWASP Clear-Site-Data")
def _clearing(case: Case) -> Verdict:
    """The end of a session clears the site's data in the browser."""
    if case.config.get("SESSION_CLEAR_SITE_DATA"):
        return Verdict("met", "the cookie is deleted, and Clear-Site-Data sent")
    found = "the cookie is deleted"
    if "SESSION_CLEAR_SITE_DATA" in case.profile.settings:
        return Verdict("not met", found, case.line("SESSION_CLEAR_SITE_DATA"))
    return Verdict("manual", found, "SESSION_CLEAR_SITE_DATA = True  # where pages keep data")


@check("ASVS 5.0 3.5.1; ASVS 4.0.3 13.2.3; NIST 5.1; RFC 6265bis 8.8")
def _csrf(case: Case) -> Verdict:
    """Requests that change data contain a value that other sites do not know."""
    if "csrf" in case.app.extensions:
        return Verdict("met", "Flask-WTF's CSRFProtect")
    return Verdict("manual", "no CSRFProtect of Flask-WTF's", "use one, or another protection from CSRF")


@check("ASVS 5.0 14.2.1; ASVS 4.0.3 3.1.1; ASVS 4.0.3 13.1.3; OWASP cookies only")
def _cookie_only(_: Case) -> Verdict:
    """A token is accepted from the cookie only, never from a URL, a form or a header."""
    return Verdict("met", "only the cookie is read")


@check("ASVS 5.0 7.6.2; OWASP strict session management")
def _strict(case: Case) -> Verdict:
    """No session begins before there is data to store, and none under an id that was not issued."""
    found = "sessions live in the cookie" if case.store is None else "ids are created when data is stored"
    return unless(case.store is not None, found, 'SESSION_STORE = "sqlite:///sessions.db"')


CHECKS = (_https, _caching, _clearing, _csrf, _cookie_only, _strict)

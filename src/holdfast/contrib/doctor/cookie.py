"""Requirements for the session cookie."""

from __future__ import annotations

from datetime import timedelta

from holdfast.contrib.doctor.checks import Case, Verdict, check, unless
from holdfast.flask.settings import cookie_rules

#: The lengths of a token, and of a signature with its separator.
_TOKEN, _SIGNATURE = 43, 28

#: Parts of a cookie's name that reveal the framework.
_REVEALING = ("flask", "holdfast", "werkzeug", "python")


@check("ASVS 5.0 3.3.1; ASVS 4.0.3 3.4.1; NIST 5.1.1")
def _secure(case: Case) -> Verdict:
    """The browser sends the cookie over HTTPS only."""
    return case.in_profile("SESSION_COOKIE_SECURE")


@check("ASVS 5.0 3.3.1; ASVS 5.0 3.3.3; ASVS 4.0.3 3.4.4; NIST 5.1.1")
def _prefix(case: Case) -> Verdict:
    """The name begins with __Host-, or with __Secure- if hosts share the cookie, so that no other host can set it."""
    name, domain = case.config["SESSION_COOKIE_NAME"], case.config["SESSION_COOKIE_DOMAIN"]
    found = f"SESSION_COOKIE_NAME is {name!r}"
    if domain:
        shared = cookie_rules.prefix_of(name) in {"__secure-", "__http-"}
        return unless(shared, found, 'SESSION_COOKIE_NAME = "__Secure-id"')
    return unless(cookie_rules.prefix_of(name).startswith("__host-"), found, case.line("SESSION_COOKIE_NAME"))


@check("ASVS 5.0 3.3.4; ASVS 4.0.3 3.4.2; NIST 5.1.1")
def _http_only(case: Case) -> Verdict:
    """Scripts cannot read the cookie."""
    return case.in_profile("SESSION_COOKIE_HTTPONLY")


@check("ASVS 5.0 3.3.2; ASVS 4.0.3 3.4.3; NIST 5.1.1")
def _same_site(case: Case) -> Verdict:
    """SameSite is set: to Lax or Strict, unless other sites embed the application."""
    site = case.config["SESSION_COOKIE_SAMESITE"]
    found = f"SESSION_COOKIE_SAMESITE is {site!r}"
    if str(site).title() == "None" and site is not None:
        return Verdict("manual", found, "document which sites embed the application, and protect it from CSRF")
    return unless(site, found, case.line("SESSION_COOKIE_SAMESITE"))


@check("ASVS 4.0.3 3.4.5; NIST 5.1.1; RFC 6265bis 4.1.2")
def _scope(case: Case) -> Verdict:
    """The cookie is sent to as few hosts and paths as possible."""
    domain, path = case.config["SESSION_COOKIE_DOMAIN"], cookie_rules.path_of(case.config)
    if domain:
        found = f"SESSION_COOKIE_DOMAIN is {domain!r}: the cookie is sent to all its subdomains"
        return Verdict("manual", found, "SESSION_COOKIE_DOMAIN = None  # unless they share the session")
    return Verdict("met", f"no Domain: this host alone; the path is {path!r}")


@check("OWASP name fingerprinting")
def _neutral_name(case: Case) -> Verdict:
    """The cookie's name does not reveal the framework."""
    name = case.config["SESSION_COOKIE_NAME"]
    reveals = name == "session" or any(word in name.lower() for word in _REVEALING)
    return unless(not reveals, f"SESSION_COOKIE_NAME is {name!r}", case.line("SESSION_COOKIE_NAME"))


@check("ASVS 5.0 3.3.5; RFC 6265bis 5.6")
def _size(case: Case) -> Verdict:
    """Name and value fit into 4096 bytes."""
    if case.store is None:
        return Verdict("manual", "the session's data is in the cookie", "keep it small, or set SESSION_STORE")
    signature = _SIGNATURE if case.config.get("SESSION_USE_SIGNER") else 0
    length = len(case.config["SESSION_COOKIE_NAME"]) + _TOKEN + signature
    return unless(length <= cookie_rules.LARGEST, f"{length} bytes", case.line("SESSION_COOKIE_NAME"))


@check("NIST 5.1; OWASP Expires and Max-Age")
def _not_persistent(case: Case) -> Verdict:
    """The browser deletes the cookie when it is closed."""
    return case.in_profile("SESSION_PERMANENT")


@check("RFC 6265bis 5.5")
def _life(case: Case) -> Verdict:
    """No session is configured to last longer than browsers keep a cookie: 400 days."""
    idle = case.app.permanent_session_lifetime
    found = f"PERMANENT_SESSION_LIFETIME is {idle}"
    return unless(idle <= timedelta(days=400), found, case.line("PERMANENT_SESSION_LIFETIME"))


@check("RFC 6265bis 4.1.3; RFC 6265bis 5.7; CHIPS")
def _kept(case: Case) -> Verdict:
    """Name and attributes agree, so that browsers accept the cookie."""
    contradiction = next(cookie_rules.contradictions(case.config), None)
    if contradiction is None:
        return Verdict("met", "they agree")
    found, _, change = contradiction.partition(": ")
    return Verdict("not met", found, change)


CHECKS = (_secure, _prefix, _http_only, _same_site, _scope, _neutral_name, _size, _not_persistent, _life, _kept)

"""The requirements that no library can meet for an application, and whose they are."""

from __future__ import annotations

#: By the id of the requirement: whose it is, and what Holdfast has for it, in one sentence.
OUT_OF_SCOPE: dict[str, str] = {
    "ASVS 3.5.1": "The application's: its forms carry CSRF tokens, such as Flask-WTF's, which live in the session.",
    "ASVS 3.5.2": "The application's: it decides which of its calls rely on a preflight.",
    "ASVS 3.5.3": "The application's: it changes nothing on a GET request.",
    "ASVS 3.5.4": "The operator's: separate applications have separate host names; with separate key prefixes neither "
    "accepts the other's cookies.",
    "ASVS 7.1.3": "The application's: its documentation names the sign-on systems it works with; the `ended` signal "
    "reports each end.",
    "ASVS 7.4.4": "The application's: its pages show how to log out; `session.destroy()` does it.",
    "ASVS 7.6.1": "The application's: it agrees with its identity provider on lifetimes, and ends sessions by "
    "`sessions.revoke_all`.",
    "ASVS 4.0 3.5.1": "The application's: it revokes the OAuth tokens that it holds.",
    "ASVS 4.0 3.6.1": "The identity provider's: `session.authenticated_at` is the time of the user's login.",
    "ASVS 4.0 3.6.2": "The identity provider's, as above.",
    "ASVS 4.0 13.2.3": "The application's: CSRF tokens, as in ASVS 3.5.1.",
    "OWASP web storage": "The application's: Holdfast stores only a cookie in the browser, which scripts cannot read.",
    "OWASP re-authentication after risk events": "The application's: it knows the risk; "
    "`require_fresh` requires the authentication.",
    "OWASP admin interfaces": "The operator's: the command line needs a shell, and no administration is served unless "
    "the application mounts it.",
    "OWASP client-side extras": "The application's: login timeouts, warnings and logouts by script are part of its "
    "pages.",
    "NIST 5.1 remembered browser": "The application's: a login by a remember-me cookie is no authentication; "
    "Flask-Login's is not fresh for `require_fresh`.",
    "NIST 5.1 CSRF": "The application's: CSRF tokens, as in ASVS 3.5.1.",
    "NIST 5.1 easy logout": "The application's, as in ASVS 7.4.4.",
    "NIST 5.1.2 access tokens": "The application's: Holdfast has sessions and no access tokens.",
    "RFC 6265bis 8.8": "The application's: SameSite is set, and does not replace CSRF tokens.",
}

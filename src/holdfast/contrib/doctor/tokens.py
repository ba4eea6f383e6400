"""Requirements for tokens, session data, and keys."""

from __future__ import annotations

from holdfast.contrib.doctor.checks import Case, Verdict, check, unless
from holdfast.flask.settings.secret_keys import weak_ones
from holdfast.records.weak_keys import NEW_KEY

_ON_SERVER = 'SESSION_STORE = "sqlite:///sessions.db"'


@check("ASVS 5.0 7.2.1; ASVS 5.0 7.2.2; ASVS 4.0.3 3.5.2")
def _checked_here(case: Case) -> Verdict:
    """The server's data defines a session; no static key replaces one."""
    if case.store is None:
        return Verdict("manual", "sessions are in the cookie, which the server can only verify", _ON_SERVER)
    return Verdict("met", "each token is looked up in the store")


@check("ASVS 5.0 7.2.3; ASVS 4.0.3 3.2.2; ASVS 4.0.3 3.2.4; NIST 5.1 (2); OWASP entropy")
def _random(case: Case) -> Verdict:
    """A token has at least 128 bits from a secure generator, and contains no data."""
    if case.store is None:
        return Verdict("not applicable", "sessions are in the cookie, without a token")
    return Verdict("met", "256 bits of the operating system's randomness")


@check("ASVS 5.0 7.2.4; ASVS 4.0.3 3.2.1; NIST 5.1 (1); OWASP renewal after a login")
def _new_at_login(case: Case) -> Verdict:
    """A login changes the token and invalidates the old one."""
    if case.config.get("SESSION_TYPE") == "null":
        return Verdict("not met", "Flask's signed cookie has no token, and an older copy of it stays valid", _ON_SERVER)
    if hasattr(case.app, "login_manager"):
        return Verdict("met", "Flask-Login binds the session")
    return Verdict("manual", "no Flask-Login", "call session.bind(user_id) at each login, as Flask-Login would")


@check("ASVS 5.0 7.4.1; ASVS 4.0.3 3.3.1; NIST 5.1 (3); OWASP logout")
def _logout(case: Case) -> Verdict:
    """After a logout or a timeout a copy of the cookie is invalid."""
    if case.store is not None:
        return Verdict("met", "the record is deleted")
    if case.config.get("SESSION_TYPE") != "null":
        store = case.config.get("SESSION_REVOCATION_STORE")
        found = f"SESSION_REVOCATION_STORE is {'not set' if store is None else 'set'}"
        return unless(store is not None, found, 'SESSION_REVOCATION_STORE = "sqlite:///ended.db"')
    return Verdict("not met", "Flask's signed cookie is valid until it expires", _ON_SERVER)


@check("ASVS 5.0 16.2.5; ASVS 4.0.3 7.1.1")
def _logged(_: Case) -> Verdict:
    """No token is written to a log."""
    return Verdict("met", "Holdfast logs none, and stores get a hash of it")


@check("OWASP repository")
def _sealed(case: Case) -> Verdict:
    """A copy of the store does not reveal the sessions' data."""
    if case.manager is None:
        return Verdict("not applicable", "there is no store of sessions")
    if case.manager.context.sealer.migrating:
        return Verdict(
            "not met",
            "records that are not sealed are read: SESSION_SEAL_MIGRATE_UNTIL is still ahead",
            "SESSION_SEAL_MIGRATE_UNTIL = None  # as soon as the sessions from before have ended",
        )
    how = case.config.get("SESSION_SEAL") or ("keys" if case.config.get("SESSION_SEAL_KEYS") else None)
    if how in {"keys", "cookie"}:
        return Verdict("met", f"encrypted: SESSION_SEAL is {how!r}")
    found = f"SESSION_SEAL is {how!r}"
    if case.profile.seals:
        return Verdict("not met", found, f"{case.line('SESSION_SEAL')}  # and SESSION_SEAL_KEYS")
    return Verdict("not applicable", f"{found}: not required at this level")


@check("ASVS 5.0 9.1.1; ASVS 4.0.3 3.5.3; CVE-2023-27524")
def _secret_key(case: Case) -> Verdict:
    """The key for signatures cannot be guessed."""
    newest = case.config.get("SECRET_KEY")
    if not newest:
        return Verdict("not applicable", "SECRET_KEY is not set, and Holdfast signs nothing with it")
    for name, weakness in weak_ones((newest, *(case.config.get("SECRET_KEY_FALLBACKS") or ()))):
        return Verdict("not met", f"{name}: {weakness}", f'{name} = "…"  # {NEW_KEY}')
    return Verdict("met", "SECRET_KEY is long, and on no list of published keys")


CHECKS = (_checked_here, _random, _new_at_login, _logout, _logged, _sealed, _secret_key)

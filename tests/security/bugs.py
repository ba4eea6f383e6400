"""Bugs that several tests plant: each puts one mistake into the code that is tested."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from support import seams
from support.web import STRANGER

from holdfast.flask.carrier import Presented
from holdfast.flask.cookies import Cookies
from holdfast.flask.settings.setting import Setting
from holdfast.records import envelope
from holdfast.records.record import Gone, Rotation, Version
from holdfast.records.tokens import Keys
from holdfast.sessions.flows.context import Context
from holdfast.sessions.manager import Manager
from holdfast.sessions.ops import Flow, load
from holdfast.sessions.policy import Policy
from holdfast.sessions.server_session import ServerSession
from holdfast.sessions.state import SessionState
from holdfast.stores.contract import Store


def keys_are_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions are stored under the token itself, which is then their handle too."""
    seams.KEY_OF_TOKEN.plant(monkeypatch, lambda self, token: token)


def any_shape_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any cookie value is hashed and looked up."""
    seams.IS_TOKEN.plant(monkeypatch, lambda text: True)


def the_id_is_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cookie value is the key of the record."""
    any_shape_is_looked_up(monkeypatch)
    keys_are_tokens(monkeypatch)


def no_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    """The namespace is not hashed with the token."""
    derive = seams.NAMESPACE_OF_KEYS.sound

    def derive_all_alike(self: Keys, namespace: str, **options: Any) -> None:
        derive(self, "", **options)

    seams.NAMESPACE_OF_KEYS.plant(monkeypatch, derive_all_alike)


def login_keeps_the_id(monkeypatch: pytest.MonkeyPatch) -> None:
    """A login in an existing session keeps its id."""

    def rebind(self: ServerSession, owner: str | None) -> None:
        state = self._open()
        if state.stored is None:
            state.changes.rebind, state.changes.owner = True, owner

    seams.SESSION_REBIND.plant(monkeypatch, rebind)


def both_ids_live(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rotation does not change the old record."""

    def copy(store: Store, step: Rotation) -> Any:
        return store.create(step.new, step.data, expires_at=step.expires_at, owner=step.owner)

    seams.plant_store_call(monkeypatch, "move", copy)


def logout_in_the_browser_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A logout deletes the cookie and not the record."""

    def end(context: Context, key: str, version: Version, owner: str | None, reason: str) -> Flow[str]:
        yield from load(key)
        return key

    seams.END_SESSION.plant(monkeypatch, end)


def never_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the cookie and the store enforce the idle timeout."""
    verdict = seams.POLICY_VERDICT.sound

    def lenient(self: Policy, *args: Any) -> Any:
        found = verdict(self, *args)
        return None if found == "expired_idle" else found

    seams.POLICY_VERDICT.plant(monkeypatch, lenient)


def never_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the cookie enforces the absolute timeout, and a touch extends it."""
    verdict = seams.POLICY_VERDICT.sound

    def lenient(self: Policy, *args: Any) -> Any:
        found = verdict(self, *args)
        return None if found == "expired_absolute" else found

    seams.POLICY_VERDICT.plant(monkeypatch, lenient)
    seams.POLICY_EXPIRES_AT.plant(monkeypatch, lambda self, created_at, now, *_: now + 2 * self.idle)


def born_again_at_each_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each write, and each rotation, restarts the absolute timeout."""
    revise = seams.REVISED_SESSION.sound

    def newborn(context: Context, *rest: Any, **named: Any) -> Any:
        made = revise(context, *rest, **named)
        made.envelope.created_at = context.clock()
        return made

    seams.REVISED_SESSION.plant(monkeypatch, newborn)


def records_for_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A visitor who changed no data gets a record and a cookie."""
    look_up = seams.MANAGER_OPEN.sound

    def look_up_to_store(self: Manager, state: SessionState, token: str | None) -> None:
        look_up(self, state, token)
        state.pending = True

    seams.MANAGER_OPEN.plant(monkeypatch, look_up_to_store)
    seams.SESSION_IS_EMPTY.plant(monkeypatch, property(lambda self: False))


def token_from_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token is accepted from the query, the form or a header if there is no cookie."""
    read = seams.COOKIE_READ.sound

    def lenient(self: Cookies, app: Any, request: Any) -> Presented:
        name = app.config["SESSION_COOKIE_NAME"]
        found = read(self, app, request)
        return found if found.token else Presented(request.values.get(name) or request.headers.get("X-Session"))

    seams.COOKIE_READ.plant(monkeypatch, lenient)


def bare_deletion(monkeypatch: pytest.MonkeyPatch) -> None:
    """The deletion cookie has no attributes, so that browsers refuse it."""

    def delete(self: Cookies, request: Any, response: Any) -> None:
        response.delete_cookie(self._live.current.cookie.name)

    seams.COOKIE_DELETE.plant(monkeypatch, delete)


def unknown_formats_are_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown format byte causes an error."""

    def decode(data: bytes) -> Any:
        return envelope._DECODERS[data[0]](data)

    seams.DECODE_RECORD.plant(monkeypatch, decode)


def saves_what_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A save whose record was deleted meanwhile creates it again."""

    def insist(store: Store, key: str, data: bytes, *, expires_at: int, owner: str | None, **named: Any) -> Any:
        answer = store.replace(key, data, expires_at=expires_at, owner=owner, **named)
        return store.create(key, data, expires_at=expires_at, owner=owner) if isinstance(answer, Gone) else answer

    seams.plant_store_call(monkeypatch, "replace", insist)


def no_ttl(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time to live is omitted when a record is written again."""
    for seam in seams.REDIS_WRITE_SCRIPTS:
        code = re.sub(rb"'PX', [^)]+\)", b"'KEEPTTL')", seam.sound.code)
        assert b"KEEPTTL" in code
        monkeypatch.setattr(seam.sound, "code", code)
        monkeypatch.setattr(seam.sound, "sha", "0" * 40)


def parse_spans_by(monkeypatch: pytest.MonkeyPatch, parse: Callable[[Any, Callable[[], Any]], Any]) -> None:
    """Let *parse* read the timeouts: it gets the value of the setting, and the sound reading of it as a function."""
    read = seams.SETTING_READ.sound

    def parsed(self: Setting, config: Mapping[str, Any]) -> Any:
        if self.to not in {"policy.idle", "policy.absolute", "policy.renewal", "policy.grace"}:
            return read(self, config)
        return parse(config.get(self.name), lambda: read(self, config))

    seams.SETTING_READ.plant(monkeypatch, parsed)


def change_attributes(monkeypatch: pytest.MonkeyPatch, **attributes: Any) -> None:
    """Give every cookie these *attributes*, with any setting."""
    of = seams.COOKIE_ATTRIBUTES.sound
    seams.COOKIE_ATTRIBUTES.plant(monkeypatch, lambda cookie: of(cookie._replace(**attributes)))


def read_cookie_settings_raw(monkeypatch: pytest.MonkeyPatch, *, refused: str = "") -> None:
    """Take the settings of the cookie as they are, except text with one of the characters *refused*."""
    read = seams.SETTING_READ.sound

    def raw(self: Setting, config: Mapping[str, Any]) -> Any:
        value = config.get(self.name)
        return value if self.to.startswith("cookie.") and not set(str(value)) & set(refused) else read(self, config)

    seams.SETTING_READ.plant(monkeypatch, raw)
    seams.COOKIE_RULES_CONTRADICTIONS.plant(monkeypatch, lambda config: iter(()))


def ignores_the_case_of_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens that differ in case alone lead to the same record."""
    key_of = seams.KEY_OF_TOKEN.sound
    seams.KEY_OF_TOKEN.plant(monkeypatch, lambda self, token: key_of(self, token.lower()))


def lets_caches_keep_cookies(monkeypatch: pytest.MonkeyPatch) -> None:
    """A response that sets the cookie does not forbid caching."""
    seams.KEEP_PRIVATE.plant(monkeypatch, lambda response: None)


def does_not_end_what_it_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that is refused to one request continues for the others."""
    seams.INTERFACE_END.plant(monkeypatch, lambda self, state: None)


def adopts_the_id(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new session takes the id that the client sent."""
    seams.NEW_TOKEN.plant(monkeypatch, lambda: STRANGER)


def says_nothing_of_cookie_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions in signed cookies are set up without a warning about the limits of a logout."""
    seams.WARNING_OF_COOKIE_SESSIONS.plant(monkeypatch, lambda *arguments: None)


def derives_by_concatenation(monkeypatch: pytest.MonkeyPatch) -> None:
    """A derivation concatenates its parts without their lengths."""
    seams.TOKEN_LABEL.plant(monkeypatch, lambda *parts: b"".join(parts))


def any_setting_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings of the cookie are written to the header unchecked."""
    read_cookie_settings_raw(monkeypatch)

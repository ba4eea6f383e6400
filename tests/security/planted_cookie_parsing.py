"""Bugs that the tests in test_cookie_parsing.py catch."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import pytest
from support import seams

from holdfast.flask import cookies


def reading(monkeypatch: pytest.MonkeyPatch, normalize: Callable[[str], str]) -> None:
    """Read what *normalize* makes of the Cookie header."""
    values = seams.COOKIE_VALUES.sound
    seams.COOKIE_VALUES.plant(monkeypatch, lambda header, name: values(normalize(header), name))


def decodes_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """The names of cookies are percent-decoded."""
    reading(monkeypatch, lambda header: re.sub(r"[^=;]+(?==)", lambda name: unquote(name[0]), header))


def ignores_case(monkeypatch: pytest.MonkeyPatch) -> None:
    """The names of cookies are compared without regard to case."""
    reading(monkeypatch, lambda header: re.sub(r"__host-s(?==)", "__Host-s", header, flags=re.IGNORECASE))


def mangles_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dots, spaces and brackets in the names of cookies become underscores."""
    reading(
        monkeypatch, lambda header: re.sub(r"[^=;]+(?==)", lambda name: re.sub(r"(?<=\S)[. \[]", "_", name[0]), header)
    )


def reads_nameless_cookies(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cookie without a name, whose value has the form name=value, is parsed as the cookie of that name."""
    reading(monkeypatch, lambda header: re.sub(r"(^|;)\s*=", r"\1 ", header))


def strips_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whitespace of any kind around names, and control characters in them, are dropped."""
    reading(
        monkeypatch,
        lambda header: re.sub(r"[^=;]+(?==)", lambda n: "".join(c for c in n[0] if c > " " and c != "\xa0"), header),
    )


def reads_inside_of_quotes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A semicolon inside a quoted value ends the value, so that a cookie may begin there."""
    seams.COOKIE_VALUES.plant(monkeypatch, lambda header, name: set(cookies._finder(name)(header)))


def takes_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several cookies of the same name the first is read."""
    seams.COOKIE_VALUES.plant(monkeypatch, lambda header, name: set(cookies._finder(name)(header)[:1]))


def unquotes_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Escapes in a header are decoded one at a time, each with a search of the rest."""

    def unquote_slowly(header: str) -> str:
        done, at = [], 0
        while at < len(header):
            octal, quoted = re.compile(r"\\[0-3][0-7][0-7]").search(header, at), re.compile(r"\\.").search(header, at)
            if not octal and not quoted:
                break
            at = min(match.end() for match in (octal, quoted) if match)
            done.append(header[at - 1])
        return "".join(done) + header[at:]

    values = seams.COOKIE_VALUES.sound
    seams.COOKIE_VALUES.plant(monkeypatch, lambda header, name: (unquote_slowly(header), values(header, name))[1])


def backtracks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pattern that finds our cookie skips spaces and backtracks at every character."""
    slow = re.compile(r"\s+session\s*=\s*([^;]*)")
    values = seams.COOKIE_VALUES.sound
    seams.COOKIE_VALUES.plant(monkeypatch, lambda header, name: (slow.findall(header), values(header, name))[1])


def folds_spellings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client's value is normalized, so that similar letters become equal."""

    def folded(self: Any, app: Any, request: Any) -> Any:
        found = read(self, app, request)
        return found._replace(token=found.token and _ascii(found.token))

    read = seams.COOKIE_READ.sound
    seams.COOKIE_READ.plant(monkeypatch, folded)


def _ascii(text: str) -> str:
    return unicodedata.normalize("NFKD", text.encode("latin-1").decode("utf-8", "replace"))


def ignores_the_case_of_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens that differ in case alone lead to the same record."""
    key_of = seams.KEY_OF_TOKEN.sound
    seams.KEY_OF_TOKEN.plant(monkeypatch, lambda self, token: key_of(self, token.lower()))


def strips_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Padding, dots and space at the end of a token are dropped."""
    read = seams.COOKIE_READ.sound

    def lenient(self: Any, app: Any, request: Any) -> Any:
        found = read(self, app, request)
        return found._replace(token=found.token and unquote(found.token).strip(" .=\t\n\x0b\xa0"))

    seams.COOKIE_READ.plant(monkeypatch, lenient)


def short_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key is the first letters of the token, so that different tokens share one."""
    key_of = seams.KEY_OF_TOKEN.sound
    seams.KEY_OF_TOKEN.plant(monkeypatch, lambda self, token: key_of(self, token[:8]))


def any_shape_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """The spare bits at the end of a token are not checked."""
    seams.IS_TOKEN.plant(monkeypatch, lambda text: re.fullmatch(r"[A-Za-z0-9_-]{43}", text) is not None)
    key_of = seams.KEY_OF_TOKEN.sound
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    seams.KEY_OF_TOKEN.plant(
        monkeypatch, lambda self, token: key_of(self, token[:-1] + last[last.index(token[-1]) & ~3])
    )

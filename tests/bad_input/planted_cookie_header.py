"""Bugs that the tests in test_cookie_header.py catch."""

from __future__ import annotations

import re
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
    seams.COOKIE_VALUES.plant(monkeypatch, lambda header, name: set(cookies._found(header, name)))


def takes_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several cookies of the same name the first is read."""
    seams.COOKIE_VALUES.plant(monkeypatch, lambda header, name: set(cookies._found(header, name)[:1]))


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


def takes_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several cookies of the same name the last is read."""
    seams.COOKIE_VALUES.plant(monkeypatch, lambda header, name: set(cookies._found(header, name)[-1:]))


def looks_up_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any number of values is looked up."""
    seams.COOKIE_MOST_VALUES.plant(monkeypatch, 1000)


def refuses_every_repetition(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cookie that is sent twice is refused even if both are the same."""
    values = seams.COOKIE_VALUES.sound

    def strict(header: str, name: str) -> set[str]:
        return {"x", "y"} if len(cookies._found(header, name)) > 1 else values(header, name)

    seams.COOKIE_VALUES.plant(monkeypatch, strict)


def compares_each_with_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each cookie of a header is searched for among the others."""
    values = seams.COOKIE_VALUES.sound

    def slow(header: str, name: str) -> Any:
        pairs = header.split(";")
        for pair in pairs[:1000]:
            pairs.count(pair)
        return values(header, name)

    seams.COOKIE_VALUES.plant(monkeypatch, slow)


def looks_only_at_the_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cookie after a hundred others is not found."""
    values = seams.COOKIE_VALUES.sound
    seams.COOKIE_VALUES.plant(monkeypatch, lambda header, name: values(";".join(header.split(";")[:100]), name))

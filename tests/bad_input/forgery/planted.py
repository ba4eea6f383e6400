"""Ways to read cookies and records that accept forgeries, to show that the count detects them."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable
from typing import Any

import pytest
from itsdangerous import BadSignature
from itsdangerous.encoding import want_bytes
from support import seams

from holdfast.flask.carrier import Presented
from holdfast.records.tokens import base64url


def other_spellings_of_a_signature(patch: pytest.MonkeyPatch) -> None:
    """A signature is decoded before it is compared, and base64 has several spellings for some bytes."""

    def unsign(self: Any, app: Any, value: str, name: str) -> Presented:
        for signer in self._signers(app):
            try:
                return Presented(want_bytes(signer.unsign(value)).decode())
            except BadSignature:
                continue
        return Presented(reason="bad_signature")

    seams.COOKIE_UNSIGN.plant(patch, unsign)


def other_spellings_of_a_cookie(patch: pytest.MonkeyPatch) -> None:
    """An encrypted cookie is decoded however it is spelled."""

    def decode(text: str) -> bytes | None:
        try:
            return sound(base64url(base64.urlsafe_b64decode(text.encode() + b"===")))
        except ValueError:
            return None

    sound: Callable[[str], bytes | None] = seams.SEALED_COOKIE_BASE64.sound
    seams.SEALED_COOKIE_BASE64.plant(patch, decode)


def no_context(patch: pytest.MonkeyPatch) -> None:
    """The readable part of a record is not authenticated."""
    sealing, opening = seams.AES_GCM_ENCRYPT.sound, seams.AES_GCM_DECRYPT.sound
    seams.AES_GCM_ENCRYPT.plant(patch, lambda self, plain, _: sealing(self, plain, b""))
    seams.AES_GCM_DECRYPT.plant(patch, lambda self, sealed, _: opening(self, sealed, b""))


def any_tag(patch: pytest.MonkeyPatch) -> None:
    """A MAC is made and its comparison ignored."""
    patch.setattr(hmac, "compare_digest", lambda *_: True)

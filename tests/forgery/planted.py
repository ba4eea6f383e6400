"""Ways to read cookies and records that a forger gets through, to show that the count would tell."""

from __future__ import annotations

import base64
import hmac
from typing import Any

import pytest
from itsdangerous import BadSignature
from itsdangerous.encoding import want_bytes

from holdfast.flask.cookies import Cookies, Presented
from holdfast.records import cookie
from holdfast.records.encryption import AesGcm


def other_spellings_of_a_signature(patch: pytest.MonkeyPatch) -> None:
    """A signature is decoded before it is compared, and base64 has several spellings for some bytes."""

    def unsign(self: Any, app: Any, value: str) -> Presented:
        for signer in self._signers(app):
            try:
                return Presented(want_bytes(signer.unsign(value)).decode())
            except BadSignature:
                continue
        return Presented(reason="bad_signature")

    patch.setattr(Cookies, "_unsign", unsign)


def other_spellings_of_a_cookie(patch: pytest.MonkeyPatch) -> None:
    """An encrypted cookie is decoded however it is spelled."""

    def decode(text: str) -> bytes | None:
        try:
            return base64.urlsafe_b64decode(text.encode() + b"===")
        except ValueError:
            return None

    patch.setattr(cookie, "_raw", decode)


def no_context(patch: pytest.MonkeyPatch) -> None:
    """What is readable of a record is not vouched for."""
    encrypt, decrypt = AesGcm.encrypt, AesGcm.decrypt
    patch.setattr(AesGcm, "encrypt", lambda self, plain, _: encrypt(self, plain, b""))
    patch.setattr(AesGcm, "decrypt", lambda self, sealed, _: decrypt(self, sealed, b""))


def any_tag(patch: pytest.MonkeyPatch) -> None:
    """A MAC is made and its comparison ignored."""
    patch.setattr(hmac, "compare_digest", lambda *_: True)

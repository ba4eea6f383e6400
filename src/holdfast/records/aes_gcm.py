"""Authenticated encryption by ``cryptography``, which importing this module needs."""

from __future__ import annotations

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from holdfast.errors import DecodeError

_NONCE_BYTES = 12


class Box:
    """AES-256-GCM (NIST SP 800-38D) under a key made by HKDF (RFC 5869).

    *secret* is what the key is made from: one secret, or several of fixed length in a row. *purpose* keeps boxes for
    different things apart.
    """

    def __init__(self, secret: bytes, purpose: bytes) -> None:
        self._cipher = AESGCM(HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(secret))

    def seal(self, plain: bytes, context: bytes) -> bytes:
        """Return *plain* sealed, to be opened only where *context* is the same."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, context)

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """Return what was sealed.

        Raises:
            DecodeError: It was not sealed with this key for this *context*, or it is damaged: one answer for all.
        """
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], context)
        except (InvalidTag, ValueError) as error:
            raise DecodeError("sealed data is damaged, or not what was sealed there") from error

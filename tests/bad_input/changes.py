"""Values close to a genuine one: all single changes of it."""

from __future__ import annotations

from collections.abc import Iterator

#: The alphabet of a cookie's value.
ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/"


def flips(genuine: bytes) -> Iterator[bytes]:
    """Yield *genuine* with each of its bits changed."""
    for bit in range(len(genuine) * 8):
        changed = bytearray(genuine)
        changed[bit // 8] ^= 1 << bit % 8
        yield bytes(changed)


def truncations(genuine: bytes) -> Iterator[bytes]:
    """Yield every part of *genuine* that begins or ends it, and *genuine* with something after it."""
    for length in range(1, len(genuine)):
        yield genuine[:length]
        yield genuine[length:]
    for more in (b"=", b"==", b"A", b"\0", b" \x01", genuine):
        yield genuine + more


def slips(genuine: bytes) -> Iterator[bytes]:
    """Yield *genuine* with each byte deleted, doubled, and exchanged for the next."""
    for at in range(len(genuine)):
        yield genuine[:at] + genuine[at + 1 :]
        yield genuine[:at] + genuine[at : at + 1] + genuine[at:]
        yield genuine[:at] + genuine[at + 1 : at + 2] + genuine[at : at + 1] + genuine[at + 2 :]


def insertions(genuine: bytes, pieces: list[bytes]) -> Iterator[bytes]:
    """Yield *genuine* with each of *pieces* put in at each place."""
    for at in range(len(genuine) + 1):
        yield from (genuine[:at] + piece + genuine[at:] for piece in pieces)


def substitutions(genuine: bytes, alphabet: bytes) -> Iterator[bytes]:
    """Yield *genuine* with each byte replaced by every other one of *alphabet*."""
    for at, present in enumerate(genuine):
        for byte in alphabet:
            if byte != present:
                yield genuine[:at] + bytes([byte]) + genuine[at + 1 :]


def splices(genuine: bytes, other: bytes) -> Iterator[bytes]:
    """Yield what begins as one of the two and goes on as the other, for every place to cut."""
    for cut in range(1, min(len(genuine), len(other))):
        for spliced in (genuine[:cut] + other[cut:], other[:cut] + genuine[cut:]):
            if spliced not in (genuine, other):
                yield spliced

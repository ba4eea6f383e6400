"""Weak keys: published, short, or of a pattern. A signature and a seal are as strong as their key."""

from __future__ import annotations

import base64
from itertools import pairwise

#: The fix in errors about a missing or weak key. Not `flask sessions new-key`: an application without a key may not
#: start, and then it has no commands.
NEW_KEY = "`python -m holdfast new-key` prints one"

#: Long enough for the strength of the signature's hash: 32 random bytes, or their text, which is longer.
_SHORTEST = 32

#: A random key of the minimum length has more than this many different bytes, and differences between neighbours, even
#: in hexadecimal digits.
_FEWEST = 8

#: A key that repeats a part of at most so many bytes is as strong as the part, which may be text.
_LONGEST_PART = 16

#: Keys from documentation, tutorials, templates and the defaults of products, which an attacker tries first. In lower
#: case: compared case-insensitively. Shorter ones and placeholders are no part of it: they are refused as such.
_PUBLISHED = frozenset(
    key.lower()
    for key in (
        # Our documentation
        "iPZkO7XEg7PpHkQ4N0cIhPxQTnJ3GAdX9Zp0y6vV0bE",
        "Qm-f_PeGXlbnnhYSXAH7Jz3X9hDwJUhYH35MGTlyV1o",
        # Flask's, and Flask-Security's
        "192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf",
        "pf9Wkove4IKEAXvy-cQkeDPhv9Cb3Ag-wyJILbq_dFw",
        # Superset and Redash
        "\\2\\1thisismyscretkey\\1\\2\\e\\y\\y\\h",
        "c292a0a3aa32397cdb050e233733900f",
        # a much-copied tutorial
        "5791628bb0b13ce0c676dfde280ba245",
    )
)

#: Placeholders that were to be replaced.
_PLACEHOLDERS = ("changeme", "changethis", "replaceme", "secretkey", "supersecret", "password", "yourkey", "yoursecret")


def weakness_of(key: str | bytes) -> str | None:
    """Return why *key* is weak, without revealing it, or None if no weakness is found."""
    text = key if isinstance(key, str) else key.decode("latin-1")
    raw = key.encode() if isinstance(key, str) else key
    encoded = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    if not _PUBLISHED.isdisjoint((text.lower(), raw.hex(), encoded.lower())):
        return "it is published"
    if len(raw) < _SHORTEST:
        return f"it is shorter than {_SHORTEST} bytes"
    letters = "".join(filter(str.isalnum, text)).lower()
    if any(placeholder in letters for placeholder in _PLACEHOLDERS):
        return "it is a placeholder that was to be replaced"
    steps = {after - before for before, after in pairwise(raw)}
    if len(set(raw)) < _FEWEST or len(steps) < _FEWEST or max(map(raw.count, set(raw))) > len(raw) // 2:
        return "it is made of few characters, or of a row of them"
    if any(raw[size:] == raw[:-size] for size in range(1, _LONGEST_PART + 1)):
        return "it repeats a short part"
    return None

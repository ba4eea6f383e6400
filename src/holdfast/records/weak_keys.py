"""Weak keys: published, short, or of a pattern. A signature and a seal are as strong as their key."""

from __future__ import annotations

from itertools import pairwise

#: The fix in errors about a missing or weak key. Not `flask sessions new-key`: an application without a key may not
#: start, and then it has no commands.
NEW_KEY = "`python -m holdfast new-key` prints one"

#: Long enough for the strength of the signature's hash: 32 random bytes, or their text, which is longer.
_SHORTEST = 32

#: A random key of the minimum length has more than this many different bytes, and differences between neighbours, even
#: in hexadecimal digits.
_FEWEST = 8

#: A key that repeats a part of fewer bytes than this is as strong as the part.
_SHORTEST_PART = 16

#: Keys from documentation, tutorials, templates and the defaults of products, which an attacker tries first. In lower
#: case: compared case-insensitively. Words are no part of it, as they are shorter than a key must be.
_PUBLISHED = frozenset(
    key.lower()
    for key in (
        # Flask's documentation
        "192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf",
        '_5#y2L"F4Q8z\n\xec]/',
        "A0Zr98j/3yX R~XHH!jmN]LWX/,?RT",
        "a super secret key",
        "dev",
        "development key",
        # Flask-Security's and Flask-WTF's
        "pf9Wkove4IKEAXvy-cQkeDPhv9Cb3Ag-wyJILbq_dFw",
        "secret-xyzzy",
        "super-secret",
        # Superset, Airflow and Redash
        "\x02\x01thisismyscretkey\x01\x02\\e\\y\\y\\h",
        "\\2\\1thisismyscretkey\\1\\2\\e\\y\\y\\h",
        "CHANGE_ME_TO_A_COMPLEX_RANDOM_SECRET",
        "TEST_NON_DEV_SECRET",
        "YOUR_OWN_RANDOM_GENERATED_SECRET_KEY",
        "thisISaSECRET_1234",
        "temporary_key",
        "c292a0a3aa32397cdb050e233733900f",
        # much-copied tutorials
        "5791628bb0b13ce0c676dfde280ba245",
        "hard to guess string",
        "you-will-never-guess",
    )
)

#: Placeholders that were to be replaced.
_PLACEHOLDERS = ("changeme", "changethis", "replaceme", "secretkey", "supersecret", "password", "yourkey", "yoursecret")


def weakness_of(key: str | bytes) -> str | None:
    """Return why *key* is weak, without revealing it, or None if no weakness is found."""
    text = key if isinstance(key, str) else key.decode("latin-1")
    raw = key.encode() if isinstance(key, str) else key
    if text.lower() in _PUBLISHED:
        return "it is published"
    if len(raw) < _SHORTEST:
        return f"it is shorter than {_SHORTEST} bytes"
    letters = "".join(filter(str.isalnum, text)).lower()
    if any(placeholder in letters for placeholder in _PLACEHOLDERS):
        return "it is a placeholder that was to be replaced"
    steps = {after - before for before, after in pairwise(raw)}
    if len(set(raw)) < _FEWEST or len(steps) < _FEWEST:
        return "it is made of few characters, or of a row of them"
    if any(raw[size:] == raw[:-size] for size in range(1, _SHORTEST_PART)):
        return "it repeats a short part"
    return None

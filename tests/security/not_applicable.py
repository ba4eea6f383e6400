"""The published advisories that cannot happen here, and why."""

from __future__ import annotations

#: By the id of the advisory: the reason, in one sentence.
NOT_APPLICABLE: dict[str, str] = {
    "CVE-2022-24880": (
        "Holdfast checks no answers for an application: its own methods return a bool, a word of a fixed "
        "list, or raise an error, and `session.pop_once` never returns a missing value."
    ),
    "CVE-2024-51996": (
        "Holdfast makes no remember-me tokens. Flask-Login's are signed with the user's id in them, and each "
        "browser with one gets a session of its own."
    ),
    "CVE-2026-34454": (
        "Holdfast has no sign-in page of its own, and another's has no state to clear: a session ends on the server."
    ),
    "CVE-2026-40303": (
        "A session is in one cookie: none is combined from several, and a longer value than browsers send is "
        "refused before it is parsed."
    ),
}

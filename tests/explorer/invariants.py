"""The invariants after all responses, for any order of store calls.

R1 to R9 are the races that every store is held to (`holdfast.testing`), here with the real flows.
Each invariant returns what is wrong, or None.
"""

from __future__ import annotations

from collections import Counter

from explorer.world import ALICE, BOB, KEYS, Answer, World, key_of

from holdfast.sessions.state import PERMANENT


def judge(world: World) -> None:
    """Check every invariant."""
    problems = [(invariant.__name__, invariant(world)) for invariant in INVARIANTS]
    wrong = [f"{name}: {problem}" for name, problem in problems if problem is not None]
    assert not wrong, "\n".join(wrong)


def _named(world: World, *names: str) -> bool:
    return any(role.name in names for role in world.roles)


def _marked(world: World, mark: str) -> set[str]:
    return {role.name for role in world.roles if mark in role.marks}


def _answers(world: World, mark: str) -> dict[str, Answer]:
    """Return the answers about the session in ``here`` to requests with *mark*."""
    return {name: it for name, it in world.answers.items() if mark in it.role.marks and name not in world.begun}


def _kept(world: World, mark: str) -> set[str]:
    """Return the requests with *mark* that were answered that their changes of the session in ``here`` are stored."""
    answers = _answers(world, mark).items()
    return {name for name, answer in answers if answer.found and answer.result in ("saved", "merged")}


def _enders(world: World) -> set[str]:
    """Return the requests that were answered that the session in ``here`` is over."""
    over = {name for name, answer in world.answers.items() if answer.found and answer.cookie == "delete"}
    over |= {name for name, answer in world.answers.items() if answer.read_only and answer.cookie == "delete"}
    over |= {name for name, result in world.results.items() if result == "confirmed"}
    over |= _kept(world, "wipes")
    if world.user == "alice":
        over |= _kept(world, "binds bob") | _marked(world, "revokes")
    return over


def _may_be_lost(world: World) -> bool:
    """Return whether the session in ``here`` may be over without a request for exactly that.

    A login that gives way to the end of all of the user's sessions ends the anonymous session too. And the session that
    is to be kept when all others are ended may be lost if two things happen at the same moment: it is rotated in steps,
    and between them its new record cannot be distinguished from another session; or it is rotated twice.
    """
    binds = any(answer.found for answer in _answers(world, "binds").values())
    moves = sum(name == "rotated" for name, _ in world.signals)
    kept = _named(world, "revoke others") and ((moves > 0 and not world.store.rotates) or (moves > 0 and binds))
    return bool(binds and _marked(world, "revokes")) or kept


def r1_r2_what_is_answered_is_what_is_so(world: World) -> str | None:
    """Every change that was reported as stored is there once, and no other change is."""
    for session in world.survivors:
        data = session.data
        pairs = (
            ({name for name in _answers(world, "writes") if data.get(name)}, _kept(world, "writes")),
            (Counter(data.get("list", ())), Counter(_kept(world, "appends"))),
            (data.get("hits", 0), len(_kept(world, "counts"))),
        )
        for there, saved in pairs:
            if there != saved:
                return f"{there} is there, and {saved} was saved"
        if data.get("shared", "") not in (_kept(world, "overwrites") or {""}):
            return f"{data.get('shared')!r} is there, and one of {_kept(world, 'overwrites')} was saved"
    return None


def r3_r4_what_is_over_stays_over(world: World) -> str | None:
    """After a session was ended or replaced, no record of it is left under any id; before, it exists."""
    enders = _enders(world)
    if world.survivors and world.survivors[0].owner != ALICE:
        enders -= _marked(world, "revokes")
    if world.survivors and enders:
        return f"{world.survivors[0]} lives after {sorted(enders)}"
    if not world.survivors and not enders and not _may_be_lost(world):
        return "the session is lost and nobody ended it"
    return None


def r3_whoever_ends_a_session_ends_it(world: World) -> str | None:
    """After a request to destroy the session no record of it is left, unless a user signed in or out meanwhile."""
    owner = KEYS.owner_of(world.user) if world.user else None
    left = [session for session in world.survivors if session.owner == owner]
    tried = [name for name, answer in _answers(world, "ends").items() if answer.found]
    return f"{left[0]} lives after {tried}" if left and tried else None


def r15_a_logout_signs_out(world: World) -> str | None:
    """After a logout no session that it came with is the user's, under whatever id, unless the answer is an error."""
    asked = {name for mark in ("ends", "wipes", "unbinds") for name in _answers(world, mark)}
    answered = sorted(name for name in asked if world.answers[name].result and _came_with_a_session(world, name))
    left = [session for session in world.survivors if session.owner == ALICE]
    return f"{left[0]} lives after {answered}" if left and answered and world.user == "alice" else None


def _came_with_a_session(world: World, name: str) -> bool:
    answer = world.answers[name]
    return answer.found is not None or answer.read_only


def r14_a_login_signs_in(world: World) -> str | None:
    """A login that is answered has the token of a session of its user, unless something else was ended meanwhile.

    It has a token in any case: one that gives way is refused.
    """
    ends = {"ends", "wipes", "unbinds", "revokes", "ends others"}
    may_end = any(ends & role.marks for role in world.roles) or _named(world, "revoke others")
    for name, answer in world.answers.items():
        for mark, user in (("binds", ALICE), ("binds bob", BOB)):
            if mark in answer.role.marks and answer.result:
                if answer.token is None:
                    return f"{name} is answered, {answer.result}, has no token, and is not signed in"
                if may_end:
                    continue
                found = world.probe(answer.token).stored if answer.token else None
                if found is None or found.owner != user:
                    return f"{name} is answered, {answer.result}, cookie {answer.cookie}, and not signed in"
    return None


def nothing_is_dropped_without_cause(world: World) -> str | None:
    """A request that found the session is not told that it is gone, unless it is over, or has another id."""
    causes = _enders(world) | _kept(world, "supersedes") | _marked(world, "revokes") | _marked(world, "ends")
    if causes or _may_be_lost(world):
        return None
    dropped = [name for name, answer in world.answers.items() if answer.found and answer.result == "gone"]
    return f"what {dropped} changed is dropped" if dropped else None


def r3_r5_no_cookie_after_the_end(world: World) -> str | None:
    """A request that is still at work when its session, or its id, is over sends no cookie for it.

    A login that began a session of its own sends that one's, unless a logout ended a session of the same user.
    """
    ended, begun = _enders(world), world.begun
    logouts = ended & _marked(world, "ends") if world.user else set()
    for name, answer in world.answers.items():
        own = set[str]() if "binds bob" in answer.role.marks else logouts
        over = own if name in begun else ended | _kept(world, "supersedes")
        if answer.found and answer.cookie == "send":
            if over.intersection(answer.after):
                return f"{name} sends a cookie though {sorted(over.intersection(answer.after))} came before"
            replaced = {world.answers[other].found for other in answer.after if other in world.answers}
            if answer.token and key_of(answer.token) in replaced:
                return f"{name} sends an id that {answer.after} had replaced"
    return None


def r5_the_old_id_is_dead(world: World) -> str | None:
    """After a rotation the old id opens no session and is read-only; without one, it opens the session."""
    found = world.probe(world.tokens["here"])
    superseded = _kept(world, "supersedes")
    if superseded and found.stored is not None:
        return "the old id opens a session"
    if superseded and world.survivors and not found.read_only:
        return "a late request with the old id may replace the new cookie"
    if world.survivors and not superseded and (not found.stored or found.stored.key != world.survivors[0].key):
        return "the id that the browser has does not open the session"
    return None


def r6_late_arrivals_are_harmless(world: World) -> str | None:
    """A request whose id was just replaced is anonymous and read-only, and sends no cookie.

    Except a logout, which ends the session all the same, and a login, which begins a session of its own.
    """
    for name, answer in world.answers.items():
        ends = not answer.role.marks.isdisjoint(("ends", "wipes", "unbinds")) and answer.cookie == "delete"
        begins = name in world.begun and not answer.role.marks.isdisjoint(("binds", "binds bob"))
        if (
            answer.read_only
            and not (ends or begins)
            and (answer.found or answer.cookie == "send" or answer.result not in ("", "unchanged", "gone"))
        ):
            return f"{name} came late: {answer.result}, cookie {answer.cookie}"
        lost = answer.role.browser and not answer.found and not answer.read_only
        if lost and not _enders(world) and not _may_be_lost(world):
            return f"{name} found nothing"
    return None


def r7_one_id_lives(world: World) -> str | None:
    """A session lives under one id, and of several rotations of one id one wins."""
    if len(world.survivors) > 1:
        return f"two ids live: {world.survivors}"
    winners = {name for name in _kept(world, "supersedes") if world.answers[name].cookie == "send"}
    return f"{sorted(winners)} have all won" if len(winners) > 1 else None


def r8_no_session_outlives_the_end_of_all(world: World) -> str | None:
    """After all of a user's sessions were ended, none is left but the one to be kept."""
    live = {session.data.get(PERMANENT) for session in world.sessions if session.owner == ALICE}
    from_here, from_there = _named(world, "revoke others"), _named(world, "revoke from there")
    if _named(world, "revoke all", "revoke all twice") or (from_here and from_there):
        return f"{live} live" if live else None
    if from_here:
        return f"{live} live" if live - {"here"} else None
    if from_there:
        return f"{live} live" if live != {"there"} else None
    return None if "there" in live else "the session in another browser is lost"


def r8_a_login_that_gives_way_sends_no_cookie(world: World) -> str | None:
    """A login that is still at work when all of the user's sessions were ended sends no cookie."""
    for name, answer in world.answers.items():
        if (
            "binds" in answer.role.marks
            and answer.cookie == "send"
            and _marked(world, "revokes").intersection(answer.after)
        ):
            return f"{name}: {answer.result}, cookie {answer.cookie}"
    return None


def r9_the_index_is_complete(world: World) -> str | None:
    """Every live session of a user is in the user's index."""
    for session in world.sessions:
        if session.owner is not None and session.key not in dict(world.store.find(session.owner).items):
            return f"{session} is not in the index"
    return None


def what_lives_throughout_is_listed(world: World) -> str | None:
    """A list of a user's sessions shows each one once, and every unchanged one."""
    for name, result in world.results.items():
        if isinstance(result, list):
            if len(set(result)) != len(result):
                return f"{name} shows a session twice"
            alone = not _marked(world, "revokes") and not _named(world, "revoke others")
            if alone and world.handles["there"] not in result:
                return f"{name} does not show the session in the other browser"
    return None


def nobody_is_mistaken_for_another(world: World) -> str | None:
    """A session belongs to the user whose id it holds, and holds no data of another user."""
    strangers = {
        user: {name for name, answer in world.answers.items() if mark in answer.role.marks}
        for user, mark in (("alice", "binds bob"), ("bob", "binds"))
    }
    for session in world.sessions:
        user = session.data.get("_user_id")
        if user is not None and KEYS.owner_of(user) != session.owner:
            return f"{session} holds the id of {user}"
        if user is not None and session.data.keys() & strangers[user]:
            return f"{session} holds what another user did"
        if user == "bob" and world.user == "alice" and PERMANENT in session.data:
            return f"{session} holds what was Alice's"
    return None


def every_session_has_a_browser(world: World) -> str | None:
    """Every live session can be opened: a browser has its token, or is sent it."""
    known = {key_of(token) for token in world.known_tokens}
    orphans = [session for session in world.sessions if session.key not in known]
    return f"nobody can open {orphans[0]}" if orphans else None


def an_end_is_told_once(world: World) -> str | None:
    """The signal that a session is over is sent once for each session, under the last of its ids."""
    ended = [details["handle"] for name, details in world.signals if name == "ended"]
    if len(set(ended)) != len(ended):
        return f"{ended} ended"
    rotated = [details for name, details in world.signals if name == "rotated"]
    again = [details["handle"] for details in rotated if details["handle"] in ended and details["previous"] in ended]
    return f"{again} ended, and so did what it was rotated from" if again else None


INVARIANTS = (
    r1_r2_what_is_answered_is_what_is_so,
    r3_r4_what_is_over_stays_over,
    r3_whoever_ends_a_session_ends_it,
    r15_a_logout_signs_out,
    r14_a_login_signs_in,
    nothing_is_dropped_without_cause,
    r3_r5_no_cookie_after_the_end,
    r5_the_old_id_is_dead,
    r6_late_arrivals_are_harmless,
    r7_one_id_lives,
    r8_no_session_outlives_the_end_of_all,
    r8_a_login_that_gives_way_sends_no_cookie,
    r9_the_index_is_complete,
    what_lives_throughout_is_listed,
    nobody_is_mistaken_for_another,
    every_session_has_a_browser,
    an_end_is_told_once,
)

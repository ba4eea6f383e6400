"""ASVS 5.0, chapter V7, session management, with the rows of other standards that ask for the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from security import bugs
from security import planted_requirements_asvs_sessions as planted
from security.bugs import ignores_the_case_of_tokens
from security.rows import requirement
from support.application import Jar, Site, said, values_set
from support.everywhere import INDEXED

from holdfast.clock import DAY, system_clock

SiteOn = Callable[..., Site]

SHORT = {"PERMANENT_SESSION_LIFETIME": 60, "SESSION_ABSOLUTE_LIFETIME": 600}


# --- tokens ----------------------------------------------------------------------------------------------------------


@requirement(
    "ASVS 7.2.1",
    "NIST 5.1 secret presented directly",
    says="The server checks the token, and possession of it continues the session.",
    mutants=[ignores_the_case_of_tokens, planted.the_beginning_will_do],
)
def test_only_the_token_itself_continues_the_session(place: str, site_on: SiteOn) -> None:
    """The token opens its user's session; without it, and with any changed one, the visitor is anonymous."""
    site = site_on(place)
    [jar] = site.jars("ada", 1)
    token = jar.token or ""
    letter = next(at for at, character in enumerate(token) if character.isalpha())
    edited = [
        token[:letter] + token[letter].swapcase() + token[letter + 1 :],
        token[:42],
        token[:-1] + ("A" if token[-1] != "A" else "E"),
        token + "A",
        token[::-1],
        f" {token[:20]}",
        f'"{token}"x',
    ]
    assert [site.jar(value).me() for value in (None, *edited)] == [None] * (1 + len(edited))
    assert jar.me() == "ada"


@requirement(
    "ASVS 7.2.2",
    "ASVS 4.0 3.5.2",
    says="A token is made for each session; none is a constant or chosen by configuration.",
    mutants=[planted.tokens_from_a_seed],
)
def test_each_session_has_its_own_token(place: str, site_on: SiteOn) -> None:
    """Two logins of one user, and one more after a restart, have three different tokens."""
    site = site_on(place)
    tokens = [jar.token for jar in site.jars("ada", 2)]
    restarted = site_on(place)
    tokens += [jar.token for jar in restarted.jars("ada", 2)]
    assert len(set(tokens)) == 4


@requirement(
    "ASVS 7.2.4",
    "ASVS 4.0 3.2.1",
    "NIST 5.1 generated at authentication",
    "OWASP different names before and after login",
    says="A login gives the session a new token, and the old one opens no session.",
    mutants=[bugs.login_keeps_the_id, bugs.both_ids_live],
)
@pytest.mark.parametrize("how", ["bind", "key"])
def test_a_login_changes_the_token(place: str, site_on: SiteOn, how: str) -> None:
    """Each login gives a new token, even if the application only sets its identity key. The old ones are invalid.

    There is one cookie, under one name: only the token distinguishes before from after.
    """
    site = site_on(place)
    jar = site.jar()
    jar.post("/set", k="cart", v="apple")
    stages = [jar.copy()]
    for user in ("ada", "ada"):
        jar.login(user, how=how)
        stages.append(jar.copy())
    assert len({stage.token for stage in stages}) == 3
    for old in stages[:-1]:
        assert old.me() is None
        assert "cart" not in said(old.copy().post("/set", k="a", v="b"))["data"]
    assert jar.me() == "ada"
    assert said(jar.post("/set", k="a", v="b"))["data"]["cart"] == "apple"


@requirement(
    "OWASP renewal on privilege change",
    says="Each change of privilege gives a new token, and the old one is invalid.",
    mutants=[bugs.login_keeps_the_id, bugs.both_ids_live, bugs.logout_in_the_browser_only],
)
@pytest.mark.kinds(*INDEXED)
def test_a_change_of_privilege_changes_the_token(place: str, site_on: SiteOn) -> None:
    """A re-authentication, a change of role and a logout all invalidate the old token."""
    site = site_on(place)
    for change in ("/sudo", "/rotate", "/alone", "/logout"):
        site.clock.advance(1)
        [jar] = site.jars("ada", 1)
        old = jar.copy()
        jar.post(change)
        assert jar.token != old.token
        assert (old.me(), jar.me()) == (None, None if change == "/logout" else "ada")


# --- timeouts --------------------------------------------------------------------------------------------------------


@requirement(
    "ASVS 7.3.1",
    "ASVS 4.0 3.3.1",
    "NIST 5.1 (5) times out",
    "OWASP timeouts",
    says="A session that is not used for the idle timeout is over, on the server.",
    mutants=[bugs.never_idle],
)
def test_an_unused_session_is_over(place: str, site_on: SiteOn) -> None:
    """Use within the timeout keeps a session; a second later it is over, even if the browser still sends the cookie."""
    site = site_on(place, **SHORT)
    [jar] = site.jars("ada", 1)
    for _ in range(3):
        site.clock.advance(59)
        assert jar.me() == "ada"
    thief = jar.copy()
    site.clock.advance(61)
    assert (jar.me(), thief.me(), thief.me()) == (None, None, None)


@requirement(
    "ASVS 7.3.2",
    "ASVS 4.0 3.3.1",
    "NIST 5.1 (5) times out",
    "OWASP timeouts",
    says="A session is over at the absolute timeout, even if it is used and rotated.",
    mutants=[bugs.never_too_old, bugs.born_again_at_each_write],
)
def test_no_use_and_no_rotation_goes_beyond_the_absolute_timeout(place: str, site_on: SiteOn) -> None:
    """A session in steady use lives at 599 seconds and is over at 601, and so is one that was rotated halfway."""
    site = site_on(place, **SHORT)
    jars = used, rotated = site.jars("ada", 2)
    for second in range(50, 600, 50):
        site.clock.advance(50)
        assert [jar.me() for jar in jars] == ["ada", "ada"]
        used.post("/set", k="second", v=str(second))
        if second == 300:
            rotated.post("/rotate")
    site.clock.advance(49)
    assert [jar.me() for jar in jars] == ["ada", "ada"]
    site.clock.advance(2)
    assert [jar.me() for jar in jars] == [None, None]


@requirement(
    "NIST 5.2 two timeouts",
    says="Activity restarts only the idle timeout, re-authentication both; either ends the session.",
    mutants=[bugs.never_too_old, bugs.never_idle, bugs.born_again_at_each_write, planted.a_login_resets_nothing],
)
def test_only_a_proof_of_identity_restarts_both_timeouts(place: str, site_on: SiteOn) -> None:
    """Re-authenticated at 590 seconds, a session lives at 1180; otherwise it is over at 601, and idle at any time."""
    site = site_on(place, **SHORT)
    proved, used, idle = site.jars("ada", 3)

    def use_until(second: int, *jars: Jar) -> None:
        while second - (now := (site.clock() - start) // 1000):
            site.clock.advance(min(59, second - now))
            for jar in jars:
                jar.inc()

    start = site.clock()
    use_until(118, proved, used)
    assert idle.me() is None
    use_until(590, proved, used)
    proved.post("/sudo")
    use_until(599, proved, used)
    assert used.me() == "ada"
    use_until(601, proved, used)
    assert used.me() is None
    use_until(1180, proved)
    assert proved.me() == "ada"
    site.clock.advance(60)
    assert proved.me() is None


@requirement(
    "OWASP expiry acts on both sides",
    says="When a session expires, its record is removed and its cookie is invalid.",
    mutants=[planted.purges_nothing, bugs.never_idle],
)
@pytest.mark.kinds("memory", "sqlite", "files", "json", "mariadb", "postgresql")
def test_an_expired_session_leaves_nothing(place: str, site_on: SiteOn) -> None:
    """The record is purged, in the stores that do not do so by themselves. No deletion cookie is sent.

    A deletion could arrive after the cookie of a login and undo it.
    """
    site = site_on(place, **SHORT)
    # What is removed for good has expired by a server's clock too.
    site.clock.advance_ms(system_clock() - site.clock() - 2 * DAY)
    [jar] = site.jars("ada", 1)
    site.clock.advance(61)
    response = jar.get("/me")
    assert said(response)["user"] is None
    assert not values_set(response, site.cookie_name)
    site.clock.advance(24 * 3600)
    with site.app.app_context():
        assert site.sessions.purge() == 1
        assert site.sessions.purge() == 0
    assert site.count() == 0


# --- the end ---------------------------------------------------------------------------------------------------------


@requirement(
    "ASVS 7.4.1",
    "ASVS 4.0 3.3.1",
    "OWASP logout",
    "NIST 5.1 (3) erased at logout",
    says="After a logout no copy of the cookie is valid, in any process.",
    mutants=[bugs.logout_in_the_browser_only],
)
def test_nothing_is_left_of_a_session_after_its_logout(place: str, site_on: SiteOn) -> None:
    """A copied cookie is refused by the process that logged out and by another, and the store holds no session."""
    site = site_on(place)
    worker = site.worker()
    [jar] = site.jars("ada", 1)
    copy = jar.copy()
    assert copy.at(worker).me() == "ada"
    jar.post("/logout")
    assert jar.token is None
    assert [copy.me(), copy.at(worker).me(), site.count()] == [None, None, 0]


@requirement(
    "ASVS 7.4.2",
    "ASVS 7.4.5",
    says="An administrator, or the end of an account, ends all of a user's sessions at once.",
    mutants=[planted.ends_only_the_first, planted.no_cut_off],
)
@pytest.mark.kinds(*INDEXED)
def test_all_sessions_of_a_user_end_at_once(place: str, site_on: SiteOn) -> None:
    """The next request of each browser, in each process, is anonymous; a login that was running is refused too."""
    site = site_on(place)
    jars = [jar.at(site.worker()) for jar in site.jars("ada", 3)]
    [other] = site.jars("bob", 1)
    late = site.jar()
    ended: list[int] = []

    def end_all() -> None:
        site.clock.advance(1)
        ended.append(said(other.post("/users/ada/revoke-all")))

    site.meanwhile = end_all
    late.login("ada", slow="yes")
    assert ended == [3]
    assert [jar.me() for jar in (*jars, late)] == [None] * 4
    assert other.me() == "bob"
    site.clock.advance(1)
    assert site.jars("ada", 1)[0].me() == "ada"


@requirement(
    "ASVS 7.4.3",
    "ASVS 4.0 3.3.3",
    says="A user who changed a factor can end all other sessions.",
    mutants=[planted.keeps_none, planted.keeps_all, bugs.both_ids_live],
)
@pytest.mark.kinds(*INDEXED)
def test_a_user_can_end_all_other_sessions(place: str, site_on: SiteOn) -> None:
    """The browser that asked continues, under a new token; the user's others are over."""
    site = site_on(place)
    jars = site.jars("ada", 3)
    old = jars[0].copy()
    jars[0].post("/alone")
    assert jars[0].token != old.token
    assert [jar.me() for jar in (old, *jars)] == [None, "ada", None, None]


@requirement(
    "ASVS 7.5.2",
    "ASVS 4.0 3.3.4",
    "OWASP simultaneous logons",
    says="Users can list their sessions and end any of them, but no one else's.",
    mutants=[bugs.keys_are_tokens, planted.lists_everybodys, planted.revokes_nothing],
)
@pytest.mark.kinds(*INDEXED)
def test_users_list_and_end_their_own_sessions(place: str, site_on: SiteOn) -> None:
    """A handle opens no session, ends a session of its user, and is not found for another user."""
    site = site_on(place)
    mine, lost = site.jars("ada", 2)
    [other] = site.jars("bob", 1)
    handles = mine.sessions()
    assert len(handles) == 2
    assert not {mine.token, lost.token} & set(handles)
    assert [site.jar(handle).me() for handle in handles] == [None, None]
    assert mine.post(f"/sessions/{other.sessions()[0]}/revoke").status_code == 404
    assert mine.post(f"/sessions/{lost.told('/me')['handle']}/revoke").json == "confirmed"
    assert [jar.me() for jar in (mine, lost, other)] == ["ada", None, "bob"]


# --- no session without a reason -------------------------------------------------------------------------------------


@requirement(
    "ASVS 7.6.2",
    says="A session begins only with an action of the user.",
    mutants=[bugs.records_for_everybody],
)
def test_visitors_who_do_nothing_have_no_session(place: str, site_on: SiteOn) -> None:
    """Crawlers, prefetches, checks, missing pages and a logout without a session leave no record and get no cookie."""
    site = site_on(place)
    visits: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", "/me", {}),
        ("GET", "/peek", {"headers": {"Sec-Purpose": "prefetch"}}),
        ("GET", "/noop", {}),
        ("HEAD", "/me", {}),
        ("OPTIONS", "/login", {}),
        ("GET", "/nowhere", {}),
        ("GET", "/stream", {}),
        ("POST", "/logout", {}),
        ("POST", "/rotate", {}),
    ]
    for _ in range(10):
        for method, path, options in visits:
            response = site.jar().open(method, path, **options)
            assert not response.headers.getlist("Set-Cookie")
    assert site.records() == {}

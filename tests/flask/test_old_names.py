"""``SESSION_COOKIE_OLD_NAMES``: a new name of the cookie, or a profile that changes it, signs nobody out."""

from __future__ import annotations

from typing import Any

import pytest
from support.web import STRANGER, Web, attributes, cookies_set, end, rotate

from holdfast.errors import ConfigurationError
from holdfast.flask import session
from holdfast.records.encryption import new_key

#: Where sessions are kept, and how cookies are made.
MODES: dict[str, dict[str, Any]] = {
    "store": {},
    "signed": {"SESSION_USE_SIGNER": True},
    "sealed": {"SESSION_SEAL": "cookie"},
    "cookie": {"setting": "UNUSED", "SESSION_STORE": "cookie://"},
    "revocable": {"setting": "SESSION_REVOCATION_STORE", "SESSION_STORE": "cookie://"},
}
_KEYS = [new_key()]


class Site:
    """An application that changes the name of its cookie. Its store stays."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings
        self.before = self.with_name()
        self.browser = self.before.app.test_client()

    def with_name(self, **settings: Any) -> Web:
        """Return the application with *settings* and the same store."""
        keys = {} if self.settings.get("SESSION_USE_SIGNER") else {"SESSION_SEAL_KEYS": _KEYS}
        before = getattr(self, "before", None)
        inner = None if before is None else lambda _: before.memory
        web = Web(inner, **{**self.settings, **keys, **settings})
        if before is not None:
            web.clock = before.clock
        return web

    def of(self, web: Web) -> Any:
        """Return the browser, at the application as it is now."""
        browser = web.app.test_client()
        browser._cookies = self.cookies
        return browser

    @property
    def cookies(self) -> dict[Any, Any]:
        """The browser's cookies."""
        assert self.browser._cookies is not None
        return self.browser._cookies

    def names(self) -> set[str]:
        """Return the names of the browser's cookies."""
        return {cookie.key for cookie in self.cookies.values()}

    @property
    def value(self) -> str:
        """The value of the browser's only cookie."""
        [cookie] = self.cookies.values()
        return str(cookie.value)


def sign_in() -> None:
    """Sign ada in, with something in the cart."""
    session.bind("ada")
    session["cart"] = 1


@pytest.fixture(params=MODES)
def site(request: pytest.FixtureRequest) -> Site:
    """Return a site whose user is signed in."""
    site = Site(**MODES[request.param])
    site.before.do(sign_in, site.browser, base_url="https://localhost")
    return site


def whose(web: Web, browser: Any) -> tuple[bool, Any]:
    """Return whether a user is signed in, and what is in the cart."""
    seen: list[Any] = []
    web.do(lambda: seen.append((session.owner is not None, session.get("cart"))), browser, base_url="https://localhost")
    return tuple(seen[0])


def test_the_session_moves_to_the_new_name(site: Site) -> None:
    """The first use under the new name sends its cookie and deletes the old one; from then on only that one counts."""
    web = site.with_name(SESSION_COOKIE_NAME="basket", SESSION_COOKIE_OLD_NAMES=["session"])
    browser = site.of(web)
    assert whose(web, browser) == (True, 1)
    assert site.names() == {"basket"}
    assert whose(web, browser) == (True, 1)
    web.do(end, browser, base_url="https://localhost")
    assert whose(web, browser) == (False, None)
    assert site.names() == set()


def test_a_login_and_a_logout_at_once_delete_the_old_one(site: Site) -> None:
    """So does a first use that is a logout, a change, or a login."""
    for view, left in ((end, set()), (lambda: session.update(a=1), {"basket"}), (rotate, {"basket"})):
        web = site.with_name(SESSION_COOKIE_NAME="basket", SESSION_COOKIE_OLD_NAMES=["session"])
        site.browser = site.before.app.test_client()
        site.before.put(site.browser, cart=1)
        web.do(view, site.of(web))
        assert site.names() == left


def test_a_profile_on_a_live_site_keeps_users_signed_in(site: Site) -> None:
    """With the old name listed, a profile's ``__Host-`` cookie takes over, and the old one is deleted."""
    web = site.with_name(SESSION_PROFILE="asvs-l1", SESSION_COOKIE_OLD_NAMES=["session"])
    browser = site.of(web)
    assert whose(web, browser) == (True, 1)
    assert site.names() == {"__Host-id"}
    assert whose(web, browser) == (True, 1)


def test_without_the_setting_an_old_name_is_ignored(site: Site) -> None:
    """A cookie of another name is not read."""
    web = site.with_name(SESSION_COOKIE_NAME="basket")
    assert whose(web, site.of(web)) == (False, None)


def test_a_name_that_is_not_listed_is_no_name_of_ours(site: Site) -> None:
    """A signature, and a session in its cookie, count only under the names that are listed."""
    web = site.with_name(SESSION_COOKIE_NAME="basket", SESSION_COOKIE_OLD_NAMES=["session"])
    value = site.value
    if site.settings.get("SESSION_USE_SIGNER"):
        assert web.send(f"basket={value}", lambda: str(session.get("cart"))).text == "None"
    other = site.with_name(SESSION_COOKIE_NAME="basket", SESSION_COOKIE_OLD_NAMES=["other"])
    assert other.send(f"session={value}", lambda: str(session.get("cart"))).text == "None"


def test_the_present_name_counts_first(site: Site) -> None:
    """A cookie of the present name that can be ours is the session, whatever an old one says; junk is not."""
    web = site.with_name(SESSION_COOKIE_NAME="basket", SESSION_COOKIE_OLD_NAMES=["older", "session"])
    old = site.value
    browser = web.app.test_client()
    web.put(browser, cart=2)
    new = web.token(browser)
    assert web.send(f"session={old}; basket={new}", lambda: str(session.get("cart"))).text == "2"
    for junk in ("", "junk", STRANGER[:-1]):
        response = web.send(f"basket={junk}; session={old}", lambda: str(session.get("cart")))
        assert response.text == "1"
        assert cookies_set(response, "basket")


def test_the_deletion_has_the_attributes_of_the_cookie() -> None:
    """The old cookie is deleted with the attributes of the present one, or browsers would keep it."""
    site = Site()
    site.before.put(site.browser, cart=1)
    web = site.with_name(SESSION_COOKIE_NAME="basket", SESSION_COOKIE_OLD_NAMES=["session"], SESSION_COOKIE_SECURE=True)
    response = web.do(lambda: str(session.get("cart")), site.of(web), base_url="https://localhost")
    [deletion] = cookies_set(response, "session")
    found = attributes(deletion)
    assert found.pop("max-age") == "0"
    assert found.pop("expires") == "Thu, 01 Jan 1970 00:00:00 GMT"
    assert found == {"path": "/", "httponly": None, "secure": None}


@pytest.mark.parametrize(
    ("name", "demanded"),
    [
        ("__Host-id", {"path": "/", "secure": None, "httponly": None}),
        ("__host-http-id", {"path": "/", "secure": None, "httponly": None}),
        ("__Secure-id", {"path": "/shop", "domain": "example.com", "secure": None, "httponly": None}),
        ("id", {"path": "/shop", "domain": "example.com", "httponly": None}),
    ],
)
def test_the_deletion_has_what_the_prefix_of_the_old_name_demands(name: str, demanded: dict[str, str | None]) -> None:
    """Browsers ignore a deletion under such a name too that is not as the prefix demands."""
    web = Web(SESSION_COOKIE_OLD_NAMES=[name], SESSION_COOKIE_PATH="/shop", SESSION_COOKIE_DOMAIN="example.com")
    response = web.send(f"{name}={STRANGER}", lambda: session.bind("ada"), base_url="https://www.example.com/shop")
    [deletion] = cookies_set(response, name)
    found = attributes(deletion)
    assert found.pop("max-age") == "0"
    assert found.pop("expires")
    assert found == demanded


def test_requests_under_the_new_name_cost_no_more(site: Site) -> None:
    """Once it has moved, nothing is sent and nothing more is looked up."""
    web = site.with_name(SESSION_COOKIE_NAME="basket", SESSION_COOKIE_OLD_NAMES=["session"])
    browser = site.of(web)
    whose(web, browser)
    assert not web.do(lambda: session.get("cart"), browser, base_url="https://localhost").headers.getlist("Set-Cookie")
    assert sum(web.calls(lambda: session.get("cart"), browser, base_url="https://localhost").values()) <= 2


@pytest.mark.parametrize("value", ["session", [""], ["a b"], [7]])
def test_a_wrong_value_is_refused(value: Any) -> None:
    """It must be a list of names that cookies can have."""
    with pytest.raises(ConfigurationError, match="SESSION_COOKIE_OLD_NAMES is"):
        Web(SESSION_COOKIE_OLD_NAMES=value)


@pytest.mark.parametrize("mode", MODES)
def test_the_present_name_is_no_former_one(mode: str) -> None:
    """Where the settings list the present name too, as without the profile of production, nobody is signed out."""
    site = Site(**MODES[mode], SESSION_COOKIE_OLD_NAMES=["session"])
    for change in (lambda: session.bind("ada"), rotate, lambda: session.update(a=1)):
        site.before.do(change, site.browser)
        assert site.before.see(lambda: session.owner, site.browser)
    site.before.do(end, site.browser)
    assert site.names() == set()

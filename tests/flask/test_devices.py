"""The stored device and address of a user's login."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from support.web import Web, rotate

from holdfast.flask import session
from holdfast.flask import user_agent as devices
from holdfast.records.envelope import Envelope, decode
from holdfast.records.metadata import Device

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 "
    "Mobile/15E148 Safari/604.1"
)
EDGE = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36 "
    "Edg/126.0.0.0"
)
ROBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"


@pytest.fixture
def without_extra(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run as where ``holdfast[devices]`` is not installed."""
    for cached in (devices._parser, devices.device_metadata):
        cached.cache_clear()
    monkeypatch.setitem(sys.modules, "ua_parser", None)
    yield
    for cached in (devices._parser, devices.device_metadata):
        cached.cache_clear()


def sign_in(web: Web, header: str | None = FIREFOX, **environment: Any) -> None:
    """Sign Ada in, with a User-Agent header."""
    web.do(lambda: session.bind("ada"), headers={"User-Agent": header} if header is not None else {}, **environment)


def meta_of(web: Web) -> dict[str, str]:
    """Return the device and address in the metadata of Ada's one session."""
    (info,) = web.sessions.of("ada")
    return {name: value for name, value in info.meta.items() if name in {"browser", "os", "device", "address"}}


@pytest.mark.parametrize(
    ("header", "device"),
    [
        (FIREFOX, Device("Firefox", "Linux")),
        (IPHONE, Device("Mobile Safari", "iOS", "iPhone")),
        (EDGE, Device("Edge", "Windows")),
        (ROBOT, Device("Googlebot", None, "Spider")),
        ("Mystery/1.0", None),
        ("", None),
    ],
)
def test_a_login_keeps_the_families_of_its_device(web: Web, header: str, device: Device | None) -> None:
    """A login keeps the families of browser, system and device; an unknown header leaves no device."""
    sign_in(web, header)
    (info,) = web.sessions.of("ada")
    assert info.device == device


def test_the_header_itself_is_not_kept(web: Web) -> None:
    """No version, and no other part of the User-Agent header, is in the record."""
    sign_in(web, FIREFOX)
    records = [record.data for _, record in web.memory.scan(limit=10).items]
    (data,) = [data for data in records if isinstance(decode(data), Envelope)]
    assert meta_of(web) == {"browser": "Firefox", "os": "Linux"}
    assert b"128" not in data
    assert b"Mozilla" not in data


def test_a_visitor_s_device_is_not_kept(web: Web) -> None:
    """A session without a user has no device."""
    web.do(lambda: session.update(cart=[1]), headers={"User-Agent": FIREFOX})
    (_, record), *_ = web.memory.scan(limit=10).items
    body = decode(record.data)
    assert isinstance(body, Envelope)
    assert body.meta.keys() == {"sid"}


def test_each_login_tells_its_own_device(web: Web) -> None:
    """A login with another device takes the place of the earlier one, and of all of it."""
    sign_in(web, IPHONE)
    sign_in(web, FIREFOX)
    assert meta_of(web) == {"browser": "Firefox", "os": "Linux"}


def test_nothing_but_a_login_looks_at_the_device(web: Web) -> None:
    """Saves and rotations leave the device as it was at login, whatever header they carry."""
    sign_in(web, FIREFOX)
    web.do(lambda: session.update(a=1), headers={"User-Agent": IPHONE})
    web.do(rotate, headers={"User-Agent": IPHONE})
    assert meta_of(web) == {"browser": "Firefox", "os": "Linux"}


def test_without_the_extra_nothing_is_kept(web: Web, without_extra: None) -> None:
    """Where ua-parser is not installed, a login works and keeps no device."""
    sign_in(web)
    assert meta_of(web) == {}


def test_devices_need_not_be_kept() -> None:
    """With ``SESSION_KEEP_DEVICE`` off, a login keeps no device, and removes the one that an earlier login left."""
    web = Web()
    sign_in(web)
    web.app.config["SESSION_KEEP_DEVICE"] = False
    sign_in(web)
    assert meta_of(web) == {}


def test_an_address_is_not_kept_unasked(web: Web) -> None:
    """Addresses are kept only where the application says so."""
    sign_in(web, environ_base={"REMOTE_ADDR": "192.0.2.7"})
    (info,) = web.sessions.of("ada")
    assert info.address is None


def test_an_address_is_kept_as_flask_gives_it() -> None:
    """With ``SESSION_KEEP_ADDRESS`` a login keeps `request.remote_addr`; a later one without it removes it."""
    web = Web(SESSION_KEEP_ADDRESS=True)
    sign_in(web, environ_base={"REMOTE_ADDR": "2001:db8::7"})
    (info,) = web.sessions.of("ada")
    assert info.address == "2001:db8::7"
    web.app.config["SESSION_KEEP_ADDRESS"] = False
    sign_in(web, environ_base={"REMOTE_ADDR": "2001:db8::8"})
    (info,) = web.sessions.of("ada")
    assert info.address is None


# --- headers meant to harm -------------------------------------------------------------------------------------------

#: Beginnings and pieces that the expressions for browsers look for, for headers that nearly match again and again.
PIECES = [
    *["Mozilla/5.0 (", "Linux; Android 4.0; ", "iPhone; CPU iPhone OS ", "Windows NT ", "compatible; ", "Opera/9.80 ("],
    *["Build/", "AppleWebKit/", "Version/", "Safari/", "Mobile/", "bot", "Mobi", "CFNetwork/", "SmartTV", "Dalvik/"],
    *["; ", ";", " ", "-", "_", "/", ".", "(", ")", "1", "9", "A", "a", "SM-", "HUAWEI ", "wv) ", "U; ", "en-us; "],
]


def hostile_headers() -> list[str]:
    """Return headers that are long, odd or made to match nearly, the same in each run."""
    rng = random.Random(20260725)
    made = [piece * (70_000 // len(piece)) for piece in PIECES]
    made += ["".join(rng.choices(PIECES, k=400)) for _ in range(60)]
    return [*made, "".join(map(chr, range(1, 256))) * 20, "\udc80" * 1000, "é" * 70_000]


def test_no_header_takes_long(web: Web) -> None:
    """Any header, even of 64 KB, is parsed quickly without an error, and the stored text is short."""
    devices.device_metadata(FIREFOX)
    for header in hostile_headers():
        began = time.process_time()
        device = devices.device_metadata(header)
        assert time.process_time() - began < 0.5, header[:100]
        assert all(part is None or len(part) <= 40 for part in device.values())


@pytest.mark.parametrize("header", ["A" * 65_536, "Firefox/\x01\x7f", "Mozilla\xff\xfe Firefox/1", '"},"payload":'])
def test_a_login_with_any_header_holds(web: Web, header: str) -> None:
    """A login whose header is long, or holds odd characters, is a login."""
    sign_in(web, None, environ_base={"HTTP_USER_AGENT": header})
    assert len(web.sessions.of("ada")) == 1
    assert web.see(lambda: session.owner) is not None

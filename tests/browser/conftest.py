"""Two headless browsers, and the demo as a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeAlias

import pytest
from support.servers import Server, private_folder
from support.visitor import IPHONE, Visitor, open_shop, visiting

if TYPE_CHECKING:  # the driver takes long to import, and only the tests in a browser need it
    from selenium.webdriver import Chrome

LINUX = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36"

FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


Starter: TypeAlias = "Callable[[str], Chrome]"


@pytest.fixture(scope="session")
def start_chromium(require: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Starter]:
    """Return a function that starts Chromium with a fresh profile, and with a User-Agent to call itself by."""
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service

    drivers: list[Chrome] = []

    def start(agent: str) -> Chrome:
        options = ChromeOptions()
        options.binary_location = require("chromium")
        for flag in [*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}", f"--user-agent={agent}"]:
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        drivers.append(Chrome(options=options, service=Service(require("chromedriver"))))
        return drivers[-1]

    yield start
    for driver in drivers:
        driver.quit()


@pytest.fixture(scope="session")
def chromium(start_chromium: Starter) -> Chrome:
    """Chromium."""
    return start_chromium(LINUX)


@pytest.fixture(scope="session")
def other_chromium(start_chromium: Starter) -> Chrome:
    """Another Chromium, which says that it is Safari on an iPhone."""
    return start_chromium(IPHONE)


@pytest.fixture
def shop() -> Iterator[Server]:
    """The demo, with its sessions in a file of its own."""
    folder = private_folder()
    server = open_shop(f"sqlite:///{folder}/shop.db", folder)
    yield server
    server.stop()


@pytest.fixture
def visitor(chromium: Chrome, shop: Server) -> Iterator[Visitor]:
    """Somebody who has never been to the shop, and looks at it now."""
    with visiting(chromium, shop) as visitor:
        yield visitor


@pytest.fixture
def other_visitor(other_chromium: Chrome, shop: Server) -> Iterator[Visitor]:
    """Somebody at another browser."""
    with visiting(other_chromium, shop) as visitor:
        yield visitor

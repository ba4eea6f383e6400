"""The tutorial: every command is run, in its order, and prints what the page shows."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import distribution
from pathlib import Path

import pytest
from support.pages import text_of
from support.servers import find_program, free_port, wait_for

PAGE = text_of("docs/tutorial/first-application.md")
#: The ports of the page. The test uses free ones.
PORTS = ("5000", "8000", "8443")


def commands() -> Iterator[tuple[str, str]]:
    """Yield each command of the page with the output that the page shows."""
    for block in re.findall(r"^```console\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL):
        parts = re.split(r"^\$ (.*)\n", block, flags=re.MULTILINE)
        yield from zip(parts[1::2], parts[2::2], strict=True)


class Terminal:
    """Runs the commands of the page in a folder with its files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = {port: str(free_port()) for port in PORTS}
        programs = [str(Path(sys.executable).parent), os.environ["PATH"], "/usr/sbin"]
        self.environ = {**os.environ, "PATH": os.pathsep.join(programs), "FLASK_RUN_PORT": self.ports["5000"]}
        self.server: subprocess.Popen[bytes] | None = None
        for name, code in re.findall(r"Save this as `([\w.]+)`:\n\n```\w+\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL):
            (folder / name).write_text(self.moved(code), "utf-8")

    def moved(self, text: str) -> str:
        """Return *text* with this test's ports."""
        for port, free in self.ports.items():
            text = re.sub(rf"(?<=:){port}\b", free, text)
        return text

    def run(self, command: str) -> str:
        """Run *command*, and return what it printed. ``flask run`` goes on until section 4, where the page stops it."""
        if command.startswith("export "):
            self.environ.update(pair.partition("=")[::2] for pair in command.split()[1:])
            return ""
        if command == "flask run":
            log = (self.folder / "flask.log").open("wb")
            self.server = subprocess.Popen(["flask", "run"], cwd=self.folder, env=self.environ, stdout=log, stderr=log)
            log.close()
            wait_for(lambda: self.bash(f"curl -sf -o /dev/null localhost:{self.ports['5000']}") and None)
            return ""
        if self.server is not None and "pytest" in command:
            self.stop_flask()
        return self.bash(self.moved(command))

    def bash(self, command: str) -> str:
        """Run *command* in bash, and return what it printed.

        Raises:
            OSError: It failed.
        """
        # In a file, since a pipe would stay open for as long as a daemon that the command starts.
        output = self.folder / "output"
        with output.open("wb") as file:
            done = subprocess.run(
                ["bash", "-c", command], cwd=self.folder, env=self.environ, stdout=file, stderr=file, check=False
            )
        if done.returncode:
            raise OSError(f"{command}: {output.read_text()}")
        return output.read_text()

    def stop_flask(self) -> None:
        """Stop ``flask run``, as Ctrl-C does."""
        if self.server is not None:
            self.server.send_signal(signal.SIGINT)
            self.server.wait()
            self.server = None

    def close(self) -> None:
        """Stop what a failed command left running."""
        self.stop_flask()
        for name in ("gunicorn.pid", "nginx.pid"):
            if (self.folder / name).exists():
                with suppress(ProcessLookupError):
                    os.kill(int((self.folder / name).read_text()), signal.SIGTERM)


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_every_command_of_the_tutorial_works(tmp_path: Path) -> None:
    """From the install on, each command succeeds and prints what the page shows, on flask, gunicorn, nginx and TLS."""
    missing = [name for name in ("nginx", "curl", "openssl") if find_program(name) is None]
    if missing:
        assert os.environ.get("HOLDFAST_TEST_REQUIRE") != "1", missing
        pytest.skip(f"{missing} not installed")
    terminal = Terminal(tmp_path)
    try:
        for command, shown in commands():
            if command.startswith("pip install "):
                # The wheel itself is installed in tests/test_release.py.
                assert all(distribution(name) for name in command.split()[2:])
            elif "venv" not in command:
                printed = terminal.run(command)
                for line in shown.splitlines():
                    assert line in printed, command
    finally:
        terminal.close()

"""The tutorial: every command is run, in its order, from an empty folder, and prints what the page shows."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from support.pages import text_of
from support.servers import find_program, free_port, wait_for
from support.wheels import required_by, write_wheel

ROOT = Path(__file__).resolve().parents[2]
PAGE = text_of("docs/tutorial/first-application.md")
#: The ports of the page. The test uses free ones.
PORTS = ("5000", "8000", "8443")


def commands() -> Iterator[tuple[str, str]]:
    """Yield each command of the page with the output that the page shows."""
    for block in re.findall(r"^```console\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL):
        parts = re.split(r"^\$ (.*)\n", block, flags=re.MULTILINE)
        yield from zip(parts[1::2], parts[2::2], strict=True)


def wheels(folder: Path) -> Path:
    """Return *folder* with the wheel that ``make dist`` builds, and those of what the page installs with it."""
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    for found in required_by("holdfast", "gunicorn", "pytest"):
        if found.name != "holdfast":
            write_wheel(found, folder)
    return folder


class Terminal:
    """Runs the commands of the page in a folder with its files, and with a Python that has nothing installed."""

    def __init__(self, folder: Path, wheels: Path) -> None:
        self.folder = folder
        self.ports = {port: str(free_port()) for port in PORTS}
        # Nothing of this environment is on the path, but the Python that it was made with.
        bare = str(Path(getattr(sys, "_base_executable", sys.executable)).parent)
        paths = [path for path in os.environ["PATH"].split(os.pathsep) if path != str(Path(sys.executable).parent)]
        kept = {name: os.environ[name] for name in os.environ if not name.startswith(("PYTHON", "PIP_", "VIRTUAL_"))}
        pip = {"NO_INDEX": "1", "FIND_LINKS": str(wheels), "NO_COMPILE": "1", "CONFIG_FILE": os.devnull}
        self.environ = {
            **kept,
            **{f"PIP_{name}": value for name, value in pip.items()},
            "PATH": os.pathsep.join([bare, *paths, "/usr/sbin"]),
            "FLASK_RUN_PORT": self.ports["5000"],
        }
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
        if command.startswith(("export ", ". ")):
            pairs = self.bash(f"{command} && env -0").split("\0")
            self.environ = dict(pair.partition("=")[::2] for pair in pairs if pair)
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
        """Stop ``flask run``. What a shell started in the background ignores Ctrl-C."""
        if self.server is not None:
            self.server.terminate()
            self.server.wait()
            self.server = None

    def close(self) -> None:
        """Stop what a failed command left running."""
        self.stop_flask()
        for name in ("gunicorn.pid", "nginx.pid"):
            if (self.folder / name).exists():
                with suppress(ProcessLookupError):
                    os.kill(int((self.folder / name).read_text()), signal.SIGTERM)


def test_nginx_needs_no_folder_of_the_system() -> None:
    """Each folder that nginx makes at its start is set, since a user who is not root may make none in /var."""
    for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"):
        assert f"{kind}_temp_path temp;" in PAGE


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_command_of_the_tutorial_works(tmp_path: Path) -> None:
    """From the install on, each command succeeds and prints what the page shows, on flask, gunicorn, nginx and TLS."""
    missing = [name for name in ("nginx", "curl", "openssl") if find_program(name) is None]
    if missing:
        assert os.environ.get("HOLDFAST_TEST_REQUIRE") != "1", missing
        pytest.skip(f"{missing} not installed")
    (folder := tmp_path / "site").mkdir()
    terminal = Terminal(folder, wheels(tmp_path / "wheels"))
    try:
        for command, shown in commands():
            printed = terminal.run(command)
            for line in shown.splitlines():
                assert line in printed, command
    finally:
        terminal.close()
    assert terminal.bash("python -c 'import holdfast; print(holdfast.__file__)'").startswith(f"{folder}/.venv/")

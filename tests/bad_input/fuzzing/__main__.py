"""Feed an application a million cookies and a million records, guided by what they reach in the code.

``make fuzz`` divides that many runs among the modes, and runs each in a process of its own. It ends with 1 at the
first input that does what none must; the input is left in the folder that is named then.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["holdfast", "itsdangerous", "werkzeug.sansio.http"]):
    from bad_input.fuzzing.targets import MODES, STORED, Cookies, Records

_LONGEST = 4200


def _run(kind: str, mode: str, runs: int, folder: Path) -> None:
    """Feed one target. Does not return: the fuzzer ends the process."""
    logging.disable()
    target = Cookies(mode) if kind == "cookies" else Records(mode)
    for number, seed in enumerate(target.seeds()):
        (folder / f"seed-{number}").write_bytes(seed)
    found = f"-artifact_prefix={folder}/found-"
    options = [f"-runs={runs}", f"-max_len={_LONGEST}", "-verbosity=0", found]
    atheris.Setup([sys.argv[0], *options, str(folder)], target.feed)
    atheris.Fuzz()


def main() -> int:
    """Run every target and print a line for each; return 1 when one failed."""
    parser = argparse.ArgumentParser(prog="make fuzz", description="Feed cookies and records to an application.")
    parser.add_argument("runs", nargs="?", type=int, default=1_000_000, help="cookies, and as many records (1,000,000)")
    parser.add_argument("--target", nargs=3, metavar=("KIND", "MODE", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.target:
        kind, mode, folder = arguments.target
        _run(kind, mode, arguments.runs, Path(folder))
    for kind, modes in (("cookies", list(MODES)), ("records", STORED)):
        share = -(-arguments.runs // len(modes))
        for mode in modes:
            folder = Path(tempfile.mkdtemp(prefix="holdfast-fuzz-"))
            started = time.perf_counter()
            command = [sys.executable, "-m", "bad_input.fuzzing", str(share), "--target", kind, mode, str(folder)]
            with (folder / "log").open("wb") as log:
                status = subprocess.run(command, check=False, stdout=log, stderr=log).returncode
            verdict = f"failed, see {folder}" if status else "sound"
            took = time.perf_counter() - started
            sys.stdout.write(f"{kind:8} {mode:12} {share:10,} runs  {verdict}  {took:.0f} s\n")
            sys.stdout.flush()
            if status:
                return 1
            shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""A folder of wheels, from which pip installs what this environment has, without an index."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

#: What an installer adds to a distribution's folder.
_ADDED = {"INSTALLER", "REQUESTED", "RECORD", "direct_url.json"}


def required_by(*names: str) -> Iterator[Distribution]:
    """Yield the distributions *names*, and those that they require here."""
    seen, names_left = set[str](), list(names)
    while names_left:
        found = distribution(names_left.pop())
        if found.name not in seen:
            seen.add(found.name)
            yield found
            wanted = map(Requirement, found.requires or [])
            names_left += [one.name for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]


def write_wheel(found: Distribution, folder: Path) -> None:
    """Write the installed distribution *found* as a wheel into *folder*. pip makes its commands again."""
    tag = re.search(r"^Tag: (\S+)", found.read_text("WHEEL") or "", re.MULTILINE)
    assert tag is not None
    assert found.files is not None
    name = re.sub(r"[-_.]+", "_", found.name)
    kept = [
        file
        for file in found.files
        if ".." not in file.parts and "__pycache__" not in file.parts and file.name not in _ADDED
    ]
    record = f"{next(file.parent for file in kept if file.name == 'METADATA')}/RECORD"
    with zipfile.ZipFile(folder / f"{name}-{found.version}-{tag[1]}.whl", "w") as wheel:
        for file in kept:
            wheel.write(str(file.locate()), str(file))
        wheel.writestr(record, "".join(f"{path},,\n" for path in [*kept, record]))

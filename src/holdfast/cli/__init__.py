"""Internal: the commands on sessions, for ``flask sessions`` and for ``python -m holdfast``.

They work over a `holdfast.sessions.manager.Manager` and know no framework but click. `COMMANDS` lists them;
`holdfast.cli.group.Commands` imports each when it is run.
"""

from __future__ import annotations

from collections.abc import Mapping

#: The module and the name of each command, in the order of the documentation.
COMMANDS: Mapping[str, str] = {
    "list": "holdfast.cli.inspection:list_",
    "show": "holdfast.cli.inspection:show",
    "revoke": "holdfast.cli.revocation:revoke",
    "stats": "holdfast.cli.inspection:stats",
    "purge": "holdfast.cli.maintenance:purge",
    "init": "holdfast.cli.maintenance:init",
    "ddl": "holdfast.cli.maintenance:ddl",
    "copy": "holdfast.cli.copying:copy",
    "new-key": "holdfast.cli.maintenance:new_key",
}

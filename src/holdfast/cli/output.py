"""What commands print: JSON, or text for people."""

from __future__ import annotations

import json
from typing import Any

import click


def say(data: dict[str, Any], text: str, *, as_json: bool) -> None:
    """Print *data* as JSON, or *text*."""
    click.echo(json.dumps(data, indent=2) if as_json else text)

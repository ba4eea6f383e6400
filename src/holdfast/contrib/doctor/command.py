"""``flask sessions doctor``."""

from __future__ import annotations

import json

import click
from flask import current_app

from holdfast.contrib.doctor.printing import print_report
from holdfast.contrib.doctor.report import examine
from holdfast.flask.settings.profiles import PROFILES


@click.command()
@click.option(
    "--profile",
    type=click.Choice(list(PROFILES)),
    help="The profile to check. Default: the application's own, or asvs-l1.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def doctor(context: click.Context, profile: str | None, as_json: bool) -> None:  # noqa: FBT001  # passed by keyword
    """Check the configuration and the store against a security standard.

    Each row has the requirement and its ids, the result, the value found, and the change to make. The exit code is 1 if
    a required row is not met.
    """
    app = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001  # Flask's own name for it
    report = examine(app, profile=profile)
    if as_json:
        click.echo(json.dumps(report.as_data(), indent=2))
    else:
        print_report(report)
    if not report.passes:
        context.exit(1)

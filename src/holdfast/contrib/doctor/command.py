"""``flask sessions doctor``."""

from __future__ import annotations

import json
from typing import cast

import click
from flask import current_app

from holdfast.cli.target import Target, json_option, with_target
from holdfast.contrib.doctor.printing import print_report
from holdfast.contrib.doctor.report import Report, examine, examine_store
from holdfast.flask.settings.profiles import PROFILES
from holdfast.sessions.manager import Manager


@click.command()
@click.option(
    "--profile",
    type=click.Choice(list(PROFILES)),
    help="The profile to check. Default: the application's own, or asvs-l1.",
)
@json_option
@click.pass_context
def doctor(context: click.Context, *, profile: str | None, as_json: bool) -> None:
    """Check the configuration and the store against a security standard.

    Each row has the requirement and its ids, the result, the value found, and the change to make. The exit code is 1 if
    a required row is not met.
    """
    app = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001  # Flask's own name for it
    _print(context, examine(app, profile=profile), as_json=as_json)


@click.command("doctor")
@with_target
@click.pass_context
def doctor_of_store(context: click.Context, target: Target, *, as_json: bool) -> None:
    """Check the store: that it answers, takes what requests write, and is set up to keep it.

    The exit code is 1 if a required row is not met. `flask sessions doctor` checks the application too.
    """
    _print(context, examine_store(cast(Manager, target.manager)), as_json=as_json)


def _print(context: click.Context, report: Report, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(report.as_data(), indent=2))
    else:
        print_report(report)
    if not report.passes:
        context.exit(1)

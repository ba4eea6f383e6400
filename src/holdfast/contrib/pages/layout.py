"""The blueprint of a ready page: its templates and stylesheets, its texts, and the headers of its responses."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

from flask import Blueprint, Response, abort, current_app, g, request, send_from_directory
from flask.blueprints import BlueprintSetupState
from jinja2 import FileSystemLoader

from holdfast.contrib.pages import filters, forms, translation

#: No other page may show these in a frame, where a click could be stolen. The application controls the other
#: directives, since its layout may surround the page.
_POLICY = "frame-ancestors 'none'"

#: Not ``no-referrer``: browsers would send no origin with the forms, and Flask-WTF checks the referrer.
_REFERRER = "same-origin"


def page_blueprint(name: str, import_name: str) -> Blueprint:
    """Return a blueprint without views at ``/<name>``.

    Its templates and static files are those in the package *import_name* and those of this package: templates extend
    ``holdfast/base.html``, and have ``_`` for texts, the filters of `holdfast.contrib.pages.filters`, and
    ``holdfast/form_fields.html`` to include in each form. Its responses are not cached, and not shown in frames.
    """
    made = Blueprint(name, import_name, url_prefix=f"/{name}")
    folders = [Path(made.root_path), Path(__file__).parent]
    made.jinja_loader = FileSystemLoader([folder / "templates" for folder in folders])

    def static(filename: str) -> Response:
        folder = next((folder for folder in folders if (folder / "static" / filename).is_file()), folders[0])
        return send_from_directory(folder / "static", filename, max_age=current_app.get_send_file_max_age(filename))

    made.add_url_rule("/static/<filename>", "static", static)
    made.record(_offer_filters)
    made.context_processor(lambda: {"holdfast_form_token": forms.form_token, **translation.fallbacks()})
    made.after_request(_protect)
    return made


def hide() -> NoReturn:
    """Answer the request as if the page did not exist: 404, without the page's own headers."""
    g.holdfast_hidden = True
    abort(404)


def _offer_filters(state: BlueprintSetupState) -> None:
    offered = state.app.jinja_env.filters
    for name, function in filters.FILTERS.items():
        offered.setdefault(name, function)


def _protect(response: Response) -> Response:
    if request.endpoint != f"{request.blueprint}.static" and not g.get("holdfast_hidden"):
        response.headers["Cache-Control"] = "no-store"
        response.headers.setdefault("Content-Security-Policy", _POLICY)
        response.headers.setdefault("Referrer-Policy", _REFERRER)
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("X-Frame-Options", "DENY")
    return response

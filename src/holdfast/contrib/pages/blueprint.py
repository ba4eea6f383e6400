"""What the pages have in common: templates, stylesheet, texts, and headers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, Response, request

from holdfast.contrib.pages import filters, forms, words

if TYPE_CHECKING:
    from flask.blueprints import BlueprintSetupState

#: No other page may show these in a frame, where a click could be stolen. What else a page may load is the
#: application's to say, since its own layout may be around it.
_POLICY = "frame-ancestors 'none'"

#: Not ``no-referrer``: browsers would send no origin with the forms, and Flask-WTF asks for the referrer.
_REFERRER = "same-origin"


def page_blueprint(name: str, *, url_prefix: str) -> Blueprint:
    """Return a blueprint without views.

    Its templates, which extend ``holdfast/base.html``, have a link to the stylesheet, ``_`` for texts, the filters
    of `holdfast.contrib.pages.filters`, and ``holdfast/form_fields.html`` to include in each form. Its responses are
    not stored, and not shown in frames.
    """
    made = Blueprint(
        name,
        __name__,
        url_prefix=url_prefix,
        template_folder="templates",
        static_folder="static",
        static_url_path="/static",
    )
    made.record(_offer_filters)
    made.context_processor(lambda: {"holdfast_form_token": forms.form_token, **words.fallbacks()})
    made.after_request(_protect)
    return made


def _offer_filters(state: BlueprintSetupState) -> None:
    offered = state.app.jinja_env.filters
    for name, function in filters.FILTERS.items():
        offered.setdefault(name, function)


def _protect(response: Response) -> Response:
    if request.endpoint != f"{request.blueprint}.static":
        response.headers["Cache-Control"] = "no-store"
        response.headers.setdefault("Content-Security-Policy", _POLICY)
        response.headers.setdefault("Referrer-Policy", _REFERRER)
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("X-Frame-Options", "DENY")
    return response

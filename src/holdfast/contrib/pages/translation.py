"""The texts of the pages, translated by the application's Jinja environment, or in English.

An application has its own texts if its templates have ``_`` and ``ngettext``, as with Flask-Babel or Jinja's i18n
extension. Translations are trusted, as they are in templates; values are escaped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import current_app
from jinja2.runtime import Context, new_context
from markupsafe import Markup


def gettext(message: str, /, **values: object) -> Markup:
    """Return the translation of *message*, with *values* in place of ``%(name)s``."""
    translate = _function("_")
    if translate is None:
        return Markup(message) % values  # noqa: S704  # see above
    return _filled(translate, message, **values)


def ngettext(one: str, many: str, num: int, /) -> Markup:
    """Return the translation of *one* or *many*, selected by *num*, with *num* in place of ``%(num)d``."""
    translate = _function("ngettext")
    if translate is None:
        return Markup(one if num == 1 else many) % {"num": num}  # noqa: S704  # see above
    return _filled(translate, one, many, num, num=num)


def fallbacks() -> dict[str, Callable[..., Any]]:
    """Return the function that templates call `_` if the application has no such name."""
    return {} if _function("_") else {"_": gettext}


def _function(name: str) -> Any:
    return current_app.jinja_env.globals.get(name)


def _filled(translate: Callable[..., Any], /, *messages: object, **values: object) -> Markup:
    environment = current_app.jinja_env
    context: Context = new_context(environment, None, {}, globals=environment.globals)
    if getattr(environment, "newstyle_gettext", False):
        context.eval_ctx.autoescape = True  # an application may have it off where there is no file
        return Markup(context.call(translate, *messages, **values))  # noqa: S704
    return Markup(context.call(translate, *messages)) % values  # noqa: S704

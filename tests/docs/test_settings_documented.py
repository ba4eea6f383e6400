"""The page of settings names every setting, with the default it has."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask

from holdfast.flask import Session
from holdfast.flask.settings import flask_session_compat as flask_session
from holdfast.flask.settings.table import DEFAULTS

PAGE = (Path(__file__).parents[2] / "docs" / "settings.md").read_text("utf-8")
OWN = PAGE.partition("## Flask's\n")[0]
ROWS = dict(re.findall(r"^\| `(SESSION_\w+)` \| ([^|]+?) \|", OWN, re.MULTILINE))

#: Defaults that the page writes as a person would.
IN_WORDS = {timedelta(days=400): "400 days", timedelta(seconds=30): "30 seconds", 1024 * 1024: "1 MiB"}


@pytest.mark.parametrize("name", sorted({*DEFAULTS, *flask_session.SETTINGS, "MY_SESSION_PATH"}))
def test_every_setting_is_on_the_page(name: str) -> None:
    """A setting that Holdfast reads is named in full on the page of settings."""
    assert f"`{name}`" in PAGE or f"`{name}=" in PAGE


@pytest.mark.parametrize("name", sorted(DEFAULTS.keys() - {"SESSION_STORE"}))
def test_every_default_is_the_one_on_the_page(name: str) -> None:
    """The page gives each of Holdfast's own settings the default that the code gives it."""
    default = DEFAULTS[name]
    written = f'"{default}"' if isinstance(default, str) else str(default)
    # True and 1, or False and 0, are equal as keys: spans and sizes alone are looked up.
    wanted = IN_WORDS[default] if isinstance(default, timedelta) or type(default) is int else f"`{written}`"
    assert ROWS[name] == wanted


def test_the_default_store_is_the_one_on_the_page(tmp_path: Path) -> None:
    """Without a setting sessions are in the file that the page names, in the instance folder."""
    app = Flask(__name__, instance_path=str(tmp_path))
    store = Session(app).manager.store
    assert ROWS["SESSION_STORE"] == '`"sqlite:///sessions.db"`'
    assert getattr(store, "path", None) == tmp_path / "sessions.db"


def test_the_page_names_no_setting_that_does_not_exist() -> None:
    """Each row of Holdfast's own settings is one that the code knows."""
    assert set(ROWS) == set(DEFAULTS)

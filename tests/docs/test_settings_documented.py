"""The page of settings says what the table of settings says."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from flask import Flask

from holdfast.flask import Session
from holdfast.flask.settings.flask_session_compat import SETTINGS
from holdfast.flask.settings.setting import Setting
from holdfast.flask.settings.table import FLASKS, OWN
from holdfast.sessions.manager import directory

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "reference" / "settings.md").read_text("utf-8")


def test_the_tables_are_those_of_today() -> None:
    """The tables of the page are what scripts/write_settings.py writes."""
    script = runpy.run_path(str(ROOT / "scripts" / "write_settings.py"))
    assert script["written"](PAGE) == PAGE


@pytest.mark.parametrize("name", [*(setting.name for setting in SETTINGS), "MY_SESSION_PATH"])
def test_every_setting_of_flask_session_is_on_the_page(name: str) -> None:
    """A setting of Flask-Session's that Holdfast knows is named in full on the page."""
    assert f"`{name}`" in PAGE


@pytest.mark.parametrize("setting", [*OWN, *FLASKS], ids=lambda setting: setting.name)
def test_every_setting_is_explained(setting: Setting) -> None:
    """Each setting has a sentence in the table that says what it does."""
    assert setting.doc.endswith(".")


def test_the_default_store_is_the_one_on_the_page(tmp_path: Path) -> None:
    """Without a setting sessions are in the file that the table names, in the instance folder."""
    app = Flask(__name__, instance_path=str(tmp_path))
    store = directory(Session(app).manager).store
    assert app.config["SESSION_STORE"] == "sqlite:///sessions.db"
    assert getattr(store, "path", None) == tmp_path / "sessions.db"

"""The application of the shop, whose sessions were used before a server forks its workers."""

from __future__ import annotations

from flask import Flask
from support import shop


def create_app() -> Flask:
    """Return the application."""
    app = shop.create_app()
    app.test_client().get("/put?a=1")
    return app

"""The application of the HTTP measurement, as a WSGI server imports it: its sessions are named in the environment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from flask import Flask

from benchmarks.apps import with_cookie, with_flask_session, with_holdfast, without_sessions
from benchmarks.backends import BACKENDS
from benchmarks.least import with_least

#: The variables: which kind of sessions, the name of the backend, its URL, a folder, and a key if they are sealed.
KIND, BACKEND, URL, FOLDER, SEAL_KEY = (
    f"HOLDFAST_BENCH_{name}" for name in ("KIND", "BACKEND", "URL", "FOLDER", "KEY")
)


def application() -> Flask:
    """Return the application that the environment asks for."""
    asked, url = os.environ[KIND], os.environ.get(URL, "")
    if asked == "without":
        return without_sessions()
    if asked == "cookie":
        return with_cookie()
    if asked == "least":
        return with_least(Path(os.environ[FOLDER]), url)
    if asked == "holdfast":
        key = os.environ.get(SEAL_KEY)
        settings: dict[str, Any] = {"SESSION_SEAL": "keys", "SESSION_SEAL_KEYS": [key]} if key else {}
        return with_holdfast(url, Path(os.environ[FOLDER]), **settings)
    rival = next(backend.rival for backend in BACKENDS if backend.name == os.environ[BACKEND])
    assert rival is not None
    return with_flask_session(lambda app: rival(app, url))

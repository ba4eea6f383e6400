"""Write sessions with the Flask-Session of this environment, and print their cookies and pages as JSON."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
warnings.simplefilter("ignore")


def main(order: dict[str, Any]) -> None:
    """Write the sessions that *order* asks for."""
    import flask_session
    from moving_in.old_application import application, browser_of
    from moving_in.places import KINDS

    of_kind, _ = KINDS[order["kind"]]
    config = {**of_kind(order["where"]), **order["config"]}
    db = config.get("SESSION_SQLALCHEMY")

    def extend(app: Any) -> None:
        flask_session.Session(app)
        if db is not None:
            with app.app_context():
                db.create_all()

    app = application(extend, config, markup=order["markup"])
    written = []
    for number in range(order["users"]):
        browser = browser_of(app)
        user = f"user{number}"
        assert browser.get(f"/login/{user}").text == user
        values = browser.get("/values").text
        written.append({"user": user, "values": values, "cookie": _cookie_of(browser)})
    visitor = browser_of(app)
    visitor.get("/name/Ida")
    json.dump({"users": written, "visitor": _cookie_of(visitor)}, sys.stdout)


def _cookie_of(browser: Any) -> str:
    response = browser.get("/me")
    found = [value for name, value in response.headers if name == "Set-Cookie"]
    return str(found[0].partition("=")[2].partition(";")[0])


if __name__ == "__main__":
    main(json.load(sys.stdin))

"""A small shop with its carts in Holdfast's sessions.

All state of a visitor is in `session`: the cart, the flash messages, the user. The browser has only a cookie with a
random token. The users' accounts are in account.py.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from account import account, operator, sessions
from catalogue import PRODUCTS, USERS
from flask import Blueprint, Flask, abort, flash, redirect, render_template, request, url_for
from werkzeug import Response

from holdfast.contrib.devices_page import devices_page
from holdfast.contrib.operator_page import operator_page
from holdfast.flask import session
from holdfast.stores.contract import Store

shop = Blueprint("shop", __name__)


def create_app(store: Store | str | None = None) -> Flask:
    """Return the shop. Its sessions are in *store*, a URL or a store; by default in a file in the instance folder."""
    app = Flask(__name__)
    app.config.update(
        SESSION_STORE=store,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=timedelta(days=7),
        SESSION_ABSOLUTE_LIFETIME=timedelta(days=30),
    )
    sessions.init_app(app)
    app.register_blueprint(shop)
    app.register_blueprint(account)
    app.register_blueprint(devices_page(sessions, login_url="/sign-in", fresh=300), url_prefix="/account/devices")
    app.register_blueprint(operator_page(sessions, authorize=operator, fresh=300))
    app.add_template_filter(price)
    app.add_template_filter(span)
    return app


@shop.before_app_request
def refuse_forms_of_other_sites() -> None:
    """Refuse forged requests by their `Origin` header. `SameSite=Lax` already prevents most of them."""
    origin = request.headers.get("Origin")
    if request.method == "POST" and origin is not None and origin.partition("://")[2] != request.host:
        abort(403)


@shop.app_context_processor
def every_page() -> dict[str, Any]:
    """Return the values in the header of every page."""
    return {"user": USERS.get(session.get("user", "")), "pieces": sum(cart().values()), "operator": operator()}


# --- The shop and the cart -------------------------------------------------------------------------------------------


@shop.get("/")
def index() -> str:
    """Show the shop, and count the visit: `apply` is exact under concurrent requests."""
    session.setdefault("cart", [])
    visits = session.apply("visits", lambda count: count + 1, default=0)
    stored = sessions.get(session.handle) if session.handle else None
    now = round(time.time() * 1000)
    return render_template("shop.html", products=PRODUCTS.values(), visits=visits, stored=stored, now=now)


@shop.post("/cart")
def add() -> Response:
    """Add one piece. Changing the list is enough: Holdfast saves it, and merges the appends of concurrent requests."""
    product = PRODUCTS.get(request.form.get("product", "")) or abort(400)
    session.setdefault("cart", []).append([product.slug, 1])
    flash(f"{product.name}: in your cart.")
    return redirect(url_for("shop.index"), 303)


@shop.get("/cart")
def show_cart() -> str:
    """Show the cart, one line for each product."""
    lines = [(PRODUCTS[slug], count) for slug, count in cart().items()]
    return render_template("cart.html", lines=lines, total=sum(product.price * count for product, count in lines))


@shop.post("/cart/<slug>")
def set_quantity(slug: str) -> Response:
    """Set the quantity of a product; 0 removes it."""
    quantity = request.form.get("quantity", type=int)
    if slug not in PRODUCTS or quantity is None:
        abort(400)
    counts = {**cart(), slug: max(0, min(quantity, 99))}
    session["cart"] = [[slug, count] for slug, count in counts.items() if count]
    return redirect(url_for("shop.show_cart"), 303)


@shop.post("/order")
def order() -> Response:
    """Place the order of a signed-in user."""
    if "user" not in session:
        flash("Please sign in to order. Your cart is kept.", "warning")
        return redirect(url_for("account.show_sign_in", next=url_for("shop.show_cart")), 303)
    session["cart"] = []
    flash(f"Thank you, {USERS[session['user']]}. This is a demo: there is no delivery and no charge.")
    return redirect(url_for("shop.index"), 303)


@shop.get("/favicon.ico")
def icon() -> Response:
    """Redirect to the icon, for pages without a link to it."""
    return redirect(url_for("static", filename="icon.svg"))


def cart() -> dict[str, int]:
    """Return the quantity of each product in the cart. The session has a list of [slug, count]."""
    counts: dict[str, int] = {}
    for slug, count in session.get("cart", []):
        counts[slug] = counts.get(slug, 0) + count
    return counts


# --- Twenty requests at once -----------------------------------------------------------------------------------------


@shop.get("/parallel")
def show_count() -> dict[str, Any]:
    """Return the number of requests counted, and the keys they stored."""
    return {
        "count": session.setdefault("count", 0),
        "keys": {key: value for key, value in session.items() if key.startswith("key ")},
    }


@shop.post("/parallel/<int:number>")
def count_one(number: int) -> tuple[str, int]:
    """Count a request and store a key, slowly, so that many requests use the same session at once."""
    session.apply("count", lambda count: count + 1, default=0)
    session[f"key {number % 20}"] = request.form.get("run", "")[:40]
    time.sleep(0.05)
    return "", 204


# --- For the templates -----------------------------------------------------------------------------------------------


def price(cents: int) -> str:
    """Return an amount as text."""
    return f"€ {cents / 100:.2f}"


def span(milliseconds: int) -> str:
    """Return a time span as text, in the largest unit that fits at least twice."""
    seconds = max(0, round(milliseconds / 1000))
    for size, unit in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{round(seconds / size)} {unit}"
    return "1 second" if seconds == 1 else f"{seconds} seconds"

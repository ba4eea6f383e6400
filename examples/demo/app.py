"""A small shop that keeps its carts in Holdfast's sessions.

Everything a visitor does is in `session`: the cart, the flash messages, who is signed in. The browser has a cookie with
a random token and nothing else. What users do with their accounts is in account.py.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from account import account, operator, sessions
from catalogue import PRODUCTS, USERS
from flask import Blueprint, Flask, abort, flash, redirect, render_template, request, url_for
from werkzeug import Response

from holdfast.contrib.pages import devices_page, operator_page
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
    """Stop forged requests: a browser says which site a form is on. `SameSite=Lax` stops most of them before."""
    origin = request.headers.get("Origin")
    if request.method == "POST" and origin is not None and origin.partition("://")[2] != request.host:
        abort(403)


@shop.app_context_processor
def every_page() -> dict[str, Any]:
    """Return what the top of every page shows."""
    return {"user": USERS.get(session.get("user", "")), "pieces": sum(cart().values()), "operator": operator()}


# --- The shop and the cart -------------------------------------------------------------------------------------------


@shop.get("/")
def index() -> str:
    """Show the shop, and count the visit: `apply` misses none, however many come at once."""
    session.setdefault("cart", [])
    visits = session.apply("visits", lambda count: count + 1, default=0)
    stored = sessions.get(session.handle) if session.handle else None
    now = round(time.time() * 1000)
    return render_template("shop.html", products=PRODUCTS.values(), visits=visits, stored=stored, now=now)


@shop.post("/cart")
def add() -> Response:
    """Put one piece in. Changing the list is enough: Holdfast sees it, and merges what two requests append at once."""
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
    """Set how many pieces of a product there are; 0 takes it out."""
    quantity = request.form.get("quantity", type=int)
    if slug not in PRODUCTS or quantity is None:
        abort(400)
    counts = {**cart(), slug: max(0, min(quantity, 99))}
    session["cart"] = [[slug, count] for slug, count in counts.items() if count]
    return redirect(url_for("shop.show_cart"), 303)


@shop.post("/order")
def order() -> Response:
    """Take the order of somebody who is signed in."""
    if "user" not in session:
        flash("Please sign in to order. Your cart comes along.", "warning")
        return redirect(url_for("account.show_sign_in", next=url_for("shop.show_cart")), 303)
    session["cart"] = []
    flash(f"Thank you, {USERS[session['user']]}. This is a demo: nothing is on its way, and nothing is owed.")
    return redirect(url_for("shop.index"), 303)


@shop.get("/favicon.ico")
def icon() -> Response:
    """Lead to the icon, for pages that name none."""
    return redirect(url_for("static", filename="icon.svg"))


def cart() -> dict[str, int]:
    """Return how many pieces of each product are in the cart. The session keeps a list of [slug, count]."""
    counts: dict[str, int] = {}
    for slug, count in session.get("cart", []):
        counts[slug] = counts.get(slug, 0) + count
    return counts


# --- The hammer ------------------------------------------------------------------------------------------------------


@shop.get("/hammer")
def show_blows() -> dict[str, Any]:
    """Return how many blows were counted, and the marks they left."""
    return {
        "blows": session.setdefault("blows", 0),
        "marks": {key: value for key, value in session.items() if key.startswith("mark ")},
    }


@shop.post("/hammer/<int:number>")
def strike(number: int) -> tuple[str, int]:
    """Count a blow and leave a mark, slowly, so that many requests hold the same session at once."""
    session.apply("blows", lambda count: count + 1, default=0)
    session[f"mark {number % 20}"] = request.form.get("run", "")[:40]
    time.sleep(0.05)
    return "", 204


# --- For the templates -----------------------------------------------------------------------------------------------


def price(cents: int) -> str:
    """Return an amount as it is written on a price tag."""
    return f"€ {cents / 100:.2f}"


def span(milliseconds: int) -> str:
    """Return a span of time in words, in the largest unit there are two of."""
    seconds = max(0, round(milliseconds / 1000))
    for size, unit in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{round(seconds / size)} {unit}"
    return "1 second" if seconds == 1 else f"{seconds} seconds"

"""The shop's products and users."""

from __future__ import annotations

from typing import NamedTuple


class Product(NamedTuple):
    """A product. *price* is in cents; *slug* also names its drawing in static/goods.svg."""

    slug: str
    name: str
    blurb: str
    price: int


PRODUCTS = {
    product.slug: product
    for product in (
        Product("rope", "Manila rope", "Twenty metres. Holds fast.", 1800),
        Product("lantern", "Storm lantern", "Stays lit in a gale, and at picnics.", 4200),
        Product("compass", "Brass compass", "Knows one thing, and says it.", 3600),
        Product("mug", "Enamel mug", "Chips with dignity.", 950),
        Product("hat", "Sou’wester", "For rain from every side.", 2700),
        Product("bell", "Ship’s bell", "Heard three decks away.", 5800),
        Product("spyglass", "Spyglass", "Brings trouble closer.", 7400),
        Product("anchor", "Small anchor", "Twelve kilos of staying put.", 6500),
    )
}

USERS = {"anouk": "Anouk", "bram": "Bram", "chiara": "Chiara"}

#: The users who run the shop.
OPERATORS = {"chiara"}

#: The first password of every user.
PASSWORD = "ahoy"

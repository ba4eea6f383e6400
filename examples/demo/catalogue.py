"""The shop's products, users and their devices."""

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

#: The User-Agent headers of other devices.
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 Version/18.5 Mobile Safari/604.1"
EDGE = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/138.0.0.0 Safari/537.36 Edg/138.0.0.0"
CHROME = "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 Chrome/138.0.0.0 Mobile Safari/537.36"
DEVICES = [FIREFOX, SAFARI, EDGE, CHROME]

"""Clients of MongoDB: given and checked, or described by a URL."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeAlias

import pymongo
from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri

from holdfast.errors import ConfigurationError
from holdfast.stores.shared.clients import require_methods

Document: TypeAlias = dict[str, Any]
Collection: TypeAlias = "pymongo.collection.Collection[Document]"


def checked(client: Any) -> Any:
    """Return *client*, or raise `ConfigurationError` if it is no synchronous client of MongoDB."""
    require_methods(client, ("get_database", "close"), kind="MongoDB", give="a pymongo.MongoClient")
    return client


def parts_of(url: str) -> Mapping[str, Any]:
    """Return the parts of *url*, as pymongo names them. No server is asked.

    Raises:
        ConfigurationError: It is not valid.
    """
    # Resolving mongodb+srv needs a name server, and start-up must not.
    scheme, _, rest = url.partition("://")
    if scheme.lower() == "mongodb+srv":
        rest = re.sub(r"(?<=[?&])srv\w+=[^&]*&?", "", rest, flags=re.IGNORECASE)
    try:
        parts: Mapping[str, Any] = parse_uri(f"mongodb://{rest}")
    except (PyMongoError, OSError, ValueError) as error:
        # Text with a quoted "@" may contain a part of a password.
        problem = "" if "@" in str(error) else f" ({_wrong_option(rest)}{error})"
        raise ConfigurationError(
            f"the MongoDB URL is not valid{problem}: write mongodb://[user:password@]host[:port],.../db.collection, "
            "with special characters percent-encoded"
        ) from None
    return parts


def _wrong_option(rest: str) -> str:
    """Return the name of the first option that pymongo refuses, since its message may lack it; "" if there is none."""
    query = rest.partition("?")[2]
    for option in query.split("&") if "@" not in query else ():
        try:
            parse_uri(f"mongodb://host/?{option}")
        except (PyMongoError, OSError, ValueError):
            return f"{option.partition('=')[0]}: "
    return ""

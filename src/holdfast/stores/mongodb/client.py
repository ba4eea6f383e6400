"""Clients of MongoDB, given and checked or described by a URL, and the collection of sessions on one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeAlias

import pymongo
from bson.codec_options import CodecOptions, DatetimeConversion
from pymongo.errors import InvalidName, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.uri_parser import parse_uri
from pymongo.write_concern import WriteConcern

from holdfast.errors import ConfigurationError
from holdfast.stores.shared.clients import require_methods

Document: TypeAlias = dict[str, Any]
Collection: TypeAlias = "pymongo.collection.Collection[Document]"


def checked(client: Any) -> Any:
    """Return *client*, or raise `ConfigurationError` if it is no synchronous client of MongoDB."""
    require_methods(client, ("get_database", "close"), kind="MongoDB", give="a pymongo.MongoClient")
    return client


def collection_of(client: Any, database: str, collection: str) -> Collection:
    """Return the collection of that name, read from the primary and written to a majority."""
    try:
        sessions: Collection = client.get_database(database).get_collection(
            collection,
            codec_options=CodecOptions(
                # Others may write to the collection.
                datetime_conversion=DatetimeConversion.DATETIME_MS,
                unicode_decode_error_handler="replace",
            ),
            read_preference=pymongo.ReadPreference.PRIMARY,
            write_concern=WriteConcern("majority"),
            read_concern=ReadConcern("local"),
        )
    except (InvalidName, TypeError) as error:
        raise ConfigurationError(
            f"{database!r} and {collection!r} are not names of a MongoDB database and a collection: {error}"
        ) from error
    return sessions


def parts_of(url: str) -> Mapping[str, Any]:
    """Return the parts of *url*, as pymongo names them. No server is asked."""
    # Resolving mongodb+srv needs a name server, and start-up must not.
    scheme, _, rest = url.partition("://")
    if scheme.lower() == "mongodb+srv":
        rest = re.sub(r"(?<=[?&])srv\w+=[^&]*&?", "", rest, flags=re.IGNORECASE)
    try:
        parts: Mapping[str, Any] = parse_uri(f"mongodb://{rest}")
        # It compares the options, and reads the certificates.
        pymongo.MongoClient[Document](f"mongodb://{rest}", connect=False).close()
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

"""Clients of DynamoDB: given and checked, or made from the options of a URL; and what their errors mean."""

from __future__ import annotations

import os
import re
import threading
from copy import copy
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, NoCredentialsError, PartialCredentialsError

from holdfast.errors import ConfigurationError, StoreUnavailable
from holdfast.stores.shared.clients import is_mistake, likely_fix, require_methods

#: The errors of calls that were not applied, and that another attempt cures.
THROTTLED = frozenset({
    "LimitExceededException", "ProvisionedThroughputExceededException", "RequestLimitExceeded", "ThrottlingException",
})  # fmt: skip

#: The errors that waiting does not cure: credentials, permissions, a missing table, and one with other keys.
_SET_UP_WRONG = frozenset({
    "AccessDeniedException", "ExpiredTokenException", "IncompleteSignatureException", "InvalidClientTokenId",
    "InvalidSignatureException", "MissingAuthenticationTokenException", "NotAuthorized", "ResourceNotFoundException",
    "UnrecognizedClientException", "ValidationException",
})  # fmt: skip

_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d+", re.ASCII)
_TABLE = re.compile(r"[A-Za-z0-9_.-]{3,255}", re.ASCII)
#: The names under which boto3 registers what a resource does to the calls of its client.
_CONVERSIONS = (
    ("provide-client-params", "create-params-copy"),
    ("before-parameter-build", "condition-expression"),
    ("before-parameter-build", "attr-value-input"),
    ("after-call", "attr-value-output"),
)
_CONNECTIONS = 50
_making = threading.Lock()


def region(text: str) -> str:
    """Return *text*, the name of a region."""
    if not _REGION.fullmatch(text):
        raise ValueError("it must be the name of a region, such as eu-central-1")
    return text


def endpoint(text: str) -> str:
    """Return *text*, the URL of an endpoint."""
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.query or parts.port == 0:
        raise ValueError("it must be the URL of an endpoint, such as http://localhost:8000")
    return text


def table(text: str) -> str:
    """Return *text*, the name of a table."""
    if not _TABLE.fullmatch(text):
        raise ValueError("it must be the name of a table: 3 to 255 letters, digits, and any of _ . -")
    return text


def checked(client: Any) -> Any:
    """Return *client*, or that of a resource; raise `ConfigurationError` if it is no synchronous one of DynamoDB."""
    inner = getattr(getattr(client, "meta", None), "client", None)
    client = client if inner is None else _without_conversion(inner)
    require_methods(client, ("batch_get_item", "update_item"), kind="DynamoDB", give='boto3.client("dynamodb")')
    return client


def _without_conversion(client: Any) -> Any:
    """Return a copy of a resource's *client* that does not convert values. The application's stays as it is."""
    plain = object.__new__(type(client))
    vars(plain).update(vars(client))
    plain.meta = copy(client.meta)
    plain.meta.events = copy(client.meta.events)
    for event, name in _CONVERSIONS:
        plain.meta.events.unregister(f"{event}.dynamodb", unique_id=f"dynamodb-{name}")
    return plain


def known_region(given: str | None) -> str:
    """Return the region *given*, or that of the environment, which must be there. No server is asked."""
    found = given or _session().region_name
    if not found:
        raise ConfigurationError(
            "no region is known for DynamoDB: add ?region=eu-central-1 to the URL, or set AWS_DEFAULT_REGION"
        )
    return str(found)


def make_client(region: str, endpoint: str | None, timeout: float) -> Any:
    """Return a client that attempts each call once, and waits *timeout* seconds for each answer."""
    config = Config(
        connect_timeout=timeout,
        read_timeout=timeout,
        retries={"total_max_attempts": 1, "mode": "standard"},  # a write whose answer is lost is not repeated
        max_pool_connections=_CONNECTIONS,
        tcp_keepalive=True,
        parameter_validation=False,  # a fifth of the time of a call
    )
    with _making:  # a session makes one client at a time
        return _session().client(
            "dynamodb", region_name=region, endpoint_url=endpoint, config=config, **_credentials(endpoint)
        )


@cache
def _session() -> Any:
    """Return the session of this process, which reads the description of DynamoDB once."""
    return boto3.session.Session()


def _credentials(endpoint: str | None) -> dict[str, str]:
    """Return made-up credentials for an emulator, unless the environment has some: it accepts any."""
    is_emulator = endpoint is not None and endpoint.startswith("http://")
    if not is_emulator or os.environ.keys() & {"AWS_ACCESS_KEY_ID", "AWS_PROFILE"}:
        return {}
    return {"aws_access_key_id": "dummy", "aws_secret_access_key": "dummy"}


def code_of(error: BaseException) -> str:
    """Return the code of DynamoDB's *error*, or ""."""
    return str(error.response["Error"]["Code"]) if isinstance(error, ClientError) else ""


def unavailable(error: BaseException) -> StoreUnavailable:
    """Return the exception for *error*."""
    code = code_of(error)
    permanent = code in _SET_UP_WRONG or isinstance(error, NoCredentialsError | PartialCredentialsError)
    tls = likely_fix(error, use="write https:// in the endpoint", omit="write http:// in the endpoint")
    return StoreUnavailable(
        f"sessions in DynamoDB cannot be used: {code or type(error).__name__}{tls}",
        permanent=permanent or is_mistake(error),
    )

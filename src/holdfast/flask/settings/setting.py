"""One setting, and the kinds of values of settings."""

from __future__ import annotations

import reprlib
import sys
import warnings
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from holdfast.errors import ConfigurationError
from holdfast.records.tokens import is_text, owner_secret

#: The longest span, in seconds.
_LONGEST = timedelta.max.total_seconds()

_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = 80


class InvalidValue(Exception):
    """A setting cannot have this value. The message continues "SESSION_X is 7: …"."""


class Setting(NamedTuple):
    """One key of ``app.config``.

    Attributes:
        name: The key.
        parse: Returns the converted value, or raises `InvalidValue`.
        default: The value of a setting that is missing or None.
        to: The attribute of `Settings` that the value becomes, as in ``"keep_device"`` or ``"policy.idle"``.
        live: Whether a change after ``Session(app)`` has an effect. A change of any other setting is an error.
        secret: Whether messages must not show the value. The message of *parse* then continues "SESSION_X …".
        doc: The effect of the setting, in Markdown, for ``docs/reference/settings.md``.
    """

    name: str
    parse: Callable[[Any], Any]
    default: Any = None
    to: str = ""
    live: bool = False
    secret: bool = False
    doc: str = ""

    def read(self, config: Mapping[str, Any]) -> Any:
        """Return the parsed value in *config*, or the parsed default. An error names the setting, value and fix."""
        value = config.get(self.name)
        if value is None:
            value = self.default
            if value is None:
                return None
        try:
            return self.parse(value)
        except InvalidValue as error:
            problem = f"{error}" if self.secret else f"is {_repr.repr(value)}: {error}"
            raise ConfigurationError(f"{self.name} {problem}") from None


def anything(value: Any) -> Any:
    """Return *value*: the code that uses it checks it."""
    return value


def checked(is_valid: Callable[[Any], bool], meaning: str) -> Callable[[Any], Any]:
    """Return a parser that returns a value unchanged if *is_valid*; *meaning* continues "it must be"."""

    def parse(value: Any) -> Any:
        """Return *value*, or raise `InvalidValue`."""
        if not is_valid(value):
            raise InvalidValue(f"it must be {meaning}")
        return value

    return parse


_SWITCH = "True or False; in a variable that from_prefixed_env reads, true or false"

switch = checked(lambda value: isinstance(value, bool), _SWITCH)


def names(value: Any) -> tuple[str, ...]:
    """Return the keys in the list or tuple *value*."""
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) and name for name in value):
        raise InvalidValue("it must be a list of keys, such as ['user_id']; an empty list for none")
    return tuple(value)


def flask_switch(value: Any) -> bool:
    """Return *value* as Flask interprets it, except that text, which Flask takes for True, is refused."""
    if value not in (0, 1):
        raise InvalidValue(f"it must be {_SWITCH}")
    return bool(value)


#: Text that UTF-8 can encode.
text = checked(is_text, "text")

#: Text that is not empty.
name = checked(lambda value: isinstance(value, str) and value != "", "a name")


def span(value: Any) -> int:
    """Return a span, given in seconds or as a `timedelta`, in milliseconds."""
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= _LONGEST:
        raise InvalidValue("it must be seconds greater than 0, or a timedelta")
    return max(1, round(seconds * 1000))


def moment(value: Any) -> int:
    """Return an aware `datetime`, or its text in ISO 8601, in milliseconds since the epoch."""
    try:
        found = datetime.fromisoformat(value.replace("Z", "+00:00")) if isinstance(value, str) else value
        if isinstance(found, datetime) and found.tzinfo is not None:
            return round(found.timestamp() * 1000)
    except (ValueError, OverflowError):
        pass
    raise InvalidValue("it must be a moment with its time zone, such as '2027-01-31T00:00:00Z' or an aware datetime")


def number(least: int, meaning: str) -> Callable[[Any], int]:
    """Return a parser of integers from *least* on; *meaning* continues "it must be"."""
    return checked(lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= least, meaning)


def one_of(*choices: str, or_none: bool = False) -> Callable[[Any], str]:
    """Return a parser of *choices*; *or_none*: the message mentions None."""
    meaning = f"one of {', '.join(map(repr, choices))}{', or None' if or_none else ''}"
    return checked(lambda value: value in choices, meaning)


def keys(value: Any) -> tuple[Any, ...]:
    """Return a list of secret keys, the newest first; a single key is a list of one."""
    if isinstance(value, str | bytes):
        return (value,)
    if not isinstance(value, list | tuple):
        raise InvalidValue(f"is of the type {type(value).__name__}: it must be a list of keys, the newest first")
    if not value:
        raise InvalidValue("is empty and would seal nothing: give it a key, or unset it")
    return tuple(value)


def secret(value: Any) -> bytes:
    """Return a secret for owner values, given as bytes or text."""
    if not isinstance(value, str | bytes):
        raise InvalidValue(f"is of the type {type(value).__name__}: it must be bytes or text, best 32 random bytes")
    if not value:
        raise InvalidValue("is empty and would hide nothing: give it 32 random bytes, or unset it")
    try:
        return owner_secret(value)
    except ConfigurationError as error:
        raise InvalidValue(str(error)) from None


def warn(message: str) -> None:
    """Warn of *message* at the line of the application that called ``Session(app)`` or ``init_app(app)``."""
    level, frame = 1, sys._getframe()  # noqa: SLF001  # `warnings` cannot otherwise skip a package before Python 3.12
    while frame.f_back is not None and frame.f_globals["__name__"].partition(".")[0] == "holdfast":
        level, frame = level + 1, frame.f_back
    warnings.warn(message, stacklevel=level)

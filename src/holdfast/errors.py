"""Every exception Holdfast raises.

::

    HoldfastError
    ├── ConfigurationError (ValueError)      a setting is wrong or missing
    ├── EncodeError (TypeError)              a session value cannot be stored
    ├── DecodeError                          stored bytes are not a readable record
    │   └── UnknownKey                       no given key opens it
    ├── SessionConflict                      another request changed the session first
    ├── NotFresh                             the user must authenticate again first
    ├── LoginEnded                           the user's sessions were ended during the login
    ├── TooManySessions                      the user has the maximum number of sessions
    └── StoreError                           a call of the store failed
        ├── StoreUnavailable                 it did not answer, or answered with a fault
        │   └── StoreSetUpWrong              (ConfigurationError) a setting is wrong, as its use shows
        └── RecordTooLarge                   the record exceeds its limit

Expected outcomes (missing, expired, gone, conflict) are return values, see `holdfast.stores.contract`.
No message ever contains a token, a key or a payload; a driver's own error is in ``__cause__``.
"""

from __future__ import annotations

import errno
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress

#: The beginning of a driver's message is enough; MongoDB's is pages long.
_LONGEST_REASON = 200

#: What the system says where a process may have no more memory or files.
_USED_UP = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
#: The frames on the stack that suffice to read any data, which are nested to a limit.
_ROOM = 250

#: What a driver's message may go on with: a row, a command with its keys, a document, a value or a statement.
_QUOTED = re.compile(
    r"\n(?:DETAIL|CONTEXT|LINE \d+):|, with args beginning with|(?<=to execute command) \{|, full error:| dup key:"
    r"|(?<= value): ['\"]|(?<= near) ['\"]"
)


class HoldfastError(Exception):
    """The root of the tree: ``except HoldfastError`` catches everything Holdfast raises."""


class ConfigurationError(HoldfastError, ValueError):
    """A setting is wrong or missing. The message names the setting, the value and the fix."""


class EncodeError(HoldfastError, TypeError):
    """A session value cannot be stored. *path* names it, as in ``session['cart'][0]``."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path} {problem}")
        self.path = path


class DecodeError(HoldfastError):
    """Stored bytes are not a record that can be read here: damaged, foreign or newer.

    *foreign* is True if another reader may accept them, such as a newer release with the same store.
    """

    def __init__(self, message: str, *, foreign: bool = False) -> None:
        super().__init__(message)
        self.foreign = foreign


class UnknownKey(DecodeError):
    """A record is sealed with none of the given keys, or not in the required mode."""

    def __init__(self, message: str) -> None:
        super().__init__(message, foreign=True)


class SessionConflict(HoldfastError):
    """Another request changed the session first and the change could not be merged.

    Raised on the first conflict with ``on_conflict="error"`` in the policy, and otherwise when the bounded retries are
    used up. The stored session is the other request's; no change of this one is in it.
    """


class LoginEnded(HoldfastError):
    """A login was refused because its session was ended while it was under way. Nothing of it is stored.

    All sessions of the user were ended meanwhile, or the one of that user that the login replaces, or it was the oldest
    of too many. Another login is a new one, and succeeds.
    """


class TooManySessions(HoldfastError):
    """A login was refused because the user has the maximum number of sessions. No session of it is stored.

    *limit* is that number.
    """

    def __init__(self, limit: int) -> None:
        super().__init__(f"the user has {limit} sessions, and no more are allowed: end one first")
        self.limit = limit


class NotFresh(HoldfastError):
    """The user must authenticate again first: there is no authentication, or it is too old, or was used.

    *seconds* is the maximum age of the authentication.
    """

    def __init__(self, message: str, *, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


class StoreError(HoldfastError):
    """A call of the store failed."""


class StoreUnavailable(StoreError):
    """The store did not answer, or answered with a fault. It says nothing about the session.

    Whether a write was applied is unknown. *permanent* is True if waiting does not help, because something is set up
    wrong: a password, the name of a database, a permission, a foreign table, a read-only folder.
    """

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent

    @property
    def reason(self) -> str:
        """The driver's message in one line, without what it quotes or SQLAlchemy adds, or ``""``."""
        cause = self.__cause__
        said = " ".join(_QUOTED.split(str(getattr(cause, "orig", None) or cause or ""))[0].split())
        return said if len(said) <= _LONGEST_REASON else f"{said[:_LONGEST_REASON]}…"

    @property
    def explained(self) -> str:
        """The message, and the driver's reason after it if that is not in it."""
        return str(self) if self.reason in str(self) else f"{self}: {self.reason}"


class StoreSetUpWrong(StoreUnavailable, ConfigurationError):
    """A setting of the store is wrong, as only its use shows, such as a table of another program's. It is permanent."""

    def __init__(self, message: str) -> None:
        super().__init__(message, permanent=True)


class RecordTooLarge(StoreError):
    """The record exceeds the store's limit. Nothing was stored; the old record is intact.

    *size* and *limit* are in bytes.
    """

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"a record of {size} bytes exceeds the limit of {limit}: store less in the session")
        self.size = size
        self.limit = limit


def cannot_import(error: ImportError, user: str, fix: str) -> ConfigurationError:
    """Return the error for *user*, a part of the product, whose driver cannot be imported; *fix* installs it."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        return ConfigurationError(f"{user} needs {error.name}, which is not installed{fix}")
    # The module is there, and lacks a part of its own: psycopg without libpq, say.
    is_second = "interpreter" in str(error)  # of the process, as Python, PyO3 and Cython word it
    hint = " (run the application in the main one: application-group=%{GLOBAL} in Apache, single-interpreter in uWSGI)"
    return ConfigurationError(f"{user} needs a module that cannot be imported: {error}{hint if is_second else ''}")


@contextmanager
def saying(before: str, after: str = "") -> Iterator[None]:
    """Put *before* and *after* around the message of a `ConfigurationError` of the block, such as the setting."""
    try:
        yield
    except ConfigurationError as error:
        raise ConfigurationError(f"{before} {error}{after}") from error


def raise_own_fault(error: BaseException | None) -> None:
    """Raise what caused *error*, which reading data raised, if it says nothing about the data: a limit of this process.

    It is out of memory or of file descriptors, or the stack has no room left to read any data.
    """
    if isinstance(error, RecursionError):
        _require_room(_ROOM)
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in _USED_UP):
        raise error
    if error is not None:
        raise_own_fault(error.__cause__)


def _require_room(frames: int) -> None:
    if frames:
        _require_room(frames - 1)


def shear(error: Exception) -> None:
    """Remove the keys and values that the messages of a driver's *error* quote: it becomes a cause."""
    for each in (error, getattr(error, "orig", None)):
        if isinstance(each, Exception):
            each.args = tuple(_QUOTED.split(part)[0] if isinstance(part, str) else part for part in each.args)


def forget_locals(error: BaseException) -> None:
    """Remove the local variables from the frames of *error*, and of its causes, that have returned.

    They hold tokens, data and keys, as text and bytes, and error reporters send what they hold. Of an exception that is
    not Holdfast's the application's own frames are left as they are.
    """
    _forget(error, everything=isinstance(error, HoldfastError), seen=set())


def _forget(error: BaseException | None, *, everything: bool, seen: set[int]) -> None:
    if error is None or id(error) in seen:
        return
    seen.add(id(error))
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if everything or str(frame.f_globals.get("__name__", "")).startswith("holdfast."):
            with suppress(RuntimeError):  # it has not returned
                frame.clear()
    # What was being handled when it was raised may be the application's.
    ours = everything and not isinstance(error, HoldfastError)
    _forget(error.__cause__, everything=everything, seen=seen)
    _forget(error.__context__, everything=ours or isinstance(error.__context__, HoldfastError), seen=seen)

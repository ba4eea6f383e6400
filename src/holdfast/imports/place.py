"""The place where sessions were before, as the flows use it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from holdfast.clock import Clock


@dataclass(frozen=True, slots=True, repr=False)
class OldSession:
    """A session as the old place has it: its data, or None if they cannot be read.

    *expires_at* is the end of its life there, in milliseconds since the epoch; None without one.
    """

    data: dict[Any, Any] | None
    expires_at: int | None


class OldPlace(ABC):
    """Where sessions were before. An *old id* is what a cookie of that time stands for, without a signature.

    Sessions are taken over before *until*, in milliseconds since the epoch; None: always.

    Attributes:
        none_there: The advice where it is empty: it may be another place than before.
    """

    none_there = ""

    def __init__(self, until: int | None, clock: Clock) -> None:
        self._until = until
        self._clock = clock

    @property
    def is_open(self) -> bool:
        """Whether sessions are still taken over."""
        return self._until is None or self._clock() < self._until

    @abstractmethod
    def has_form(self, old_id: str, /) -> bool:
        """Return whether *old_id* may be one, and sessions are still taken over."""

    @abstractmethod
    def load(self, old_id: str, /) -> OldSession | None:
        """Return the live session of *old_id*, or None."""

    @abstractmethod
    def ids(self) -> list[str]:
        """Return the id of each session that is there; `ConfigurationError` if the place cannot list them."""

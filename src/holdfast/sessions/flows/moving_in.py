"""The flows of a request on stored sessions, while those of another place are taken over."""

from holdfast.sessions.flows.in_store import *  # noqa: F403  # its list is the protocol's
from holdfast.sessions.flows.take_over import find  # type: ignore[assignment]  # noqa: F401  # calls are by position

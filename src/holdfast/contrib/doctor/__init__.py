"""The requirements of ASVS, NIST SP 800-63B, OWASP's cheat sheet and RFC 6265bis that a configuration meets.

`examine` returns a `Report`. ``flask sessions doctor`` prints it.
"""

from __future__ import annotations

# Each module adds its checks, in the order of the report.
from holdfast.contrib.doctor import cookie, transport, lifetimes, tokens, users, store  # isort: skip
from holdfast.contrib.doctor.checks import Report, Row, Status, examine

__all__ = ["Report", "Row", "Status", "examine"]

del cookie, transport, lifetimes, tokens, users, store

"""The requirements of ASVS, NIST SP 800-63B, OWASP's cheat sheet and RFC 6265bis that a configuration meets.

`examine` returns a `Report`. ``flask sessions doctor`` prints it.
"""

from holdfast.contrib.doctor.checks import Row, Status
from holdfast.contrib.doctor.report import Report, examine

__all__ = ["Report", "Row", "Status", "examine"]

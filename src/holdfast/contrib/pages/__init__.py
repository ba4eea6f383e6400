"""Pages that an application can add: a user's own devices, and an operator's."""

from holdfast.contrib.pages.devices import devices_page
from holdfast.contrib.pages.operator import operator_page

__all__ = ["devices_page", "operator_page"]

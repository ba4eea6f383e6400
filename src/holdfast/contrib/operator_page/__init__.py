"""The pages on which an operator finds and ends sessions: ``operator_page(sessions, authorize=…)``."""

from holdfast.contrib.operator_page.views import operator_page

__all__ = ["operator_page"]

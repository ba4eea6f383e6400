"""Runs each test on sound code and with each bug that it must catch; see `security.running`."""

from security.running import place, planted, pytest_generate_tests, pytest_pyfunc_call, site_on, web_on

__all__ = ["place", "planted", "pytest_generate_tests", "pytest_pyfunc_call", "site_on", "web_on"]

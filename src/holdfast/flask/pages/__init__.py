"""Pages that an application can add: a user's own devices."""

from holdfast.flask.pages.devices import devices_page

__all__ = ["devices_page"]

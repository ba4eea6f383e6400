"""The page on which users see where they are signed in: ``app.register_blueprint(devices_page(sessions))``."""

from holdfast.contrib.devices_page.views import devices_page

__all__ = ["devices_page"]

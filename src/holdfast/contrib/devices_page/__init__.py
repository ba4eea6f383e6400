"""The page on which users see and end their own sessions: ``app.register_blueprint(devices_page(sessions))``."""

from holdfast.contrib.devices_page.views import devices_page

__all__ = ["devices_page"]

"""Server-side sessions that hold."""

__version__ = "0.1.0"

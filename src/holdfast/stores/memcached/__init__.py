"""Sessions in memcached: fast, shared, and only as lasting as its memory."""

from holdfast.stores.memcached.store import MemcachedStore

__all__ = ["MemcachedStore"]

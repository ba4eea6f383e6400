"""Sessions in memcached: fast, shared, and lost when memory is full or the server restarts."""

from holdfast.stores.memcached.store import MemcachedStore

__all__ = ["MemcachedStore"]

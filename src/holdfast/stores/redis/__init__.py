"""Sessions in Redis or Valkey: one server, one behind Sentinels, or a Cluster."""

from holdfast.stores.redis.store import RedisClusterStore, RedisStore

__all__ = ["RedisClusterStore", "RedisStore"]

"""Sessions in MongoDB: one document for each record, under its key."""

from holdfast.stores.mongodb.store import MongoDBStore

__all__ = ["MongoDBStore"]

"""Sessions in DynamoDB: one item for each record, and one for each entry of an owner's index."""

from holdfast.stores.dynamodb.store import DynamoDBStore

__all__ = ["DynamoDBStore"]

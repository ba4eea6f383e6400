"""Sessions in an SQL database by SQLAlchemy: MariaDB, MySQL, PostgreSQL, SQLite and others."""

from holdfast.stores.sql.store import SQLStore
from holdfast.stores.sql.table import sessions_table

__all__ = ["SQLStore", "sessions_table"]

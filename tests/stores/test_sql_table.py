"""The table of the SQL store: its creation, and foreign tables."""

from __future__ import annotations

import io
import multiprocessing
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from support.capabilities import keys_of
from support.pages import blocks
from support.sql import statements

from holdfast.errors import ConfigurationError, StoreUnavailable
from holdfast.stores.registry import open_store
from holdfast.stores.sql import SQLStore, sessions_table
from holdfast.stores.sql.engines import codes_of

KEY = "0" * 64
FAR = 4_000_000_000_000


def opened(url: str) -> SQLStore:
    """Return the store at *url*."""
    store = open_store(url, root=Path.cwd())
    assert isinstance(store, SQLStore)
    return store


def use_first(url: str, barrier: Any, answers: Any) -> None:
    """Use the store for the first time, together with others. Runs in a process of its own."""
    with closing(opened(url)) as store:
        barrier.wait(50)
        try:
            answers.put(store.create(KEY, b"data", expires_at=FAR) is not None)
        except Exception as error:  # noqa: BLE001 (any exception, the test reports it)
            answers.put(repr(error))


def test_processes_that_come_at_once_make_the_table_once(sql_url: str) -> None:
    """When several processes use a new database at once, all of them work, and one of them makes the record."""
    spawn = multiprocessing.get_context("spawn")
    barrier, answers = spawn.Barrier(3), spawn.Queue()
    processes = [spawn.Process(target=use_first, args=(sql_url, barrier, answers)) for _ in range(3)]
    for process in processes:
        process.start()
    assert sorted(answers.get(timeout=55) for _ in processes) == [False, False, True]
    for process in processes:
        process.join()
    engine = sa.create_engine(sql_url)
    indexes = {index["name"] for index in sa.inspect(engine).get_indexes("holdfast_sessions")}
    assert indexes == {"holdfast_sessions_owner", "holdfast_sessions_purge_at"}
    engine.dispose()


def test_a_table_that_is_not_to_be_made_is_not_made(sql_url: str) -> None:
    """With ``create_table=0`` a missing table is an error that names it, and the command that prints how to make it."""
    with closing(opened(f"{sql_url}?create_table=0")) as store:
        for _ in range(2):
            with pytest.raises(ConfigurationError, match=r"no table 'holdfast_sessions'.*python -m holdfast ddl"):
                store.load(KEY)
    engine = sa.create_engine(sql_url)
    assert sa.inspect(engine).get_table_names() == []
    engine.dispose()


def test_the_printed_statements_make_the_table(sql_url: str) -> None:
    """A table made by the statements of `ddl` is one that the store uses, without making anything."""
    engine = sa.create_engine(sql_url)
    with closing(SQLStore(engine, table="visits", create_table=False)) as store, engine.begin() as connection:
        for statement in store.ddl().split(";"):
            if statement:
                connection.execute(sa.text(statement))
        connection.commit()
        assert store.create(KEY, bytes(range(256)), expires_at=FAR, owner="ada") is not None
        assert list(keys_of(store, "ada")) == [KEY]
    engine.dispose()


def test_another_s_table_is_refused_and_left_alone(sql_url: str) -> None:
    """A table of Flask-Session's is an error that asks for another name; its columns and rows stay as they are."""
    engine = sa.create_engine(sql_url)
    metadata = sa.MetaData()
    theirs = sa.Table(
        "sessions",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("session_id", sa.String(255), unique=True),
        sa.Column("data", sa.LargeBinary),
        sa.Column("expiry", sa.DateTime),
    )
    metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(theirs.insert().values(id=1, session_id="session:1", data=b"theirs"))
    with closing(SQLStore(engine, table="sessions")) as store:
        for _ in range(2):
            with pytest.raises(ConfigurationError, match=r"'sessions' is Flask-Session's.*SESSION_SQLALCHEMY_TABLE"):
                store.create(KEY, b"ours", expires_at=FAR)
    with engine.connect() as connection:
        assert connection.execute(sa.select(theirs)).all() == [(1, "session:1", b"theirs", None)]
    assert [column["name"] for column in sa.inspect(engine).get_columns("sessions")] == [*theirs.columns.keys()]
    engine.dispose()


@pytest.mark.parametrize(
    ("name", "type_"),
    [("key", sa.VARBINARY(64)), ("data", sa.Text()), ("owner", sa.String(255)), ("version", sa.String(30))],
)
def test_a_column_whose_values_come_back_as_others_is_refused(
    sql_url: str, name: str, type_: sa.types.TypeEngine[Any]
) -> None:
    """A table made by hand with text for bytes, say, is a wrong setting that names the column, from `init` on.

    Its records would be damaged, and its index empty: every session would be lost without a word.
    """
    engine, table = sa.create_engine(sql_url), sessions_table()
    table.c[name].type = sa.LargeBinary(64) if name == "key" and engine.dialect.name == "postgresql" else type_
    table.create(engine)
    with closing(SQLStore(engine)) as store:
        if engine.dialect.name == "sqlite":  # a column of which takes values of any type
            assert store.create(KEY, b"\xff", expires_at=FAR, owner="ada") is not None
        else:
            said = f"the column '{name}' of the table .* has to be"
            with pytest.raises(ConfigurationError, match=said):
                store.prepare()
            with pytest.raises(ConfigurationError, match=said):
                store.load(KEY)
    engine.dispose()


def test_a_dropped_table_is_made_again(sql_url: str) -> None:
    """When the table is dropped under a running store, one call fails at most, and the next finds an empty table."""
    engine = sa.create_engine(sql_url)
    with closing(SQLStore(engine)) as store:
        store.create(KEY, b"data", expires_at=FAR)
        sessions_table().drop(engine)
        with pytest.raises(Exception, match="the database did not execute a statement"):
            store.load(KEY)
        assert store.load(KEY) is None
        assert store.create(KEY, b"data", expires_at=FAR) is not None
    engine.dispose()


@pytest.mark.postgresql
def test_a_schema_is_kept_to(postgresql_url: str) -> None:
    """With a schema the table is made and used there, and a table of the same name elsewhere is not touched."""
    engine = sa.create_engine(postgresql_url)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE SCHEMA web"))
        connection.execute(sa.text("CREATE TABLE holdfast_sessions (id integer)"))
    with closing(opened(f"{postgresql_url}?schema=web")) as store:
        assert store.create(KEY, b"data", expires_at=FAR) is not None
        assert store.load(KEY) is not None
    assert sa.inspect(engine).get_table_names("web") == ["holdfast_sessions"]
    engine.dispose()


def test_later_uses_look_at_the_table_no_more(sql_url: str) -> None:
    """After the first use, load, save and touch are one statement each, a new record too, and a deletion."""
    with closing(opened(sql_url)) as store:
        store.load(KEY)
        with statements() as heard:
            version = store.create(KEY, b"data", expires_at=FAR)
            assert version is not None
            store.load(KEY)
            store.replace(KEY, b"more", expect=version, expires_at=FAR)
            store.touch(KEY, expires_at=FAR + 1)
            store.delete(KEY)
    assert [statement.split()[0] for statement in heard] == ["INSERT", "SELECT", "UPDATE", "UPDATE", "DELETE"]


ENVIRONMENT = """
from alembic import context

config = context.config
with config.attributes["engine"].connect() as connection:
    context.configure(connection=connection, target_metadata=config.attributes["metadata"])
    with context.begin_transaction():
        context.run_migrations()
"""
TEMPLATE = """
from alembic import op
import sqlalchemy as sa
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}

def upgrade():
    ${upgrades}

def downgrade():
    ${downgrades}
"""


@pytest.mark.parametrize("own_metadata", [False, True])
def test_migrations_find_the_table(sql_url: str, tmp_path: Path, own_metadata: bool) -> None:
    """Alembic makes the table by a migration that it wrote itself, finds no difference afterwards, and drops it."""
    import alembic.command
    import alembic.config

    orders = sa.Table("orders", sa.MetaData(), sa.Column("number", sa.Integer, primary_key=True))
    [recipe] = [
        block for block in blocks("docs/reference/backends/sql.md", "python") if "metadata=db.metadata" in block
    ]
    target: Any = [orders.metadata, sessions_table().metadata]
    if not own_metadata:
        exec(recipe, {"db": SimpleNamespace(metadata=orders.metadata)})  # noqa: S102 (the recipe of the docs)
        target = orders.metadata
    (tmp_path / "migrations" / "versions").mkdir(parents=True)
    (tmp_path / "migrations" / "env.py").write_text(ENVIRONMENT)
    (tmp_path / "migrations" / "script.py.mako").write_text(TEMPLATE)
    engine = sa.create_engine(sql_url, poolclass=sa.NullPool)
    config = alembic.config.Config(attributes={"engine": engine, "metadata": target}, stdout=io.StringIO())
    config.set_main_option("script_location", str(tmp_path / "migrations"))
    config.set_main_option("path_separator", "os")
    alembic.command.revision(config, "sessions", autogenerate=True)
    alembic.command.upgrade(config, "head")
    with closing(SQLStore(engine, create_table=False)) as store:
        assert store.create(KEY, bytes(range(256)), expires_at=FAR, owner="ada") is not None
        assert list(keys_of(store, "ada")) == [KEY]
    alembic.command.check(config)
    alembic.command.downgrade(config, "base")
    assert sa.inspect(engine).get_table_names() == ["alembic_version"]


@pytest.mark.postgresql
@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_a_user_who_may_only_read_has_the_server_s_reason(postgresql_url: str, driver: str) -> None:
    """The first use of a database without the table fails with what the server said about the table."""
    url = f"{postgresql_url.replace('psycopg', driver)}?options=-c default_transaction_read_only=on"
    with closing(opened(url)) as store, pytest.raises(StoreUnavailable) as caught:
        store.create(KEY, b"data", expires_at=FAR)
    assert "25006" in codes_of(getattr(caught.value.__cause__, "orig", None))

"""Sessions beside Flask-SQLAlchemy, and its settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from support.sql import statements

from holdfast.errors import ConfigurationError
from holdfast.flask import Session, session
from holdfast.flask.interface import HoldfastInterface
from holdfast.sessions.manager import directory
from holdfast.stores.memory import MemoryStore
from holdfast.stores.sql import SQLStore
from holdfast.testing import FakeClock

Make = Callable[..., Flask]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Return a function that makes an application whose views read, write, and leave the session alone."""
    made: list[Flask] = []

    def make(name: str = "shop", **config: Any) -> Flask:
        app = Flask(name, static_folder=None, instance_path=str(tmp_path / name))
        app.config.update({"SESSION_TYPE": "sqlalchemy", "PROPAGATE_EXCEPTIONS": True, **config})
        app.add_url_rule("/noop", view_func=lambda: "done", endpoint="noop")
        app.add_url_rule("/read", view_func=lambda: str(session.get("cart", "nothing")), endpoint="read")
        app.add_url_rule("/write/<value>", view_func=write, endpoint="write")
        made.append(app)
        return app

    yield make
    for app in made:
        if isinstance(app.session_interface, HoldfastInterface):
            getattr(directory(app.session_interface.manager).store, "close", lambda: None)()
        with app.app_context():
            for engine in getattr(app.extensions.get("sqlalchemy"), "engines", {}).values():
                engine.dispose()


def write(value: str) -> str:
    """Put *value* into the session."""
    session["cart"] = value
    return "done"


def tables(url: str) -> list[str]:
    """Return the names of the tables in the database at *url*."""
    engine = sa.create_engine(url)
    try:
        return sorted(sa.inspect(engine).get_table_names())
    finally:
        engine.dispose()


def keeps(app: Flask) -> bool:
    """Return whether a value that one request of a browser puts into its session is there in the next."""
    browser = app.test_client()
    browser.get("/write/bread")
    return browser.get("/read").text == "bread"


def test_statements_of_a_request(make: Make, sql_url: str) -> None:
    """Untouched is no statement, a read one, a write two, a first write one, whatever the database."""
    app = make(SQLALCHEMY_DATABASE_URI=sql_url)
    app.config["SESSION_SQLALCHEMY"] = SQLAlchemy(app)
    Session(app, clock=FakeClock())  # a request that takes long looks up again
    app.test_client().get("/write/first")
    browser = app.test_client()
    seen: dict[str, list[str]] = {}
    for name, path in {"first": "/write/a", "noop": "/noop", "read": "/read", "write": "/write/b"}.items():
        with statements() as heard:
            assert browser.get(path).status_code == 200
        seen[name] = [statement.split()[0] for statement in heard]
    assert seen == {"first": ["INSERT"], "noop": [], "read": ["SELECT"], "write": ["SELECT", "UPDATE"]}


def test_a_view_that_fails_leaves_no_rows_and_its_session_is_its_own_affair(make: Make, sql_url: str) -> None:
    """Saving a session neither commits nor rolls back `db.session`."""
    # SQLite has one writer at a time, so there a request that leaves its transaction open cannot save its session.
    many_writers = not sql_url.startswith("sqlite")
    app = make(SQLALCHEMY_DATABASE_URI=sql_url, PROPAGATE_EXCEPTIONS=False, SESSION_SAVE_ON_ERROR=many_writers)
    db = SQLAlchemy(app)
    orders = sa.Table("orders", db.metadata, sa.Column("number", sa.Integer, primary_key=True))
    app.config["SESSION_SQLALCHEMY"] = db

    @app.get("/order/<int:number>/<ending>")
    def order(number: int, ending: str) -> str:
        session["orders"] = session.get("orders", 0) + 1
        db.session.execute(orders.insert().values(number=number))
        if ending == "commit":
            db.session.commit()
        if ending == "fail":
            raise ValueError("sold out")
        return str(session["orders"])

    Session(app)
    with app.app_context():
        db.create_all()
    browser = app.test_client()
    assert browser.get("/order/1/commit").text == "1"
    assert browser.get("/order/2/fail").status_code == 500
    if many_writers:
        assert browser.get("/order/3/forget").text == "3"
    with app.app_context():
        assert db.session.execute(sa.select(orders.c.number)).scalars().all() == [1]


TRANSACTIONS = {
    "mariadb": "SELECT count(*) FROM information_schema.innodb_trx",
    "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in %'",
}


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("mariadb", marks=pytest.mark.mariadb),
        pytest.param("postgresql", marks=pytest.mark.postgresql),
    ],
)
def test_no_transaction_is_open_during_a_view(make: Make, kind: str, request: pytest.FixtureRequest) -> None:
    """While a view runs that has looked at its session, the server has no transaction, nor after it."""
    url: str = request.getfixturevalue(f"{kind}_url")
    app, engine = make(SQLALCHEMY_DATABASE_URI=url), sa.create_engine(url, isolation_level="AUTOCOMMIT")

    def transactions() -> int:
        with engine.connect() as connection:
            found = connection.execute(sa.text(TRANSACTIONS[kind])).scalar_one()
            return int(found)

    def view() -> str:
        session["seen"] = session.get("seen", 0) + 1
        return str(transactions())

    app.add_url_rule("/", view_func=view)
    Session(app)
    browser = app.test_client()
    assert [browser.get("/").text for _ in range(3)] == ["0", "0", "0"]
    assert transactions() == 0
    engine.dispose()


def test_the_table_is_no_business_of_the_models(make: Make, sqlite_url: str) -> None:
    """The table is in no metadata of the application's: `create_all` and `drop_all` leave it alone."""
    app = make(SQLALCHEMY_DATABASE_URI=sqlite_url)
    db = SQLAlchemy(app)
    app.config["SESSION_SQLALCHEMY"] = db
    Session(app)
    assert keeps(app)
    assert list(db.metadata.tables) == []
    with app.app_context():
        db.create_all()
        db.drop_all()
    assert tables(sqlite_url) == ["holdfast_sessions"]
    assert keeps(app)


def test_db_may_be_set_up_before_or_after(make: Make, sqlite_url: str) -> None:
    """It does not matter whether `db` learns of the application before or after ``Session(app)``."""
    for name, order in {"before": (0, 1), "after": (1, 0)}.items():
        app, db = make(name, SQLALCHEMY_DATABASE_URI=sqlite_url), SQLAlchemy()
        app.config["SESSION_SQLALCHEMY"] = db
        steps = [db.init_app, Session().init_app]
        for number in order:
            steps[number](app)
        assert keeps(app)


def test_one_db_in_two_applications(make: Make, tmp_path: Path) -> None:
    """Applications that share one `db`, as factories make them, each keep sessions in their own database."""
    db = SQLAlchemy()
    apps = []
    for name in ("shop", "office"):
        app = make(name, SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path}/{name}.db", SESSION_SQLALCHEMY=db)
        db.init_app(app)
        Session(app)
        apps.append(app)
    assert all(map(keeps, apps))
    for name in ("shop", "office"):
        assert tables(f"sqlite:///{tmp_path}/{name}.db") == ["holdfast_sessions"]
    again = make("shop", SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path}/shop.db", SESSION_SQLALCHEMY=db)
    db.init_app(again)
    Session(again)
    assert keeps(again)


def test_db_that_was_never_set_up(make: Make, sqlite_url: str) -> None:
    """A `db` that does not know the application is an error at the first use that says what to call."""
    app = make(SQLALCHEMY_DATABASE_URI=sqlite_url, SESSION_SQLALCHEMY=SQLAlchemy())
    Session(app)
    with pytest.raises(ConfigurationError, match=r"'shop': call db.init_app\(app\)"):
        app.test_client().get("/write/a")


def test_table_schema_sequence_and_bind(make: Make, tmp_path: Path, sqlite_url: str) -> None:
    """The table is named, and found by its bind; a sequence is accepted and not needed."""
    app = make(
        SQLALCHEMY_DATABASE_URI=sqlite_url,
        SQLALCHEMY_BINDS={"sessions": f"sqlite:///{tmp_path}/bound.db"},
        SESSION_SQLALCHEMY_TABLE="visits",
        SESSION_SQLALCHEMY_SEQUENCE="visits_id_seq",
        SESSION_SQLALCHEMY_SCHEMA="main",
        SESSION_SQLALCHEMY_BIND_KEY="sessions",
    )
    app.config["SESSION_SQLALCHEMY"] = SQLAlchemy(app)
    Session(app)
    assert keeps(app)
    assert (tables(sqlite_url), tables(f"sqlite:///{tmp_path}/bound.db")) == ([], ["visits"])


def test_a_bind_that_is_not_there(make: Make, sqlite_url: str) -> None:
    """A bind key that `db` does not have is an error that names it."""
    app = make(SQLALCHEMY_DATABASE_URI=sqlite_url, SESSION_SQLALCHEMY_BIND_KEY="nowhere")
    app.config["SESSION_SQLALCHEMY"] = SQLAlchemy(app)
    Session(app)
    with pytest.raises(ConfigurationError, match="SESSION_SQLALCHEMY_BIND_KEY is 'nowhere'"):
        app.test_client().get("/write/a")


@pytest.mark.parametrize(
    "config",
    [
        {"SQLALCHEMY_DATABASE_URI": "sqlite:///own.db"},
        {"SQLALCHEMY_DATABASE_URI": "sqlite:///own.db", "SQLALCHEMY_ENGINE_OPTIONS": {"connect_args": {"timeout": 1}}},
        {"SQLALCHEMY_BINDS": {"s": "sqlite:///own.db"}, "SESSION_SQLALCHEMY_BIND_KEY": "s"},
        {"SQLALCHEMY_BINDS": {"s": {"url": "sqlite:///own.db"}}, "SESSION_SQLALCHEMY_BIND_KEY": "s"},
        {"SQLALCHEMY_DATABASE_URI": sa.make_url("sqlite:///own.db")},
    ],
)
def test_without_db_the_uri_does(make: Make, tmp_path: Path, config: dict[str, Any]) -> None:
    """Without SESSION_SQLALCHEMY, sessions are at the URI that Flask-SQLAlchemy would use, in the instance folder."""
    app = make(**config)
    Session(app)
    assert not (tmp_path / "shop").exists()
    assert keeps(app)
    assert tables(f"sqlite:///{tmp_path}/shop/own.db") == ["holdfast_sessions"]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "neither SESSION_SQLALCHEMY nor SQLALCHEMY_DATABASE_URI is set"),
        ({"SESSION_SQLALCHEMY_BIND_KEY": "s"}, r"neither SESSION_SQLALCHEMY nor SQLALCHEMY_BINDS\['s'\] is set"),
        (
            {"SESSION_SQLALCHEMY": MemoryStore()},
            r"SESSION_SQLALCHEMY: holdfast\.stores\.memory\.MemoryStore is no engine",
        ),
        ({"SESSION_SQLALCHEMY": SQLAlchemy}, r"SESSION_SQLALCHEMY: builtins\.type is no engine"),
        (
            {"SESSION_SQLALCHEMY": "sqlite:///x"},
            "SESSION_SQLALCHEMY is text: .* set SESSION_STORE",
        ),
        ({"SQLALCHEMY_DATABASE_URI": "postgresql+asyncpg://u:hunter2@h/d"}, "SQLALCHEMY_DATABASE_URI: .*asynchronous"),
        (
            {"SQLALCHEMY_DATABASE_URI": "mysql+pymysql://u:hunter2@h:a:b/d"},
            "SQLALCHEMY_DATABASE_URI: .*cannot be parsed",
        ),
        (
            {"SQLALCHEMY_DATABASE_URI": "sqlite://", "SESSION_SQLALCHEMY_TABLE": 7},
            "SESSION_SQLALCHEMY_TABLE is 7: it must be a name",
        ),
    ],
)
def test_what_cannot_be_meant(make: Make, config: dict[str, Any], message: str) -> None:
    """A wrong or missing setting is an error at start-up that names it, or the class of what it is set to."""
    app = make(**config)
    with pytest.raises(ConfigurationError, match=message) as caught:
        Session(app)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("kind", ["engine", "db"])
def test_session_store_takes_an_engine_or_a_db(make: Make, sqlite_url: str, kind: str) -> None:
    """``SESSION_STORE`` may be an engine, or a `db`."""
    app = make(SESSION_TYPE=None, SQLALCHEMY_DATABASE_URI=sqlite_url)
    engine = sa.create_engine(sqlite_url)
    app.config["SESSION_STORE"] = engine if kind == "engine" else SQLAlchemy(app)
    Session(app)
    assert keeps(app)
    assert tables(sqlite_url) == ["holdfast_sessions"]
    engine.dispose()


def test_a_database_in_memory(make: Make) -> None:
    """With the application's database in memory, sessions are in memory too, apart from its one connection."""
    app = make(SQLALCHEMY_DATABASE_URI="sqlite://")
    db = SQLAlchemy(app)
    app.config["SESSION_SQLALCHEMY"] = db
    Session(app)
    browser = app.test_client()
    with app.app_context():
        db.session.execute(sa.text("CREATE TABLE orders (number integer)"))
        db.session.execute(sa.text("INSERT INTO orders VALUES (1)"))
        browser.get("/write/bread")
        assert browser.get("/read").text == "bread"
        db.session.rollback()
        assert sa.inspect(db.engine).get_table_names() == ["orders"]
        assert db.session.execute(sa.text("SELECT count(*) FROM orders")).scalar_one() == 0
    assert browser.get("/read").text == "bread"


@pytest.mark.parametrize("echo", [True, "debug"])
def test_no_log_shows_a_session(
    make: Make, sqlite_url: str, caplog: pytest.LogCaptureFixture, echo: bool | str
) -> None:
    """With SQLALCHEMY_ECHO the statements are logged, without keys and without what is in the sessions."""
    caplog.set_level("DEBUG" if echo == "debug" else "INFO")
    app = make(SQLALCHEMY_DATABASE_URI=sqlite_url, SQLALCHEMY_ECHO=echo)
    app.config["SESSION_SQLALCHEMY"] = SQLAlchemy(app)
    Session(app)
    assert keeps(app)
    assert "INSERT INTO holdfast_sessions" in caplog.text
    assert "bread" not in caplog.text
    store = app.session_interface.manager.store  # type: ignore[attr-defined]  # Holdfast's
    assert isinstance(store, SQLStore)
    [(key, _)] = store.scan().items
    assert key not in caplog.text

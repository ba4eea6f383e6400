"""``flask sessions doctor`` reports the requirements that an application meets, and the changes to make."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import Result
from flask import Flask
from flask_login import LoginManager
from flask_wtf import CSRFProtect
from support.everywhere import KINDS, url_of_kind
from support.servers import Server

from holdfast import ConfigurationError
from holdfast.contrib.doctor import Report, Row, examine
from holdfast.contrib.doctor.checks import STATUSES, in_words
from holdfast.contrib.doctor.printing import lines_of
from holdfast.flask import Session
from holdfast.flask.interface import HoldfastInterface
from holdfast.flask.settings.profiles import PROFILES
from holdfast.records.encryption import new_key
from holdfast.stores.contract import Closes
from holdfast.stores.registry import open_store
from holdfast.testing import FailingStore

KEY = new_key()

every_profile = pytest.mark.parametrize("profile", PROFILES)

Make = Callable[..., Flask]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Return a function that makes an application with some settings. Its store is closed in the end."""
    made: list[Flask] = []

    def make_app(**config: Any) -> Flask:
        app = Flask("shop", instance_path=str(tmp_path), static_folder=None)
        app.config.update(config)
        Session(app)
        made.append(app)
        return app

    yield make_app
    for app in made:
        if isinstance(app.session_interface, HoldfastInterface):
            store = getattr(app.session_interface.manager, "store", None)  # sessions in cookies may have none
            if isinstance(store, Closes):
                store.close()


def doctor(app: Flask, *arguments: str) -> Result:
    """Run ``flask sessions doctor``."""
    return app.test_cli_runner().invoke(args=["sessions", "doctor", *arguments])


def row(app: Flask, name: str, profile: str | None = None) -> Row:
    """Return the row *name* of the report on *app*."""
    (found,) = [each for each in examine(app, profile=profile).rows if each.name == name]
    return found


def test_a_default_application_is_told_what_to_change(make: Make) -> None:
    """It fails the first level of ASVS, and each row that it fails says which line to change."""
    app = make()
    report = examine(app)
    assert report.profile == "asvs-l1"
    assert {each.name for each in report.with_status("not met")} == {
        "secure",
        "prefix",
        "same_site",
        "neutral_name",
        "https",
        "caching",
        "idle",
        "absolute",
    }
    assert all(each.change.startswith(("SESSION_", "PERMANENT_")) for each in report.with_status("not met"))
    assert doctor(app).exit_code == 1


def test_the_lines_to_change_are_enough(make: Make) -> None:
    """An application with every suggested line in its configuration passes."""
    lines = [each.change for each in examine(make()).with_status("not met")]
    config: dict[str, Any] = {}
    exec("\n".join(lines), config)  # noqa: S102  # the lines are ours
    del config["__builtins__"]
    assert doctor(make(**config)).exit_code == 0


@every_profile
def test_an_application_under_a_profile_passes_it(make: Make, profile: str) -> None:
    """The profile is enough: no change is left, and the exit code is 0."""
    app = make(SESSION_PROFILE=profile, SESSION_SEAL_KEYS=[KEY])
    result = doctor(app)
    assert (result.exit_code, examine(app).profile) == (0, profile)
    assert "0 not met" in result.output


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=marks) for kind, marks in KINDS.items()])
def test_every_store_that_keeps_an_index_passes(
    kind: str, make: Make, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """On every store the strictest profiles are enough, but for memcached, where no user's sessions can be found."""
    config: dict[str, Any] = {"SESSION_STORE": url_of_kind(kind, request, tmp_path), "SESSION_SEAL_KEYS": [KEY]}
    if kind == "memcached":
        config["SESSION_PROFILE_EXCEPT"] = ["SESSION_MAX_PER_USER"]
    app = make(SESSION_PROFILE="asvs-l3", **config)
    failed = {each.name for each in examine(app).with_status("not met")}
    assert failed == ({"end_all", "listed"} if kind == "memcached" else set())
    assert row(app, "answers").status == "met"


@every_profile
def test_a_default_application_passes_no_profile(make: Make, profile: str) -> None:
    """For any level, the report of a default application fails, and names the setting that fixes it."""
    result = doctor(make(), "--profile", profile)
    assert result.exit_code == 1
    assert f'SESSION_PROFILE = "{profile}"' in result.output


def test_another_profile_can_be_judged_by(make: Make) -> None:
    """An application of one level gets the missing settings of the next."""
    app = make(SESSION_PROFILE="asvs-l1")
    assert {each.name for each in examine(app, profile="asvs-l2").with_status("not met")} == {
        "idle",
        "absolute",
        "limited",
    }
    assert doctor(app, "--profile", "asvs-l4").exit_code == 2


def test_json_says_the_same(make: Make) -> None:
    """The JSON has the same rows, with their counts, and its exit code is the same."""
    app = make()
    result = doctor(app, "--json")
    data = json.loads(result.output)
    assert result.exit_code == 1
    assert data.keys() == {"profile", "title", "passes", "counts", "advice", "rows"}
    assert data["counts"].keys() == set(STATUSES)
    assert sum(data["counts"].values()) == len(data["rows"]) == len(examine(app).rows)
    for each in data["rows"]:
        assert each.keys() == {"area", "name", "requirements", "asks", "status", "found", "change"}
        assert all(isinstance(text, str) for text in each["requirements"])


@every_profile
def test_every_row_has_its_words(make: Make, profile: str) -> None:
    """Each row has the requirement as a sentence, and the value found; a row to fix has the change."""
    for config in ({}, {"SESSION_PROFILE": profile, "SESSION_SEAL_KEYS": [KEY]}):
        rows = examine(make(**config), profile=profile).rows
        assert len({(each.area, each.name) for each in rows}) == len(rows)
        for each in rows:
            assert each.asks.endswith(".")
            assert each.found
            assert bool(each.change) is (each.status in {"not met", "manual"})


@every_profile
def test_the_text_is_80_columns_wide(make: Make, profile: str) -> None:
    """Piped output fits 80 columns, and no line to change is broken."""
    report = examine(make(), profile=profile)
    lines = list(lines_of(report))
    assert max(map(len, lines)) <= 80
    for each in report.with_status("not met"):
        assert any(line.endswith(f"-> {each.change}") for line in lines)


def test_a_terminal_is_shown_a_table(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where rich is installed, a terminal of 80 columns is shown the same in a drawn table."""
    from holdfast.contrib.doctor import printing

    class Terminal:
        def __init__(self, stream: Any) -> None:
            self.stream = stream

        def __getattr__(self, name: str) -> Any:
            return getattr(self.stream, name)

        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")
    report = examine(make())
    with click.testing.CliRunner().isolation() as (out, *_):
        import sys

        monkeypatch.setattr(sys, "stdout", Terminal(sys.stdout))
        printing.print_report(report)
        monkeypatch.undo()
        text = out.getvalue().decode()
    assert "SESSION_COOKIE_SECURE = True" in text
    assert "Found, and the change to make" in text
    assert max(map(len, text.splitlines())) <= 80


HOST = {"SESSION_COOKIE_SECURE": True}


@pytest.mark.parametrize(
    ("name", "config", "status", "found"),
    [
        ("secure", {"SESSION_COOKIE_SECURE": True}, "met", "True"),
        ("prefix", {"SESSION_COOKIE_NAME": "__Host-Http-a", **HOST}, "met", "__Host-Http-a"),
        ("prefix", {"SESSION_COOKIE_NAME": "__Secure-a", **HOST}, "not met", "__Secure-a"),
        ("prefix", {"SESSION_COOKIE_NAME": "__Secure-a", **HOST, "SESSION_COOKIE_DOMAIN": "a.example"}, "met", "a"),
        ("prefix", {"SESSION_COOKIE_NAME": "a", "SESSION_COOKIE_DOMAIN": "a.example"}, "not met", "'a'"),
        ("http_only", {"SESSION_COOKIE_HTTPONLY": False}, "not met", "False"),
        ("same_site", {"SESSION_COOKIE_SAMESITE": "Strict"}, "met", "'Strict'"),
        ("same_site", {"SESSION_COOKIE_SAMESITE": "None", **HOST}, "manual", "'None'"),
        ("scope", {"SESSION_COOKIE_DOMAIN": "a.example"}, "manual", "'a.example'"),
        ("scope", {"SESSION_COOKIE_PATH": "/a"}, "met", "'/a'"),
        ("neutral_name", {"SESSION_COOKIE_NAME": "flask-id"}, "not met", "flask-id"),
        ("neutral_name", {"SESSION_COOKIE_NAME": "id"}, "met", "'id'"),
        ("size", {"SESSION_USE_SIGNER": True, "SECRET_KEY": KEY}, "met", "78 bytes"),
        ("size", {"SESSION_COOKIE_NAME": 4060 * "a"}, "not met", "4103 bytes"),
        ("not_persistent", {"SESSION_PERMANENT": True}, "not met", "True"),
        ("csrf", {}, "manual", "no CSRFProtect"),
        ("idle", {"PERMANENT_SESSION_LIFETIME": timedelta(days=30)}, "met", "30 days; at most 30 days"),
        ("idle", {"PERMANENT_SESSION_LIFETIME": 30 * 86_400 + 1}, "not met", "at most 30 days"),
        ("absolute", {"SESSION_ABSOLUTE_LIFETIME": 30 * 86_400}, "met", "30 days"),
        ("absolute", {"SESSION_ABSOLUTE_LIFETIME": timedelta(days=31)}, "not met", "31 days"),
        ("renewal", {"SESSION_RENEWAL_INTERVAL": 60}, "met", "60"),
        ("new_at_login", {}, "manual", "no Flask-Login"),
        ("sealed", {}, "not applicable", "not required"),
        ("sealed", {"SESSION_SEAL_KEYS": [KEY]}, "met", "'keys'"),
        ("sealed", {"SESSION_SEAL": "mac", "SESSION_SEAL_KEYS": [KEY]}, "not applicable", "'mac'"),
        ("secret_key", {}, "not applicable", "not set"),
        ("secret_key", {"SECRET_KEY": "changeme"}, "not met", "SECRET_KEY: "),
        ("secret_key", {"SECRET_KEY": KEY, "SECRET_KEY_FALLBACKS": ["dev"]}, "not met", "SECRET_KEY_FALLBACKS[0]: "),
        ("secret_key", {"SECRET_KEY": KEY}, "met", "published"),
        ("clearing", {}, "manual", "the cookie is deleted"),
    ],
)
def test_a_setting_is_judged(make: Make, name: str, config: dict[str, Any], status: str, found: str) -> None:
    """The row is met or not by the value that the application has, and shows it."""
    judged = row(make(**config), name)
    assert judged.status == status
    assert found in judged.found


@pytest.mark.parametrize(
    ("name", "profile", "status"),
    [
        ("sealed", "asvs-l3", "not met"),
        ("renewal", "nist-aal3", "not met"),
        ("clearing", "asvs-l3", "not met"),
        ("limited", "asvs-l2", "not met"),
        ("written_down", "asvs-l2", "manual"),
        ("step_up", "asvs-l3", "manual"),
    ],
)
def test_a_higher_level_asks_for_more(make: Make, name: str, profile: str, status: str) -> None:
    """A requirement that does not apply at the first level does at a higher one."""
    assert row(make(), name, profile).status == status


def test_the_key_is_not_printed(make: Make) -> None:
    """A weak key's row says why it is weak, and not what it is."""
    result = doctor(make(SECRET_KEY="correct-horse"))
    assert "shorter than 32 bytes" in result.output
    assert "correct-horse" not in result.output


def test_extensions_that_do_the_work_are_seen(make: Make) -> None:
    """Flask-Login's logins and Flask-WTF's guard against CSRF count as met."""
    app = make(SECRET_KEY=KEY)
    LoginManager(app)
    CSRFProtect(app)
    assert {row(app, name).status for name in ("new_at_login", "csrf")} == {"met"}


def test_a_limit_that_is_left_out_on_purpose_is_for_people(make: Make) -> None:
    """An exception from the limit on a user's sessions is to be written down, as ASVS asks."""
    app = make(SESSION_PROFILE="asvs-l2", SESSION_PROFILE_EXCEPT=["SESSION_MAX_PER_USER"])
    assert row(app, "limited").status == "manual"
    assert doctor(app).exit_code == 0


def test_settings_that_contradict_each_other_later_are_seen(make: Make) -> None:
    """A change after the start, so that browsers drop the cookie, is reported."""
    app = make(SESSION_PROFILE="asvs-l1")
    app.config["SESSION_COOKIE_PATH"] = "/x"
    judged = row(app, "kept")
    assert (judged.status, judged.found) == ("not met", "SESSION_COOKIE_PATH is '/x'")
    assert "Set SESSION_COOKIE_PATH to '/'" in judged.change


def test_flasks_own_cookie_is_judged_too(make: Make) -> None:
    """With SESSION_TYPE 'null' logout, timeouts and finding a user's sessions are not met, and the rest is judged."""
    app = make(SESSION_TYPE="null", SECRET_KEY=KEY)
    failed = {each.name for each in examine(app).with_status("not met")}
    assert {"logout", "idle", "absolute", "end_all", "new_at_login"} <= failed
    assert row(app, "answers").status == "not applicable"


def test_a_client_side_session_needs_a_place_for_what_was_ended(make: Make) -> None:
    """With ``cookie://`` a logout counts once there is a store of revocations."""
    app = make(SESSION_STORE="cookie://", SECRET_KEY=KEY)
    assert row(app, "logout").status == "not met"
    revoking = make(SESSION_STORE="cookie://", SECRET_KEY=KEY, SESSION_REVOCATION_STORE="memory://")
    assert row(revoking, "logout").status == "met"


@pytest.mark.memcached
def test_a_store_of_revocations_that_evicts(make: Make, memcached_server: Server) -> None:
    """It is examined as a store of sessions is; what it evicts would let ended sessions work again."""
    revocations = FailingStore(open_store(memcached_server.url))
    app = make(SESSION_STORE="cookie://", SECRET_KEY=KEY, SESSION_REVOCATION_STORE=revocations)
    assert row(app, "answers").status == "met"
    assert row(app, "eviction").status == "not met"
    with revocations.outage():
        assert row(app, "answers").status == "not met"


def test_a_store_that_is_down_is_told(make: Make) -> None:
    """Without an answer the report is complete, with two rows about it; no exception is raised."""
    store = FailingStore(open_store("memory://"))
    app = make(SESSION_STORE=store, SESSION_PROFILE="asvs-l1")
    with store.outage():
        result = doctor(app)
        assert {row(app, name).status for name in ("answers", "examined")} == {"not met"}
    assert result.exit_code == 1
    assert "start the server" in result.output


def test_a_store_of_ones_own_is_judged_by_what_it_can(make: Make) -> None:
    """A store with the five methods alone has no findings."""

    class Minimal:
        def __init__(self) -> None:
            inner = open_store("memory://")
            self.load, self.create, self.replace = inner.load, inner.create, inner.replace
            self.touch, self.delete = inner.touch, inner.delete

    app = make(SESSION_STORE=Minimal())
    assert [each.name for each in examine(app).rows if each.area == "Store"] == ["answers", "namespace"]
    assert row(app, "answers").status == "manual"
    assert row(app, "end_all").status == "not met"


@pytest.mark.parametrize(
    ("config", "status"),
    [
        ({}, "met"),
        ({"SESSION_STORE": "cookie://"}, "not met"),
        ({"SESSION_STORE": "cookie://", "SESSION_REVOCATION_STORE": "memory://"}, "met"),
    ],
)
def test_remember_me_cookies(make: Make, config: dict[str, Any], status: str) -> None:
    """They are asked about where Flask-Login is found; an end of all must reach them."""
    app = make(SECRET_KEY="made up for tests: B7u-q2Xn_fLw90Rk", **config)
    assert row(app, "remembered").status == "not applicable"
    LoginManager(app)
    assert row(app, "remembered").status == status


def test_the_namespace_of_an_application(make: Make) -> None:
    """The default namespace is for a person to judge: another application on the store would be the same one."""
    found = row(make(), "namespace")
    assert (found.status, found.change) == ("manual", "SESSION_KEY_PREFIX = 'shop:'")
    assert row(make(SESSION_KEY_PREFIX="bank:"), "namespace").status == "met"


def test_an_application_without_sessions_is_refused() -> None:
    """Before Session(app) there is nothing to check."""
    with pytest.raises(ConfigurationError, match=r"call Session\(app\)"):
        examine(Flask("bare"))


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (timedelta(days=1), "1 day"),
        (timedelta(hours=36), "36 hours"),
        (timedelta(minutes=90), "90 minutes"),
        (timedelta(seconds=90), "90 seconds"),
        (timedelta(days=400), "400 days"),
    ],
)
def test_spans_are_told_as_people_say_them(span: timedelta, words: str) -> None:
    """A span is in the largest unit of which there are two, or exactly one."""
    assert in_words(span) == words


def test_a_report_passes_unless_something_is_not_met() -> None:
    """Rows that are for people, or not applicable, let it pass."""
    rows = tuple(Row("A", status, (), "asks.", status, "found", "") for status in STATUSES)
    assert not Report("p", "title", rows).passes
    assert Report("p", "title", tuple(each for each in rows if each.status != "not met")).passes


def test_an_open_migration_window_is_not_met(make: Make) -> None:
    """While records that are not sealed are read, the store's data are not protected, in any profile."""
    for until, status in (("9999-01-01T00:00:00Z", "not met"), ("2020-01-01T00:00:00Z", "met")):
        app = make(SESSION_PROFILE="asvs-l3", SESSION_SEAL_KEYS=[KEY], SESSION_SEAL_MIGRATE_UNTIL=until)
        assert row(app, "sealed").status == status

"""Charts of what a store holds, as tables with bars."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest
from support.desk import Desk, sign_in
from support.markup import Element, parse
from support.requests import set_metadata
from support.web import Web

from holdfast.contrib.operator_page.charts import Chart, charts_of
from holdfast.flask import session
from holdfast.sessions.flows.stats import SessionStats


def drawn(*bars: tuple[str, int], title: str = "By device") -> Element:
    """Return a chart with *bars*, as the operator's pages draw it."""
    desk = Desk(Web())
    with desk.web.app.test_request_context("/operator/"):
        template = desk.web.app.jinja_env.get_template("holdfast/operator/charts.html")
        return parse(template.render(charts=[Chart(title, bars)])).one("div", class_="hf-chart")


def test_bars_have_names_and_numbers() -> None:
    """Each row has its whole name, a bar in proportion, at least one hundredth long, and its number."""
    long = "Some Browser With A Very Long Name on Some System"
    chart = drawn((long, 1_234_567), ("other", 3), ("none", 0))
    rows = chart.one("tbody").all("tr")
    assert [row.one("th").text for row in rows] == [long, "other", "none"]
    assert [row.all("td")[1].text for row in rows] == ["1,234,567", "3", "0"]
    assert [float(bar["width"]) for bar in chart.all("rect")] == [100, 1]


def test_a_chart_of_nothing_says_so() -> None:
    """Without bars there is a word in their place."""
    assert drawn().one("tbody").text == "none"


def test_a_chart_is_a_table_for_who_does_not_see_it() -> None:
    """It has a caption and headings; a bar says nothing that the number does not."""
    chart = drawn(("c", 1), ("d", 2))
    assert chart.one("caption").text == "By device"
    assert all(heading["scope"] == "col" for heading in chart.one("thead").all("th"))
    assert all(heading["scope"] == "row" for heading in chart.one("tbody").all("th"))
    assert {image["aria-hidden"] for image in chart.all("svg")} == {"true"}


def test_names_are_text() -> None:
    """A name that looks like markup is shown as it is, in each place."""
    name = "<script>&amp;\"'"
    chart = drawn((name, 1), title=name)
    assert not chart.all("script")
    assert chart.one("caption").text == name
    heading = chart.one("tbody").one("th")
    assert (heading.text, heading["title"]) == (name, name)


def test_hostile_devices_are_escaped_in_charts() -> None:
    """A device that says it is markup is text in the table and in the chart."""
    desk = Desk(Web())

    def view() -> None:
        session.bind("ada")
        set_metadata(session, "browser", "<b>&amp;")

    desk.web.do(view)
    page = desk.text("/operator/")
    assert "<b>&amp;" not in page
    assert page.count("&lt;b&gt;&amp;amp;") >= 3


def test_a_page_of_sessions_and_a_breakdown_have_the_same_charts() -> None:
    """Both show users, devices, ages and last uses of what they have counted."""
    desk = Desk(Web())
    sign_in(desk.web)
    for text in (desk.text("/operator/"), desk.send("/operator/breakdown", most="10000").text):
        page = parse(text)
        assert [one.text for one in page.all("caption")] == [
            "By user",
            "By device",
            "By age",
            "By the time since their last use",
        ]
        devices = page.all("div", class_="hf-chart")[1].one("tbody")
        assert [row.text for row in devices.all("tr")] == ["Firefox on Linux 1", "not known 1"]


def test_a_breakdown_shows_the_most_and_sums_up_the_rest() -> None:
    """Ten users and devices are shown, shortened, and the others are one bar; no owner value is whole."""
    stats = SessionStats(sessions=111, bound=78)
    assert charts_of(stats)[0].bars == [("no user", 33)], "owners are not distinguished"
    stats.devices.update({f"device {number}": number for number in range(1, 13)})
    stats.owners = stats.devices.__class__({f"{number:064x}"[::-1]: number for number in range(1, 13)})
    users, devices, *_ = charts_of(stats)
    assert ("other users", 3) in users.bars
    assert [*devices.bars][-2:] == [("other devices", 3), ("not known", 33)]
    assert not any(re.search(r"[0-9a-f]{13}", name) for name, _ in users.bars)


# --- colours ---------------------------------------------------------------------------------------------------------


def _styles() -> tuple[dict[str, str], dict[str, str]]:
    """Return the colours of the stylesheet by name, in light and in dark."""
    sheet = (files("holdfast.contrib.pages") / "static/holdfast.css").read_text("utf-8")
    before, _, after = sheet.partition("@media (prefers-color-scheme: dark)")
    light, dark = (dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", part)) for part in (before, after))
    return light, dark


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("colours", _styles(), ids=["light", "dark"])
def test_bars_stand_out(colours: dict[str, str]) -> None:
    """Bars have a contrast of at least 3 to 1 with the card, as WCAG 2.2 asks of graphics, and text 4.5 to 1."""
    for name, least in (("accent", 3), ("soft", 4.5)):
        low, high = sorted(_luminance(colours[which]) for which in (name, "card"))
        assert (high + 0.05) / (low + 0.05) >= least

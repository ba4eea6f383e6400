"""Charts as SVG: what they show, to everyone, with no points, one, and sixty."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from importlib.resources import files

import pytest
from markupsafe import Markup
from support.markup import Element, parse

from holdfast.contrib.pages.charts import MOST_SERIES, Plot, Series, figure, lines, rows, scale, stacks
from holdfast.contrib.pages.figures import Numbers, breakdown
from holdfast.metrics.memory import InMemoryMetrics
from holdfast.sessions.flows import Survey
from holdfast.testing import FakeClock

BEGAN = 1_800_000_000_000
MINUTE = 60_000

over_time = pytest.mark.parametrize("draw", [lines, stacks])
Draw = Callable[[Plot], Markup]


def plot(*values: Sequence[float | None]) -> Plot:
    """Return what a chart of these series shows."""
    moments = [BEGAN + at * MINUTE for at in range(len(values[0]) if values else 0)]
    series = [Series(f"series {number}", one, "of note") for number, one in enumerate(values)]
    return Plot("a-chart", "A title", "per minute", moments, series)


def inside(chart: Markup) -> None:
    """Fail unless everything that a chart draws is inside of it, and is a number."""
    _, _, width, height = map(float, parse(chart).all("svg")[0]["viewbox"].split())
    drawn = parse(chart).all("svg")[0]
    for element in drawn.walk():
        at = element.attributes
        for x in ("x", "cx"):
            assert 0 <= float(at.get(x, 0)) <= width, element.tag
        for y in ("y", "cy"):
            assert 0 <= float(at.get(y, 0)) <= height, element.tag
        if element.tag == "rect":
            assert float(at["x"]) + float(at["width"]) <= width
            assert float(at["y"]) + float(at["height"]) <= height
            assert float(at["width"]) > 0
        for number in re.findall(r"-?[\d.]+", at.get("d", "")):
            assert 0 <= float(number) <= width


def words(chart: Markup) -> str:
    """Return the description that a screen reader reads."""
    return parse(chart).one("desc").text


def marks(chart: Markup, tag: str, kind: str) -> list[Element]:
    """Return what is drawn of a kind, without the legend."""
    return parse(chart).all("svg")[0].all(tag, class_=f"hf-{kind}")


# --- what they show --------------------------------------------------------------------------------------------------


@over_time
@pytest.mark.parametrize("count", [1, 2, 7, 60, 1440])
def test_any_number_of_points_is_drawn(draw: Draw, count: int) -> None:
    """From one point to a day of minutes, everything is within the frame, and the times are along the axis."""
    values = [(at * 7) % 23 for at in range(count)]
    chart = draw(plot(values, values[::-1]))
    inside(chart)
    assert "08:00 UTC" in chart
    assert f"series 0: at most {max(values)}" in words(chart)


@over_time
def test_nothing_is_drawn_as_nothing(draw: Draw) -> None:
    """Without points, or without series, the chart says that there is nothing yet."""
    for chart in (draw(plot()), draw(plot([]))):
        assert "nothing yet" in chart
        assert words(chart) == "There is nothing to show."
        assert not parse(chart).all("table")
        inside(chart)


@over_time
def test_only_zeros_lie_on_the_axis(draw: Draw) -> None:
    """Where nothing happened the axis goes to 1, and no number is divided by zero."""
    chart = draw(plot([0] * 60))
    inside(chart)
    assert "at most 0" in words(chart)
    assert not marks(chart, "rect", "bar")


def test_a_line_has_gaps() -> None:
    """Where there is no value the line is broken, and one value between two gaps is a dot."""
    chart = lines(plot([1, 2, None, 3, None, 4, 5]))
    assert len(marks(chart, "path", "line")) == 2
    assert len(marks(chart, "circle", "dot")) == 1


def test_a_line_without_values() -> None:
    """A series that has no value at all is in the legend, and is told to have nothing."""
    chart = lines(plot([None, None], [1, 2]))
    assert "series 0: nothing" in words(chart)
    assert len(marks(chart, "path", "line")) == 1


def test_stacks_stand_on_each_other() -> None:
    """Each part of a bar begins where the one below ends, and a part of nothing is left out."""
    chart = stacks(plot([1], [0], [3]))
    low, high = marks(chart, "rect", "bar")
    assert float(high["y"]) + float(high["height"]) == pytest.approx(float(low["y"]))
    assert float(high["height"]) == pytest.approx(3 * float(low["height"]), abs=0.2)


def test_rows_have_names_and_numbers() -> None:
    """Each row has its name, its bar and its number; a long name is cut in the picture and whole in the table."""
    long = "Some Browser With A Very Long Name on Some System"
    chart = rows("a-chart", "By device", "sessions", [(long, 1200), ("other", 3), ("none", 0)])
    inside(chart)
    drawn = [text.text for text in parse(chart).all("text")]
    assert "1,200" in drawn
    assert long not in drawn
    assert [cell.text for cell in parse(chart).one("tbody").all("th")] == [long, "other", "none"]
    assert len(marks(chart, "rect", "bar")) == 2
    inside(rows("a-chart", "By device", "sessions", []))


@pytest.mark.parametrize(
    ("highest", "top", "count"),
    [(0, 1, 2), (1, 1, 2), (3, 3, 4), (4, 4, 5), (7, 8, 5), (23, 30, 4), (100, 100, 3), (1.0, 1, 3), (0.003, 0.003, 4)],
)
def test_an_axis_has_few_round_numbers(highest: float, top: float, count: int) -> None:
    """An axis ends at or above the highest value, and has from two to six numbers."""
    end, ticks = scale(highest)
    assert end == pytest.approx(top)
    assert ticks[-1] == pytest.approx(end)
    assert len(ticks) == count
    assert end >= highest


@pytest.mark.parametrize("highest", [10.0**power * factor for power in range(-6, 9) for factor in (1, 1.7, 3, 9.99)])
def test_an_axis_fits_any_number(highest: float) -> None:
    """Whatever the highest value, it fits, fills at least half of the axis, and there are at most six numbers."""
    end, ticks = scale(highest)
    assert highest <= end * (1 + 1e-9) <= highest * 2 * (1 + 1e-9)
    assert 2 <= len(ticks) <= 6


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (7, "7"), (1200, "1,200"), (0.25, "0.25"), (0.123456, "0.123"), (1_234_567, "1.23M"), (2e9, "2G")],
)
def test_numbers_are_short(value: float, text: str) -> None:
    """Numbers are written so that people can read them."""
    assert figure(value) == text


def test_there_are_as_many_series_as_colours() -> None:
    """A sixth series would look like the first."""
    with pytest.raises(ValueError, match="5 series at most"):
        plot(*[[1]] * (MOST_SERIES + 1))


# --- to everyone -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chart", [lines(plot([1, 2])), stacks(plot([1, 2])), rows("a-chart", "A", "b", [("c", 1)])])
def test_a_chart_is_there_for_who_does_not_see_it(chart: Markup) -> None:
    """The picture has a title and a description, by their ids, and the numbers are in a table with headings."""
    image = parse(chart).all("svg")[0]
    assert image["role"] == "img"
    assert image["aria-labelledby"].split() == [image.one("title")["id"], image.one("desc")["id"]]
    assert parse(chart).one("figcaption").text
    table = parse(chart).one("table")
    assert all(heading["scope"] == "col" for heading in table.one("thead").all("th"))
    assert all(heading["scope"] == "row" for heading in table.one("tbody").all("th"))
    assert "style" not in {name for element in parse(chart).walk() for name in element.attributes}


@over_time
def test_names_are_text(draw: Draw) -> None:
    """A name that looks like markup is shown as it is, in each place."""
    name = "<script>&amp;\"'"
    chart = draw(Plot("a-chart", name, name, [BEGAN, BEGAN + MINUTE], [Series(name, [1, 2], name)]))
    for made in (chart, rows("a-chart", name, name, [(name, 1)])):
        assert "<script" not in made
        assert name in parse(made).one("figcaption").text
        assert name in parse(made).one("table").text


def _styles() -> tuple[dict[str, str], dict[str, str]]:
    """Return the colours of the stylesheets by name, in light and in dark."""
    light: dict[str, str] = {}
    dark: dict[str, str] = {}
    for name in ("holdfast.css", "operator.css"):
        sheet = (files("holdfast.contrib.pages") / "static" / name).read_text("utf-8")
        before, _, after = sheet.partition("@media (prefers-color-scheme: dark)")
        light.update(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", before))
        dark.update(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", after))
    return light, dark


def _linear(colour: str) -> list[float]:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    return [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]


def _contrast(one: str, other: str) -> float:
    low, high = sorted(
        sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), _linear(colour), strict=True))
        for colour in (one, other)
    )
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("colours", _styles(), ids=["light", "dark"])
def test_series_stand_out(colours: dict[str, str]) -> None:
    """Every series has a contrast of at least 3 to 1 with the card, as WCAG 2.2 asks of graphics, and text 4.5 to 1."""
    for number in range(1, MOST_SERIES + 1):
        assert _contrast(colours[f"s{number}"], colours["card"]) >= 3
    assert _contrast(colours["soft"], colours["card"]) >= 4.5


#: What who lacks one kind of cones sees of red, green and blue light: Machado, Oliveira and Fernandes (2009).
BLINDNESS = {
    "none": [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}


@pytest.mark.parametrize("kind", BLINDNESS)
@pytest.mark.parametrize("colours", _styles(), ids=["light", "dark"])
def test_series_differ_to_who_sees_fewer_colours(colours: dict[str, str], kind: str) -> None:
    """Any two series differ visibly, to who sees all colours and to who does not, besides their dashes."""

    def seen(colour: str) -> list[float]:
        light = _linear(colour)
        parts = [sum(a * b for a, b in zip(row, light, strict=True)) for row in BLINDNESS[kind]]
        return _lab([min(max(part, 0), 1) for part in parts])

    for one, other in itertools.combinations(range(1, MOST_SERIES + 1), 2):
        difference = sum(
            (a - b) ** 2 for a, b in zip(seen(colours[f"s{one}"]), seen(colours[f"s{other}"]), strict=True)
        )
        assert difference**0.5 >= 20, (one, other)


def _lab(linear: list[float]) -> list[float]:
    """Return a colour in CIE L*a*b*, where distances are about as large as they look."""
    matrix = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    x, y, z = (sum(a * b for a, b in zip(row, linear, strict=True)) for row in matrix)
    fx, fy, fz = (t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116 for t in (x / 0.95047, y, z / 1.08883))
    return [116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)]


# --- of a tally ------------------------------------------------------------------------------------------------------


def test_numbers_of_an_empty_tally() -> None:
    """A tally that has just begun is all charts and totals, without a latency."""
    numbers = Numbers(InMemoryMetrics(clock=FakeClock()).snapshot())
    assert len(numbers.charts) == 8
    assert numbers.latencies == []
    assert {(total.lately, total.ever) for total in numbers.totals} == {(0, 0)}


def test_numbers_of_an_hour_and_before() -> None:
    """What happened before the history is in the totals alone; latencies tell no more than their buckets do."""
    clock = FakeClock()
    tally = InMemoryMetrics(minutes=10, clock=clock)
    tally.count("ended", "logout")
    clock.advance(3600)
    for outcome in ("saved", "merged"):
        tally.count("saves", outcome)
    for seconds in (0.00002, 0.003, 9.0):
        tally.timed("load", seconds, "ok")
    tally.timed("create", 0.00002, "unavailable")
    numbers = Numbers(tally.snapshot())
    totals = {total.meaning: (total.lately, total.ever) for total in numbers.totals}
    assert totals["Sessions ended"] == (0, 1)
    assert totals["Sessions at the end of a request that used them"] == (2, 2)
    load, create = numbers.latencies
    assert (load.operation, load.calls, load.errors, load.p99) == ("load", "3", "0", "over 5 s")
    assert (create.errors, create.mean, create.p95) == ("1", "0.02 ms", "under 0.1 ms")
    assert "load" in words(numbers.charts[-1])


def test_a_breakdown_shows_the_most_and_sums_up_the_rest() -> None:
    """Ten users and devices are shown, shortened, and the others are one row; no owner value is whole."""
    survey = Survey(sessions=111, bound=78)
    assert words(breakdown(survey)[0]).endswith("no user: 33"), "owners are not told apart"
    survey.devices.update({f"device {number}": number for number in range(1, 13)})
    survey.owners = survey.devices.__class__({f"{number:064x}"[::-1]: number for number in range(1, 13)})
    users, devices, *_ = breakdown(survey)
    assert "other users: 3" in words(users)
    assert "other devices: 3. not known: 33" in words(devices)
    assert not re.search(r"[0-9a-f]{13}", parse(users).text)

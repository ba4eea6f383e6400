"""Charts as inline SVG, each in a figure with a legend and with its numbers as a table.

There is no script and no inline style: colours and strokes are classes of the stylesheet, told apart by dashes and
shades too. What a chart shows is also in words, in the description that a screen reader reads.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Literal, TypeAlias

from markupsafe import Markup

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

Kind: TypeAlias = Literal["line", "bar"]

#: What a line or a bar looks like in a legend.
_SAMPLES: Mapping[Kind, str] = {"line": "M0 5H24", "bar": "M0 0H24V10H0Z"}

_LEFT_OUT = "Times at which there was nothing are left out."

#: As many series as there are colours.
MOST_SERIES = 5

_WIDTH, _HEIGHT = 380, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 372, 24, 164

#: The widest bar over time.
_WIDEST = 40

#: A chart of rows: how high a row is, where its bar begins, and how long it can be.
_ROW, _BEGIN, _LONGEST = 26, 160, 150

#: About as many characters as fit in front of a bar.
_FITS = 24


@dataclass(frozen=True, slots=True)
class Series:
    """A row of numbers, one for each moment; None where there is none. *note* is what the legend says after *name*."""

    name: str
    values: Sequence[float | None]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Plot:
    """What a chart over time shows.

    Attributes:
        ident: What no other chart of the page has.
        title: What it is about.
        unit: What is counted.
        moments: When, in milliseconds since the epoch.
        series: At most `MOST_SERIES`, each with a number for each moment.
    """

    ident: str
    title: str
    unit: str
    moments: Sequence[int]
    series: Sequence[Series]

    def __post_init__(self) -> None:
        if len(self.series) > MOST_SERIES:
            raise ValueError(f"a chart shows {MOST_SERIES} series at most, not {len(self.series)}")

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to show."""
        return not self.moments or not self.series


def lines(plot: Plot) -> Markup:
    """Return a chart with a line for each series."""
    top, ticks = scale(max((value for one in plot.series for value in one.values if value is not None), default=0))
    drawn = [
        mark for number, one in enumerate(plot.series, 1) for mark in _line(number, one.values, len(plot.moments), top)
    ]
    return _over_time(plot, ticks, drawn, "line")


def stacks(plot: Plot) -> Markup:
    """Return a chart with a bar for each moment, made up of what each series has."""
    totals = [sum(one.values[at] or 0 for one in plot.series) for at in range(len(plot.moments))]
    top, ticks = scale(max(totals, default=0))
    drawn = []
    for at in range(len(plot.moments)):
        x, below = _place(at, len(plot.moments), "bar"), 0.0
        width = min((_RIGHT - _LEFT) / len(plot.moments) * 0.8, _WIDEST)
        for number, one in enumerate(plot.series, 1):
            if value := one.values[at]:
                y, height = _height(below + value, top), value / top * (_BOTTOM - _TOP)
                drawn.append(
                    _tag("rect", _class=f"hf-bar hf-s{number}", x=x - width / 2, y=y, width=width, height=height)
                )
                below += value
    return _over_time(plot, ticks, drawn, "bar")


def rows(ident: str, title: str, unit: str, numbers: Sequence[tuple[str, float]]) -> Markup:
    """Return a chart with a bar for each name of *numbers*, one below the other in their order. See `Plot`."""
    top = max((value for _, value in numbers), default=0) or 1
    drawn: list[Markup] = []
    for at, (name, value) in enumerate(numbers):
        middle = at * _ROW + _ROW / 2
        drawn.append(_text(_BEGIN - 8, middle + 4, _cut(name), anchor="end"))
        length = value / top * _LONGEST
        if value:
            drawn.append(_tag("rect", _class="hf-bar hf-s1", x=_BEGIN, y=middle - 8, width=max(length, 1), height=16))
        drawn.append(_text(_BEGIN + length + 6, middle + 4, figure(value)))
    words = ". ".join(f"{name}: {figure(value)}" for name, value in numbers) or "There is nothing to show."
    image = _image(ident, title, f"{unit}. {words}", len(numbers) * _ROW or _ROW, drawn or [_nothing(_ROW / 2)])
    table = _table(["", unit], [(name, figure(value)) for name, value in numbers])
    return _figure(title, image, Markup(), table)


def scale(highest: float) -> tuple[float, list[float]]:
    """Return where an axis for numbers up to *highest* ends, and the numbers to write along it: round, at most six.

    They are whole where *highest* is an int.
    """
    if highest <= 0:
        return 1.0, [0.0, 1.0]
    rough = max(highest / 4, 1) if isinstance(highest, int) else highest / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    count = math.ceil(highest / step - 1e-9)
    return step * count, [step * number for number in range(count + 1)]


def figure(value: float) -> str:
    """Return a number for people: ``1,200``, ``0.25``, and ``1.2M`` where it is long."""
    for limit, letter in ((1e9, "G"), (1e6, "M")):
        if value >= limit:
            return f"{value / limit:.3g}{letter}"
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def clock(moment: int) -> str:
    """Return the time of day, in UTC, of *moment*, in milliseconds since the epoch."""
    return f"{_EPOCH + timedelta(milliseconds=moment):%H:%M}"


def _line(number: int, values: Sequence[float | None], count: int, top: float) -> Iterable[Markup]:
    """Draw one line, with a gap where there is no value, and a dot where there is one alone."""
    points: list[tuple[str, str]] = []
    for at, value in enumerate([*values, None]):
        if value is not None:
            points.append((_short(_place(at, count, "line")), _short(_height(value, top))))
        elif points:
            if len(points) == 1:
                yield _tag("circle", _class=f"hf-dot hf-s{number}", cx=points[0][0], cy=points[0][1], r=3)
            else:
                yield _tag("path", _class=f"hf-line hf-s{number}", d="M" + "L".join(map(" ".join, points)))
            points = []


def _over_time(plot: Plot, ticks: Sequence[float], drawn: Sequence[Markup], kind: Kind) -> Markup:
    inside = [_nothing(_HEIGHT / 2)] if plot.is_empty else [*_axes(plot, ticks, kind), *drawn]
    numbers = [
        (clock(moment), *("" if one.values[at] is None else figure(one.values[at] or 0) for one in plot.series))
        for at, moment in enumerate(plot.moments)
        if any(one.values[at] for one in plot.series)
    ]
    table = _table(["Time (UTC)", *(one.name for one in plot.series)], numbers, note=_LEFT_OUT)
    image = _image(plot.ident, plot.title, _in_words(plot), _HEIGHT, inside)
    return _figure(plot.title, image, _legend(plot.series, kind), table)


def _axes(plot: Plot, ticks: Sequence[float], kind: Kind) -> Iterable[Markup]:
    yield _text(0, 12, plot.unit)
    for tick in ticks:
        y = _height(tick, ticks[-1])
        yield _tag("path", _class="hf-axis" if tick == 0 else "hf-grid", d=f"M{_LEFT} {_short(y)}H{_RIGHT}")
        yield _text(_LEFT - 6, y + 4, figure(tick), anchor="end")
    last = len(plot.moments) - 1
    for at in sorted({0, round(last / 3), round(last * 2 / 3), last}):
        anchor = "middle" if last == 0 or 0 < at < last else "end" if at else "start"
        words = clock(plot.moments[at]) + (" UTC" if at == 0 else "")
        yield _text(_place(at, last + 1, kind), _BOTTOM + 18, words, anchor=anchor)


def _in_words(plot: Plot) -> str:
    if plot.is_empty:
        return "There is nothing to show."
    told = [f"{plot.unit}, from {clock(plot.moments[0])} to {clock(plot.moments[-1])} UTC"]
    for one in plot.series:
        known = [value for value in one.values if value is not None]
        most = f"at most {figure(max(known))}, at last {figure(known[-1])}" if known else "nothing"
        told.append(f"{one.name}: {most}")
    return ". ".join(told) + "."


def _place(at: int, count: int, kind: Kind) -> float:
    """Return where a moment is from left to right: a line goes from edge to edge, a bar has a slot of its own."""
    if kind == "bar" or count == 1:
        return _LEFT + (_RIGHT - _LEFT) * (at + 0.5) / count
    return _LEFT + (_RIGHT - _LEFT) * at / (count - 1)


def _height(value: float, top: float) -> float:
    return _BOTTOM - value / top * (_BOTTOM - _TOP)


# --- markup ----------------------------------------------------------------------------------------------------------


def _figure(title: str, image: Markup, legend: Markup, table: Markup) -> Markup:
    numbers = Markup("<details><summary>In numbers</summary>{}</details>").format(table) if table else ""
    return Markup('<figure class="hf-chart"><figcaption>{}</figcaption>{}{}{}</figure>').format(
        title, image, legend, numbers
    )


def _image(ident: str, title: str, words: str, height: float, inside: Iterable[Markup]) -> Markup:
    return Markup(
        '<svg viewBox="0 0 {width} {height}" role="img" aria-labelledby="{id}-title {id}-words">'
        '<title id="{id}-title">{title}</title><desc id="{id}-words">{words}</desc>{inside}</svg>'
    ).format(width=_WIDTH, height=_short(height), id=ident, title=title, words=words, inside=Markup().join(inside))


def _legend(series: Sequence[Series], kind: Kind) -> Markup:
    entries = (
        Markup('<li><svg viewBox="0 0 24 10" aria-hidden="true">{}</svg> {}{}</li>').format(
            _tag("path", _class=f"hf-{kind} hf-s{number}", d=_SAMPLES[kind]),
            one.name,
            Markup(" <b>{}</b>").format(one.note) if one.note else "",
        )
        for number, one in enumerate(series, 1)
    )
    return Markup('<ul class="hf-legend">{}</ul>').format(Markup().join(entries)) if series else Markup()


def _table(headings: Sequence[str], numbers: Sequence[Sequence[str]], *, note: str = "") -> Markup:
    if not numbers:
        return Markup()
    head = Markup().join(Markup('<th scope="col">{}</th>').format(heading) for heading in headings)
    body = Markup().join(
        Markup('<tr><th scope="row">{}</th>{}</tr>').format(
            first, Markup().join(Markup("<td>{}</td>").format(cell) for cell in rest)
        )
        for first, *rest in numbers
    )
    return Markup(
        '<div class="hf-scroll" tabindex="0" role="group" aria-label="In numbers">'
        "<table>{}<thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>"
    ).format(Markup("<caption>{}</caption>").format(note) if note else "", head, body)


def _text(x: float, y: float, text: str, *, anchor: str = "start") -> Markup:
    return Markup('<text x="{}" y="{}" text-anchor="{}">{}</text>').format(_short(x), _short(y), anchor, text)


def _nothing(y: float) -> Markup:
    return _text(_WIDTH / 2, y, "nothing yet", anchor="middle")


def _tag(name: str, /, **attributes: object) -> Markup:
    given = Markup().join(
        Markup(' {}="{}"').format(key.lstrip("_"), _short(value) if isinstance(value, float) else value)
        for key, value in attributes.items()
    )
    return Markup("<{0}{1}/>").format(Markup(name), given)  # noqa: S704  # the name is ours


def _short(number: float) -> str:
    return f"{number:.1f}".rstrip("0").rstrip(".")


def _cut(text: str) -> str:
    return text if len(text) <= _FITS else text[: _FITS - 1] + "…"

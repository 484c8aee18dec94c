"""Error against cost, both on logarithmic axes, with the front."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element, SubElement

import numpy as np

from otdist.bench.methods import other_quantity
from otdist.bench.table import EXACT
from otdist.pages.drawing import add, add_text, canvas, markup, path
from otdist.pages.words import number, visible

WIDTH, HEIGHT = 640.0, 350.0
LEFT, RIGHT, TOP, BOTTOM = 62.0, 624.0, 26.0, 302.0
ROW, BREAK = 28.0, 62.0  # heights above the bottom of exact values, and of the lowest error that is none
MOST = 1e3  # error above which values are drawn as if it were this
LETTER, RADIUS = 10.6, 7.0  # width of a letter on a phone, and of a point with some room
Box = tuple[float, float, float, float]
UNITS = {"seconds": "seconds", "memory": "memory added"}


@dataclass(frozen=True)
class Decades:
    """A logarithmic axis between two places of a drawing."""

    low: float
    high: float
    start: float
    end: float

    @classmethod
    def of(cls, values: Sequence[float], start: float, end: float) -> Decades:
        """Span values above 0, to whole decades."""
        low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
        return cls(low, max(high, low + 1), start, end)

    def place(self, value: float) -> float:
        """Where a value stands."""
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Powers of ten, at most seven."""
        step = max(1, math.ceil((self.high - self.low) / 6))
        return [10.0**k for k in range(int(self.low), int(self.high) + 1, step)]


@dataclass(frozen=True)
class Errors:
    """Axis of errors: decades, and a row of its own for exact values, which rounding alone tells apart."""

    decades: Decades
    exact: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> Errors:
        """Span errors that are above rounding; two decades at least."""
        inexact = [min(value, MOST) for value in values if value > EXACT]
        decades = Decades.of(inexact or [1.0], 0.0, 0.0)
        some = len(inexact) < len(values)
        low = min(decades.low, decades.high - 2)
        return cls(
            Decades(low, decades.high, BOTTOM - (BREAK if some else ROW), TOP), BOTTOM - ROW if some else None
        )

    def place(self, value: float) -> float:
        """Where a value stands."""
        if value <= EXACT and self.exact is not None:
            return self.exact
        return self.decades.place(min(value, MOST))

    def ticks(self) -> list[float]:
        """Where there are lines."""
        return ([] if self.exact is None else [0.0]) + self.decades.ticks()


def scatter(
    rows: Sequence[dict[str, Any]], front: Sequence[dict[str, Any]], cost: str, numbers: dict[str, int]
) -> str | None:
    """Drawing of medians with a known error, each point with its name, or its number where there is no room.

    Parameters
    ----------
    rows, front : sequence of dict
        Of :meth:`~otdist.bench.Runs.medians` and :meth:`~otdist.bench.Runs.front`, of one question.
    cost : {"seconds", "memory"}
        The horizontal axis.
    numbers : dict
        Number of each method in the table below the drawing.

    Returns
    -------
    str or None
        Inline SVG; None where fewer than two rows can be drawn.
    """
    shown = [row for row in rows if row["error"] is not None and row[cost] is not None]
    if len(shown) < 2:
        return None
    least = 1e-5 if cost == "seconds" else 1e5  # a pass over a few points, and what a process breathes
    across = Decades.of([max(row[cost], least) for row in shown], LEFT, RIGHT)
    up = Errors.of([row["error"] for row in shown])
    root = canvas(f"Error against {UNITS[cost]}", HEIGHT, WIDTH)
    _frame(root, across, up, cost)
    places = {row["method"]: _place(row, across, up, cost, least) for row in shown}
    line = [places[row["method"]] for row in front if row["method"] in places]
    if len(line) > 1:
        corners = [line[0]]
        for x, y in line[1:]:  # as stairs: between two methods nothing was measured
            corners += [(x, corners[-1][1]), (x, y)]
        xs, ys = np.array(corners).T
        add(root, "path", class_="curve front", d=path(xs, ys))
    best = {row["method"] for row in front}
    for row in shown:
        _point(root, row, places[row["method"]], row["method"] in best)
    ranked = sorted(places, key=lambda method: method not in best)
    _labels(root, ranked, places, numbers, best)
    return markup(root)


def _frame(root: Element, across: Decades, up: Errors, cost: str) -> None:
    for value in up.ticks():
        y = up.place(value)
        add(root, "line", class_="grid", x1=LEFT, x2=RIGHT, y1=y, y2=y)
        add_text(root, LEFT - 8, y + 4, _power(value), anchor="end")
    for value in across.ticks():
        x = across.place(value)
        add(root, "line", class_="grid", x1=x, x2=x, y1=TOP, y2=BOTTOM)
        text = _seconds(value) if cost == "seconds" else _bytes(value)
        add_text(root, x, BOTTOM + 19, text, anchor="middle")
    add(root, "line", class_="rail", x1=LEFT, x2=RIGHT, y1=BOTTOM, y2=BOTTOM)
    add_text(root, (LEFT + RIGHT) / 2, BOTTOM + 40, UNITS[cost], anchor="middle")
    add_text(root, LEFT, TOP - 12, "error", class_="strong")


def _place(row: dict[str, Any], across: Decades, up: Errors, cost: str, least: float) -> tuple[float, float]:
    return across.place(max(row[cost], least)), up.place(row["error"])


def _point(root: Element, row: dict[str, Any], place: tuple[float, float], best: bool) -> None:
    kind = "ref" if row["method"].startswith("otdist") else "cur"
    other = other_quantity(row["method"], row["d"])
    mark = SubElement(root, "circle")
    for key, value in (("cx", place[0]), ("cy", place[1]), ("r", 6.0 if best else 4.5)):
        mark.set(key, f"{value:.1f}")
    mark.set("class", f"mark {kind}" + (" hollow" if other else "" if best else " beaten"))
    off = f"error {row['error']:.2g}" if other is None else f"answers {other}"
    text = f"{row['method']}: {number(row['seconds'])} s, {off}"
    if row["memory"] is not None:
        text += f", {_bytes(row['memory'])}"
    add(mark, "title", visible(text))


def _labels(
    root: Element,
    methods: Sequence[str],
    places: dict[str, tuple[float, float]],
    numbers: dict[str, int],
    best: set[str],
) -> None:
    """Add names where there is room, those of the front first, and elsewhere numbers."""
    taken = [(x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS) for x, y in places.values()]
    for method in methods:
        name = visible(method)
        texts = (name, str(numbers[method]))
        fits = [(spot, text) for text in texts for spot in _spots(text, places[method])]
        (left, base, box), text = next(
            ((spot, text) for spot, text in fits if _is_free(spot[2], taken)), fits[-1]
        )
        taken.append(box)
        add_text(root, left, base, text, class_="strong" if method in best else "")


def _spots(text: str, place: tuple[float, float]) -> list[tuple[float, float, Box]]:
    """Left end, base line and box of a text around a point, the best first; a number may be further off."""
    (x, y), width = place, LETTER * len(text)
    beside = [(x + 11.0, y + 6.0), (x - 11.0 - width, y + 6.0)]
    further = (-28.0, -46.0) if text.isdigit() else ()
    lefts = (x + 8.0, x - 8.0 - width, x - width / 2)
    ends = beside + [(left, y + dy) for dy in (-11.0, 22.0, *further) for left in lefts]
    return [(left, base, (left, base - 15, left + width, base + 4)) for left, base in ends]


def _is_free(box: Box, taken: Sequence[Box]) -> bool:
    inside = box[0] > LEFT and box[2] < WIDTH and box[1] > TOP - 14 and box[3] < BOTTOM + 4
    return inside and not any(_meet(box, other) for other in taken)


def _meet(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _power(value: float) -> str:
    if value <= EXACT:
        return "exact"
    return f"{100 * value:g}%" if value >= 1e-4 else f"1e{round(math.log10(value))}"


def _seconds(value: float) -> str:
    return f"{value:g} s" if value >= 1 else f"{1e3 * value:g} ms" if value >= 1e-3 else f"{1e6 * value:g} µs"


def _bytes(value: float) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:g} B"

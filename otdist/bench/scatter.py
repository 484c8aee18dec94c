"""Error against cost, both on logarithmic axes, with the front."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element, SubElement

import numpy as np

from otdist.bench.table import EXACT
from otdist.pages.drawing import add, add_text, canvas, markup, path
from otdist.pages.words import number, visible

WIDTH, HEIGHT = 640.0, 400.0
LEFT, RIGHT, TOP, BOTTOM = 62.0, 624.0, 26.0, 352.0
ROW, BREAK = 20.0, 54.0  # heights above the bottom of exact values, and of the lowest error that is none
MOST = 1e3  # error above which values are drawn as if it were this
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


def scatter(rows: Sequence[dict[str, Any]], front: Sequence[dict[str, Any]], cost: str) -> str | None:
    """Drawing of medians with a known error; a point tells what it is when the pointer rests on it.

    Parameters
    ----------
    rows, front : sequence of dict
        Of :meth:`~otdist.bench.Runs.medians` and :meth:`~otdist.bench.Runs.front`, of one question.
    cost : {"seconds", "memory"}
        The horizontal axis.

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
    _labels(root, [row for row in front if row["method"] in places], places)
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
    mark = SubElement(root, "circle")
    for key, value in (("cx", place[0]), ("cy", place[1]), ("r", 6.0 if best else 4.5)):
        mark.set(key, f"{value:.1f}")
    mark.set("class", f"mark {kind}" + ("" if best else " beaten"))
    told = f"{row['method']}: {number(row['seconds'])} s, error {row['error']:.2g}"
    if row["memory"] is not None:
        told += f", {_bytes(row['memory'])}"
    add(mark, "title", visible(told))


def _labels(root: Element, rows: Sequence[dict[str, Any]], places: dict[str, tuple[float, float]]) -> None:
    """Names at the points of the front, where there is room."""
    taken: list[tuple[float, float, float, float]] = []
    for row in rows:
        x, y = places[row["method"]]
        width = 7.0 * len(row["method"])
        left = x + 10 if x + 10 + width < RIGHT else x - 10 - width
        for dy in (-9.0, 17.0, -25.0, 33.0):
            box = (left, y + dy - 11, left + width, y + dy + 3)
            if not any(_meet(box, other) for other in taken) and box[1] > TOP - 12 and box[3] < BOTTOM + 6:
                taken.append(box)
                add_text(root, left, y + dy, visible(row["method"]), class_="strong")
                break


def _meet(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
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

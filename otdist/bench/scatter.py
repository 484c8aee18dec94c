"""Drawing of error against cost on logarithmic axes, with the Pareto front."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, SubElement

import numpy as np

from otdist.bench.methods import get_other_quantity
from otdist.bench.table import EXACT_ERROR
from otdist.pages.drawing import add, add_text, make_canvas, make_path, to_markup
from otdist.pages.formatting import escape_unprintable, format_number
from otdist.runtime.budget import format_bytes

if TYPE_CHECKING:
    from otdist.bench.table import Row

SCATTER_WIDTH, SCATTER_HEIGHT = 640.0, 350.0
PLOT_LEFT, PLOT_RIGHT, PLOT_TOP, PLOT_BOTTOM = 62.0, 624.0, 26.0, 302.0
EXACT_ROW_HEIGHT, AXIS_BREAK_HEIGHT = (
    28.0,
    62.0,
)  # heights above the bottom: exact values, lowest inexact error
MAX_DRAWN_ERROR = 1e3  # larger errors are drawn at this one
LETTER_WIDTH, POINT_RADIUS = 10.6, 7.0  # width of a letter on a phone, radius of a point with a margin
Box = tuple[float, float, float, float]
COST_LABELS = {"seconds": "seconds", "memory": "memory added"}


@dataclass(frozen=True)
class LogAxis:
    """Logarithmic axis between two positions of a drawing."""

    low: float
    high: float
    start: float
    end: float

    @classmethod
    def from_values(cls, values: Sequence[float], start: float, end: float) -> LogAxis:
        """Return an axis over whole decades that spans positive values."""
        low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
        return cls(low, max(high, low + 1), start, end)

    def to_position(self, value: float) -> float:
        """Return the position of a value in the drawing."""
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def compute_ticks(self) -> list[float]:
        """Return powers of ten, at most seven."""
        step = max(1, math.ceil((self.high - self.low) / 6))
        return [10.0**k for k in range(int(self.low), int(self.high) + 1, step)]


@dataclass(frozen=True)
class ErrorAxis:
    """Axis of errors: decades, and a separate row for exact values, which differ by rounding only."""

    decades: LogAxis
    exact: float | None

    @classmethod
    def from_values(cls, values: Sequence[float]) -> ErrorAxis:
        """Return an axis that spans the errors above rounding, over two decades at least."""
        inexact = [min(value, MAX_DRAWN_ERROR) for value in values if value > EXACT_ERROR]
        decades = LogAxis.from_values(inexact or [1.0], 0.0, 0.0)
        has_exact = len(inexact) < len(values)
        low = min(decades.low, decades.high - 2)
        bottom = PLOT_BOTTOM - (AXIS_BREAK_HEIGHT if has_exact else EXACT_ROW_HEIGHT)
        exact = PLOT_BOTTOM - EXACT_ROW_HEIGHT if has_exact else None
        return cls(LogAxis(low, decades.high, bottom, PLOT_TOP), exact)

    def to_position(self, value: float) -> float:
        """Return the position of a value in the drawing."""
        if value <= EXACT_ERROR and self.exact is not None:
            return self.exact
        return self.decades.to_position(min(value, MAX_DRAWN_ERROR))

    def compute_ticks(self) -> list[float]:
        """Return the errors of the grid lines."""
        return ([] if self.exact is None else [0.0]) + self.decades.compute_ticks()


def draw_scatter(rows: Sequence[Row], front: Sequence[Row], cost: str, numbers: dict[str, int]) -> str | None:
    """Draw medians with a known error, each point with its name, or its number where space is short.

    Parameters
    ----------
    rows, front : sequence of dict
        Rows of :meth:`~otdist.bench.Runs.medians` and :meth:`~otdist.bench.Runs.front` for one question.
    cost : {"seconds", "memory"}
        The horizontal axis.
    numbers : dict
        Number of each method in the table below the drawing.

    Returns
    -------
    str or None
        Inline SVG; None where fewer than two rows can be drawn.
    """
    drawn_rows = [row for row in rows if row["error"] is not None and row[cost] is not None]
    if len(drawn_rows) < 2:
        return None
    min_cost = 1e-5 if cost == "seconds" else 1e5  # one pass over few points; memory noise of a process
    x_axis = LogAxis.from_values([max(row[cost], min_cost) for row in drawn_rows], PLOT_LEFT, PLOT_RIGHT)
    y_axis = ErrorAxis.from_values([row["error"] for row in drawn_rows])
    root = make_canvas(f"Error against {COST_LABELS[cost]}", SCATTER_HEIGHT, SCATTER_WIDTH)
    _draw_frame(root, x_axis, y_axis, cost)
    positions = {row["method"]: _compute_position(row, x_axis, y_axis, cost, min_cost) for row in drawn_rows}
    front_points = [positions[row["method"]] for row in front if row["method"] in positions]
    if len(front_points) > 1:
        corners = [front_points[0]]
        for x, y in front_points[1:]:  # a staircase: nothing is measured between two methods
            corners += [(x, corners[-1][1]), (x, y)]
        xs, ys = np.array(corners).T
        add(root, "path", class_="curve front", d=make_path(xs, ys))
    best = {row["method"] for row in front}
    for row in drawn_rows:
        _draw_point(root, row, positions[row["method"]], row["method"] in best)
    ranked = sorted(positions, key=lambda method: method not in best)
    _draw_labels(root, ranked, positions, numbers, best)
    return to_markup(root)


def _draw_frame(root: Element, x_axis: LogAxis, y_axis: ErrorAxis, cost: str) -> None:
    for value in y_axis.compute_ticks():
        y = y_axis.to_position(value)
        add(root, "line", class_="grid", x1=PLOT_LEFT, x2=PLOT_RIGHT, y1=y, y2=y)
        add_text(root, PLOT_LEFT - 8, y + 4, _format_error(value), anchor="end")
    for value in x_axis.compute_ticks():
        x = x_axis.to_position(value)
        add(root, "line", class_="grid", x1=x, x2=x, y1=PLOT_TOP, y2=PLOT_BOTTOM)
        text = _format_seconds(value) if cost == "seconds" else format_bytes(value)
        add_text(root, x, PLOT_BOTTOM + 19, text, anchor="middle")
    add(root, "line", class_="rail", x1=PLOT_LEFT, x2=PLOT_RIGHT, y1=PLOT_BOTTOM, y2=PLOT_BOTTOM)
    add_text(root, (PLOT_LEFT + PLOT_RIGHT) / 2, PLOT_BOTTOM + 40, COST_LABELS[cost], anchor="middle")
    add_text(root, PLOT_LEFT, PLOT_TOP - 12, "error", class_="strong")


def _compute_position(
    row: Row, x_axis: LogAxis, y_axis: ErrorAxis, cost: str, min_cost: float
) -> tuple[float, float]:
    return x_axis.to_position(max(row[cost], min_cost)), y_axis.to_position(row["error"])


def _draw_point(root: Element, row: Row, position: tuple[float, float], best: bool) -> None:
    kind = "ref" if row["method"].startswith("otdist") else "cur"
    other = get_other_quantity(row["method"], row["d"])
    mark = SubElement(root, "circle")
    for key, value in (("cx", position[0]), ("cy", position[1]), ("r", 6.0 if best else 4.5)):
        mark.set(key, f"{value:.1f}")
    mark.set("class", f"mark {kind}" + (" hollow" if other else "" if best else " beaten"))
    accuracy = f"error {row['error']:.2g}" if other is None else f"answers {other}"
    text = f"{row['method']}: {format_number(row['seconds'])} s, {accuracy}"
    if row["memory"] is not None:
        text += f", {format_bytes(row['memory'])}"
    add(mark, "title", escape_unprintable(text))


def _draw_labels(
    root: Element,
    methods: Sequence[str],
    positions: dict[str, tuple[float, float]],
    numbers: dict[str, int],
    best: set[str],
) -> None:
    """Draw names where they fit, those of the front first, and numbers elsewhere."""
    occupied = [
        (x - POINT_RADIUS, y - POINT_RADIUS, x + POINT_RADIUS, y + POINT_RADIUS)
        for x, y in positions.values()
    ]
    for method in methods:
        name = escape_unprintable(method)
        texts = (name, str(numbers[method]))
        candidates = [
            (candidate, text)
            for text in texts
            for candidate in _list_label_positions(text, positions[method])
        ]
        (left, base, box), text = next(
            ((candidate, text) for candidate, text in candidates if _is_free(candidate[2], occupied)),
            candidates[-1],
        )
        occupied.append(box)
        add_text(root, left, base, text, class_="strong" if method in best else "")


def _list_label_positions(text: str, position: tuple[float, float]) -> list[tuple[float, float, Box]]:
    """List left end, baseline and box of a text around a point, best first; numbers may be further away."""
    (x, y), width = position, LETTER_WIDTH * len(text)
    beside = [(x + 11.0, y + 6.0), (x - 11.0 - width, y + 6.0)]
    offsets = (-28.0, -46.0) if text.isdigit() else ()
    lefts = (x + 8.0, x - 8.0 - width, x - width / 2)
    anchors = beside + [(left, y + dy) for dy in (-11.0, 22.0, *offsets) for left in lefts]
    return [(left, base, (left, base - 15, left + width, base + 4)) for left, base in anchors]


def _is_free(box: Box, occupied: Sequence[Box]) -> bool:
    inside = (
        box[0] > PLOT_LEFT and box[2] < SCATTER_WIDTH and box[1] > PLOT_TOP - 14 and box[3] < PLOT_BOTTOM + 4
    )
    return inside and not any(_overlap(box, other) for other in occupied)


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _format_error(value: float) -> str:
    if value <= EXACT_ERROR:
        return "exact"
    return f"{100 * value:g}%" if value >= 1e-4 else f"1e{round(math.log10(value))}"


def _format_seconds(value: float) -> str:
    return f"{value:g} s" if value >= 1 else f"{1e3 * value:g} ms" if value >= 1e-3 else f"{1e6 * value:g} µs"

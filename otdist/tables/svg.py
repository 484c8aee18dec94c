"""SVG figures of the report: quantile functions, transport lines, shares, bars."""

from __future__ import annotations

import math
from xml.etree.ElementTree import Element

import numpy as np

from otdist.errors import shorten
from otdist.pages.axis import PLOT_LEFT, PLOT_RIGHT, Axis
from otdist.pages.drawing import (
    DRAWING_HEIGHT,
    PLOT_BOTTOM,
    PLOT_TOP,
    add,
    add_axis,
    add_text,
    make_canvas,
    make_path,
    to_markup,
)
from otdist.pages.formatting import escape_unprintable, format_percent
from otdist.tables.comparison import Sketch
from otdist.typing import Array

TRANSPORT_LINES = 21  # odd, so that the one in the middle is the median
MAX_BAR_LABELS = 12
MAX_CURVE_POINTS = 201


def draw_quantiles(sketch: Sketch, axis: Axis, title: str) -> str:
    """Draw both quantile functions, value against cumulative share; the area between them is W1."""
    root = make_canvas(title, DRAWING_HEIGHT)
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = float(_to_height(share))
        add(root, "line", class_="grid", x1=PLOT_LEFT, x2=PLOT_RIGHT, y1=y, y2=y)
        add_text(root, PLOT_LEFT - 6, y + 4, f"{share:.0%}", anchor="end")
    add_axis(root, axis)
    levels, reference, current = _thin(sketch)
    heights = _to_height(levels)
    before, after = axis.transform(reference), axis.transform(current)
    outline = make_path(np.concatenate([before, after[::-1]]), np.concatenate([heights, heights[::-1]]))
    add(root, "path", class_="area", d=outline + "Z")
    add(root, "path", class_="curve ref", d=make_path(before, heights))
    add(root, "path", class_="curve cur", d=make_path(after, heights))
    return to_markup(root)


def draw_transport(sketch: Sketch, axis: Axis, names: tuple[str, str], title: str) -> str:
    """Draw lines from reference quantiles (upper rail) to equal current quantiles (lower rail)."""
    root = make_canvas(title, DRAWING_HEIGHT)
    top, bottom = PLOT_TOP + 24, PLOT_BOTTOM - 26
    add_axis(root, axis)
    for name, y, text_y, side in zip(
        names, (top, bottom), (top - 12, bottom + 18), ("ref", "cur"), strict=True
    ):
        add(root, "line", class_="rail", x1=PLOT_LEFT, x2=PLOT_RIGHT, y1=y, y2=y)
        add_text(root, PLOT_LEFT, text_y, shorten(escape_unprintable(name), 40), class_=f"rail-name {side}")
    levels, reference, current = _thin(sketch)
    middles = (np.arange(TRANSPORT_LINES) + 0.5) / TRANSPORT_LINES
    starts = axis.transform(np.interp(middles, levels, reference))
    ends = axis.transform(np.interp(middles, levels, current))
    for i, (start, end) in enumerate(zip(starts, ends, strict=True)):
        median = " median" if i == TRANSPORT_LINES // 2 else ""
        add(root, "line", class_=f"carry{median}", x1=start, y1=top, x2=end, y2=bottom)
    for x, y, side in [(x, top, "ref") for x in starts] + [(x, bottom, "cur") for x in ends]:
        add(root, "circle", class_=f"dot {side}", cx=x, cy=y, r=3.2)
    return to_markup(root)


def draw_shares(sketch: Sketch, title: str) -> str:
    """Draw paired bars of the share of each label, with the mass that must move in full colour."""
    rows = _make_share_rows(sketch)
    left, right, step = 118.0, 340.0, 36.0
    height = 8 + step * len(rows) + 4
    root = make_canvas(title, height)
    add(root, "line", class_="rail", x1=left, x2=left, y1=4, y2=height - 4)
    top = max((max(before, after) for _, before, after, _ in rows), default=1.0) or 1.0
    for i, (label, before, after, stays) in enumerate(rows):
        y = 8 + step * i
        text = add_text(
            root, left - 8, y + 18, shorten(escape_unprintable(label), 16), anchor="end", class_="name"
        )
        add(text, "title", escape_unprintable(label))
        for share, side, bar_y in ((before, "ref", y), (after, "cur", y + 14)):
            width, common = (right - left) * share / top, (right - left) * stays / top
            add(root, "rect", class_=f"stays {side}", x=left, y=bar_y, width=common, height=12)
            if share > stays:
                excess = width - common
                add(root, "rect", class_=f"moves {side}", x=left + common, y=bar_y, width=excess, height=12)
            add_text(root, left + width + 6, bar_y + 10, format_percent(share))
    return to_markup(root)


def interpolate_quantiles(sketch: Sketch, level: float) -> tuple[float, float]:
    """Interpolate both quantile functions at one level."""
    levels, reference, current = _thin(sketch)
    if not levels.size:
        return math.nan, math.nan
    return float(np.interp(level, levels, reference)), float(np.interp(level, levels, current))


def draw_floor_bar(value: float, floor: float, title: str, *, moved: bool) -> str:
    """Draw W1 in units of the noise floor, for one row of the overview: the tick is 1, the end 3 or more."""
    root = Element("svg", {"viewBox": "0 0 100 16", "role": "img", "class": "mini"})
    add(root, "title", escape_unprintable(title))
    add(root, "line", class_="rail", x1=0, x2=94, y1=13.5, y2=13.5)
    if math.isnan(value) or math.isnan(floor):
        return to_markup(root)
    floors = value / floor if floor > 0 else (math.inf if value > 0 else 0.0)
    side = "bar moved" if moved else "bar"
    # In units of the floor the ticks of all rows are aligned, and large values do not flatten the others.
    add(root, "rect", class_=side, x=0, y=4, width=max(30 * min(floors, 3), 0.8), height=7)
    if floors > 3:
        add(root, "path", class_=side, d="M92 3.5l6 4l-6 4z")
    add(root, "line", class_="tick", x1=30, x2=30, y1=1, y2=14)
    return to_markup(root)


def draw_joint_bar(marginal: float, bounds: tuple[float, float], floor: float, title: str) -> str | None:
    """Draw the mean of columns, the excess and the proved interval on one axis, with a tick at the floor."""
    lower, upper = bounds
    finite = [v for v in (marginal, lower, upper, floor) if math.isfinite(v)]
    if not finite or not math.isfinite(lower) or max(finite) <= 0:
        return None
    root = Element("svg", {"viewBox": "0 0 400 56", "role": "img"})
    add(root, "title", escape_unprintable(title))
    axis = Axis(0.0, max(finite) * 1.06, left=1.0)

    def to_x(value: float) -> float:
        return float(axis.transform(np.array([value]))[0]) if math.isfinite(value) else PLOT_RIGHT

    add_axis(root, axis, y=34)
    split = to_x(min(marginal, lower)) if math.isfinite(marginal) else axis.left
    add(root, "rect", class_="marginal", x=axis.left, y=10, width=split - axis.left, height=16)
    add(root, "rect", class_="excess", x=split, y=10, width=to_x(lower) - split, height=16)
    width = to_x(upper) - to_x(lower)
    if width > 2:
        add(root, "rect", class_="unproved", x=to_x(lower), y=10, width=width, height=16)
    if math.isfinite(floor):
        add(root, "line", class_="tick", x1=to_x(floor), x2=to_x(floor), y1=2, y2=34)
    return to_markup(root)


SPARKLINE_SIZE = 84.0, 30.0  # width and height
SPARKLINE_BINS = 24
SPARKLINE_BARS = 8  # labels in a small drawing


def draw_sparkline(sketch: Sketch, title: str) -> str:
    """Draw a small histogram: the reference filled, the current table as a line; labels as pairs of bars."""
    width, height = SPARKLINE_SIZE
    root = Element("svg", {"class": "spark", "viewBox": f"0 0 {width:g} {height:g}", "role": "img"})
    add(root, "title", escape_unprintable(title))
    if sketch.labels is not None:
        before, after = sketch.reference[:SPARKLINE_BARS], sketch.current[:SPARKLINE_BARS]
        step = width / max(len(before), 3)
        top = max(float(before.max()), float(after.max())) or 1.0
        for k, shares in enumerate(zip(before, after, strict=True)):
            for side, share, shift in zip(("ref", "cur"), shares, (0.1, 0.5), strict=True):
                length = (height - 1) * float(share) / top
                x = step * (k + shift)
                add(root, "rect", class_=side, x=x, y=height - length, width=0.4 * step, height=length)
        return to_markup(root)
    ends = _compute_span(sketch)
    if ends is None:
        return ""
    heights = [_compute_histogram(side, sketch.levels, ends) for side in (sketch.reference, sketch.current)]
    top = max(float(side.max()) for side in heights) or 1.0
    edges = np.linspace(0.0, width, SPARKLINE_BINS + 1)
    for side, bars in zip(("ref", "cur"), heights, strict=True):
        tops = height - (height - 2) * np.repeat(bars, 2) / top
        across = np.concatenate([[0.0], np.repeat(edges, 2)[1:-1], [width]])
        down = np.concatenate([[height], tops, [height]])
        add(root, "path", class_=side, d=make_path(across, down))
    return to_markup(root)


def _compute_span(sketch: Sketch) -> tuple[float, float] | None:
    """Compute the range of a small histogram: from 1 % to 99 % of both sides, plus a margin."""
    values = np.concatenate([sketch.reference, sketch.current])
    if not np.isfinite(values).all():
        return None
    count = len(sketch.reference)
    cut = max(1, count // 100)
    inner = [
        np.sort(side)[cut:-cut] if count > 2 * cut else side for side in (sketch.reference, sketch.current)
    ]
    low, high = min(float(side.min()) for side in inner), max(float(side.max()) for side in inner)
    margin = 0.05 * (high - low) or 0.5 * max(abs(low), 1.0)
    return low - margin, high + margin


def _compute_histogram(quantiles: Array, levels: Array | None, ends: tuple[float, float]) -> Array:
    """Compute shares of equal bins of a range from a quantile function."""
    assert levels is not None
    edges = np.linspace(*ends, SPARKLINE_BINS + 1)
    # Ties make the quantile function constant: the share below an edge is the last level at its value.
    below = levels[np.maximum(np.searchsorted(quantiles, edges, side="right") - 1, 0)]
    below = np.where(edges < quantiles[0], 0.0, below)
    return np.asarray(np.diff(below))


def _make_share_rows(sketch: Sketch) -> list[tuple[str, float, float, float]]:
    """Make rows of label, share before, share after and common share; rare labels are merged at the end."""
    before, after = sketch.reference, sketch.current
    labels = sketch.labels or ()
    stays = np.minimum(before, after)
    order = np.argsort(-np.maximum(before, after), kind="stable")
    frequent = order if order.size <= MAX_BAR_LABELS else order[: MAX_BAR_LABELS - 1]
    rows = [(labels[i], float(before[i]), float(after[i]), float(stays[i])) for i in frequent]
    others = order[frequent.size :]
    if others.size:
        # Common shares are summed label by label, so that the ends of the bars still add up to W1.
        total = [float(x[others].sum()) for x in (before, after, stays)]
        rows.append((f"+{others.size} others", total[0], total[1], total[2]))
    return rows


def _thin(sketch: Sketch) -> tuple[Array, Array, Array]:
    """Return levels and both quantile functions at finite values, at most ``MAX_CURVE_POINTS`` points."""
    reference, current = sketch.reference, sketch.current
    levels = np.linspace(0, 1, reference.size) if sketch.levels is None else sketch.levels
    finite = np.flatnonzero(np.isfinite(reference) & np.isfinite(current))
    if finite.size > MAX_CURVE_POINTS:
        finite = finite[np.linspace(0, finite.size - 1, MAX_CURVE_POINTS).round().astype(int)]
    return levels[finite], reference[finite], current[finite]


def _to_height(share: float | Array) -> Array:
    return np.asarray(PLOT_BOTTOM - share * (PLOT_BOTTOM - PLOT_TOP))

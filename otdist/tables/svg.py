"""Figures of the report: quantile functions, transport lines, shares, bars."""

from __future__ import annotations

import math
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from otdist.pages.axis import LEFT, RIGHT, Axis
from otdist.pages.drawing import BOTTOM, HEIGHT, TOP, add, add_axis, add_text, canvas, markup, path
from otdist.pages.words import percent, visible
from otdist.tables.comparison import Sketch

Array = NDArray[np.float64]

LINES = 21  # odd, so that the one in the middle is the median
MOST_LABELS = 12
MOST_POINTS = 201


def quantile_curves(sketch: Sketch, axis: Axis, title: str) -> str:
    """Both quantile functions, value against cumulative share; the area between them is W1."""
    root = canvas(title, HEIGHT)
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = float(_height(share))
        add(root, "line", class_="grid", x1=LEFT, x2=RIGHT, y1=y, y2=y)
        add_text(root, LEFT - 6, y + 4, f"{share:.0%}", anchor="end")
    add_axis(root, axis)
    levels, reference, current = _thinned(sketch)
    heights = _height(levels)
    here, there = axis.place(reference), axis.place(current)
    around = path(np.concatenate([here, there[::-1]]), np.concatenate([heights, heights[::-1]]))
    add(root, "path", class_="area", d=around + "Z")
    add(root, "path", class_="curve ref", d=path(here, heights))
    add(root, "path", class_="curve cur", d=path(there, heights))
    return markup(root)


def transport(sketch: Sketch, axis: Axis, names: tuple[str, str], title: str) -> str:
    """Draw lines from reference quantiles (upper rail) to equal current quantiles (lower rail)."""
    root = canvas(title, HEIGHT)
    top, bottom = TOP + 24, BOTTOM - 26
    add_axis(root, axis)
    for name, y, text_y, side in zip(
        names, (top, bottom), (top - 12, bottom + 18), ("ref", "cur"), strict=True
    ):
        add(root, "line", class_="rail", x1=LEFT, x2=RIGHT, y1=y, y2=y)
        add_text(root, LEFT, text_y, _short(name, 40), class_=f"rail-name {side}")
    levels, reference, current = _thinned(sketch)
    middles = (np.arange(LINES) + 0.5) / LINES
    starts = axis.place(np.interp(middles, levels, reference))
    ends = axis.place(np.interp(middles, levels, current))
    for i, (start, end) in enumerate(zip(starts, ends, strict=True)):
        median = " median" if i == LINES // 2 else ""
        add(root, "line", class_=f"carry{median}", x1=start, y1=top, x2=end, y2=bottom)
    for x, y, side in [(x, top, "ref") for x in starts] + [(x, bottom, "cur") for x in ends]:
        add(root, "circle", class_=f"dot {side}", cx=x, cy=y, r=3.2)
    return markup(root)


def shares(sketch: Sketch, title: str) -> str:
    """Paired bars of the share of each label, with the mass that must move in full colour."""
    rows = _share_rows(sketch)
    left, right, step = 118.0, 340.0, 36.0
    height = 8 + step * len(rows) + 4
    root = canvas(title, height)
    add(root, "line", class_="rail", x1=left, x2=left, y1=4, y2=height - 4)
    top = max((max(before, after) for _, before, after, _ in rows), default=1.0) or 1.0
    for i, (label, before, after, stays) in enumerate(rows):
        y = 8 + step * i
        text = add_text(root, left - 8, y + 18, _short(label, 16), anchor="end", class_="name")
        add(text, "title", visible(label))
        for share, side, at in ((before, "ref", y), (after, "cur", y + 14)):
            long, kept = (right - left) * share / top, (right - left) * stays / top
            add(root, "rect", class_=f"stays {side}", x=left, y=at, width=kept, height=12)
            if share > stays:
                add(root, "rect", class_=f"moves {side}", x=left + kept, y=at, width=long - kept, height=12)
            add_text(root, left + long + 6, at + 10, percent(share))
    return markup(root)


def quantiles(sketch: Sketch, level: float) -> tuple[float, float]:
    """Both quantiles at one level."""
    levels, reference, current = _thinned(sketch)
    if not levels.size:
        return math.nan, math.nan
    return float(np.interp(level, levels, reference)), float(np.interp(level, levels, current))


def floor_bar(value: float, floor: float, title: str, *, moved: bool) -> str:
    """Draw W1 in noise floors, for one row of the overview: the tick is 1 floor, the end 3 or more."""
    root = Element("svg", {"viewBox": "0 0 100 16", "role": "img", "class": "mini"})
    add(root, "title", visible(title))
    add(root, "line", class_="rail", x1=0, x2=94, y1=13.5, y2=13.5)
    if math.isnan(value) or math.isnan(floor):
        return markup(root)
    floors = value / floor if floor > 0 else (math.inf if value > 0 else 0.0)
    side = "bar moved" if moved else "bar"
    # Counted in floors, the ticks of all rows stand in one line, and no giant flattens the others.
    add(root, "rect", class_=side, x=0, y=4, width=max(30 * min(floors, 3), 0.8), height=7)
    if floors > 3:
        add(root, "path", class_=side, d="M92 3.5l6 4l-6 4z")
    add(root, "line", class_="tick", x1=30, x2=30, y1=1, y2=14)
    return markup(root)


def joint_bar(marginal: float, bounds: tuple[float, float], floor: float, title: str) -> str | None:
    """Mean of columns, excess and proved interval on one axis, with a tick at the noise floor."""
    lower, upper = bounds
    finite = [v for v in (marginal, lower, upper, floor) if math.isfinite(v)]
    if not finite or not math.isfinite(lower) or max(finite) <= 0:
        return None
    root = Element("svg", {"viewBox": "0 0 400 56", "role": "img"})
    add(root, "title", visible(title))
    axis = Axis(0.0, max(finite) * 1.06, left=1.0)

    def at(value: float) -> float:
        return float(axis.place(np.array([value]))[0]) if math.isfinite(value) else RIGHT

    add_axis(root, axis, y=34)
    split = at(min(marginal, lower)) if math.isfinite(marginal) else axis.left
    add(root, "rect", class_="marginal", x=axis.left, y=10, width=split - axis.left, height=16)
    add(root, "rect", class_="excess", x=split, y=10, width=at(lower) - split, height=16)
    if at(upper) - at(lower) > 2:
        add(root, "rect", class_="unproved", x=at(lower), y=10, width=at(upper) - at(lower), height=16)
    if math.isfinite(floor):
        add(root, "line", class_="tick", x1=at(floor), x2=at(floor), y1=2, y2=34)
    return markup(root)


SPARK = 84.0, 30.0  # width and height
SPARK_BINS = 24
SPARK_BARS = 8  # labels in a small drawing


def spark(sketch: Sketch, title: str) -> str:
    """Small histogram: the reference filled, the current table as a line; labels as pairs of bars."""
    width, height = SPARK
    root = Element("svg", {"class": "spark", "viewBox": f"0 0 {width:g} {height:g}", "role": "img"})
    add(root, "title", visible(title))
    if sketch.labels is not None:
        before, after = sketch.reference[:SPARK_BARS], sketch.current[:SPARK_BARS]
        step = width / max(len(before), 3)
        top = max(float(before.max()), float(after.max())) or 1.0
        for k, shares in enumerate(zip(before, after, strict=True)):
            for side, share, shift in zip(("ref", "cur"), shares, (0.1, 0.5), strict=True):
                long = (height - 1) * float(share) / top
                x = step * (k + shift)
                add(root, "rect", class_=side, x=x, y=height - long, width=0.4 * step, height=long)
        return markup(root)
    ends = _span(sketch)
    if ends is None:
        return ""
    heights = [_histogram(side, sketch.levels, ends) for side in (sketch.reference, sketch.current)]
    top = max(float(side.max()) for side in heights) or 1.0
    edges = np.linspace(0.0, width, SPARK_BINS + 1)
    for side, bars in zip(("ref", "cur"), heights, strict=True):
        heights_there = height - (height - 2) * np.repeat(bars, 2) / top
        across = np.concatenate([[0.0], np.repeat(edges, 2)[1:-1], [width]])
        down = np.concatenate([[height], heights_there, [height]])
        add(root, "path", class_=side, d=path(across, down))
    return markup(root)


def _span(sketch: Sketch) -> tuple[float, float] | None:
    """Range of a small histogram: from 1 % to 99 % of both sides, and a little more."""
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


def _histogram(quantiles: Array, levels: Array | None, ends: tuple[float, float]) -> Array:
    """Shares of equal parts of a range, from a quantile function."""
    assert levels is not None
    edges = np.linspace(*ends, SPARK_BINS + 1)
    # Ties make the quantile function flat: the share below an edge is the last level that it has.
    below = levels[np.maximum(np.searchsorted(quantiles, edges, side="right") - 1, 0)]
    below = np.where(edges < quantiles[0], 0.0, below)
    return np.asarray(np.diff(below))


def _share_rows(sketch: Sketch) -> list[tuple[str, float, float, float]]:
    """Label, share before, share after, share that stays; the rarest labels together at the end."""
    before, after = sketch.reference, sketch.current
    labels = sketch.labels or ()
    stays = np.minimum(before, after)
    order = np.argsort(-np.maximum(before, after), kind="stable")
    kept = order if order.size <= MOST_LABELS else order[: MOST_LABELS - 1]
    rows = [(labels[i], float(before[i]), float(after[i]), float(stays[i])) for i in kept]
    rest = order[kept.size :]
    if rest.size:
        # Summed label by label, so that the ends of the bars still add up to W1.
        total = [float(x[rest].sum()) for x in (before, after, stays)]
        rows.append((f"+{rest.size} others", total[0], total[1], total[2]))
    return rows


def _thinned(sketch: Sketch) -> tuple[Array, Array, Array]:
    """Levels and both quantile functions where both are numbers, at most ``MOST_POINTS`` of them."""
    reference, current = sketch.reference, sketch.current
    levels = np.linspace(0, 1, reference.size) if sketch.levels is None else sketch.levels
    sound = np.flatnonzero(np.isfinite(reference) & np.isfinite(current))
    if sound.size > MOST_POINTS:
        sound = sound[np.linspace(0, sound.size - 1, MOST_POINTS).round().astype(int)]
    return levels[sound], reference[sound], current[sound]


def _height(share: float | Array) -> Array:
    return np.asarray(BOTTOM - share * (BOTTOM - TOP))


def _short(text: str, most: int) -> str:
    text = visible(text)
    return text if len(text) <= most else text[: most - 1] + "…"

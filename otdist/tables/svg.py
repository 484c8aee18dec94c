"""Figures of the report as inline SVG: quantile functions, transport lines, shares, bars.

Colours come from the page's style sheet by class, so that one drawing serves light, dark and
print. ElementTree writes the markup, so no label can break out of its element.
"""

from __future__ import annotations

import math
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import numpy as np
from numpy.typing import NDArray

from otdist.tables.axis import LEFT, LETTER, RIGHT, Axis
from otdist.tables.comparison import Sketch
from otdist.tables.terminal import percent, visible

Array = NDArray[np.float64]

# Narrow on purpose: a phone shows 400 units at 0.8, so text of 12 units stays legible.
WIDTH, HEIGHT = 400.0, 236.0
TOP, BOTTOM = 16.0, 200.0
LINES = 21  # odd, so that the one in the middle is the median
MOST_LABELS = 12
MOST_POINTS = 201


def quantile_curves(sketch: Sketch, axis: Axis, title: str) -> str:
    """Both quantile functions, value against cumulative share; the area between them is W1."""
    root = _root(title, HEIGHT)
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = float(_height(share))
        _add(root, "line", class_="grid", x1=LEFT, x2=RIGHT, y1=y, y2=y)
        _label(root, LEFT - 6, y + 4, f"{share:.0%}", anchor="end")
    _axis(root, axis)
    levels, reference, current = _thinned(sketch)
    heights = _height(levels)
    here, there = axis.place(reference), axis.place(current)
    around = _path(np.concatenate([here, there[::-1]]), np.concatenate([heights, heights[::-1]]))
    _add(root, "path", class_="area", d=around + "Z")
    _add(root, "path", class_="curve ref", d=_path(here, heights))
    _add(root, "path", class_="curve cur", d=_path(there, heights))
    return _markup(root)


def transport(sketch: Sketch, axis: Axis, names: tuple[str, str], title: str) -> str:
    """Draw lines from reference quantiles (upper rail) to equal current quantiles (lower rail)."""
    root = _root(title, HEIGHT)
    top, bottom = TOP + 24, BOTTOM - 26
    _axis(root, axis)
    for name, y, text_y, side in zip(
        names, (top, bottom), (top - 12, bottom + 18), ("ref", "cur"), strict=True
    ):
        _add(root, "line", class_="rail", x1=LEFT, x2=RIGHT, y1=y, y2=y)
        _label(root, LEFT, text_y, _short(name, 40), class_=f"rail-name {side}")
    levels, reference, current = _thinned(sketch)
    middles = (np.arange(LINES) + 0.5) / LINES
    starts = axis.place(np.interp(middles, levels, reference))
    ends = axis.place(np.interp(middles, levels, current))
    for i, (start, end) in enumerate(zip(starts, ends, strict=True)):
        median = " median" if i == LINES // 2 else ""
        _add(root, "line", class_=f"carry{median}", x1=start, y1=top, x2=end, y2=bottom)
    for x, y, side in [(x, top, "ref") for x in starts] + [(x, bottom, "cur") for x in ends]:
        _add(root, "circle", class_=f"dot {side}", cx=x, cy=y, r=3.2)
    return _markup(root)


def shares(sketch: Sketch, title: str) -> str:
    """Paired bars of the share of each label, with the mass that must move in full colour."""
    rows = _share_rows(sketch)
    left, right, step = 118.0, 340.0, 36.0
    height = 8 + step * len(rows) + 4
    root = _root(title, height)
    _add(root, "line", class_="rail", x1=left, x2=left, y1=4, y2=height - 4)
    top = max((max(before, after) for _, before, after, _ in rows), default=1.0) or 1.0
    for i, (label, before, after, stays) in enumerate(rows):
        y = 8 + step * i
        text = _label(root, left - 8, y + 18, _short(label, 16), anchor="end", class_="name")
        _add(text, "title", visible(label))
        for share, side, at in ((before, "ref", y), (after, "cur", y + 14)):
            long, kept = (right - left) * share / top, (right - left) * stays / top
            _add(root, "rect", class_=f"stays {side}", x=left, y=at, width=kept, height=12)
            if share > stays:
                _add(root, "rect", class_=f"moves {side}", x=left + kept, y=at, width=long - kept, height=12)
            _label(root, left + long + 6, at + 10, percent(share))
    return _markup(root)


def quantiles(sketch: Sketch, level: float) -> tuple[float, float]:
    """Both quantiles at one level."""
    levels, reference, current = _thinned(sketch)
    if not levels.size:
        return math.nan, math.nan
    return float(np.interp(level, levels, reference)), float(np.interp(level, levels, current))


def floor_bar(value: float, floor: float, title: str, *, moved: bool) -> str:
    """Draw W1 in noise floors, for one row of the overview: the tick is 1 floor, the end 3 or more."""
    root = Element("svg", {"viewBox": "0 0 100 16", "role": "img", "class": "mini"})
    _add(root, "title", visible(title))
    _add(root, "line", class_="rail", x1=0, x2=94, y1=13.5, y2=13.5)
    if math.isnan(value) or math.isnan(floor):
        return _markup(root)
    floors = value / floor if floor > 0 else (math.inf if value > 0 else 0.0)
    side = "bar moved" if moved else "bar"
    # Counted in floors, the ticks of all rows stand in one line, and no giant flattens the others.
    _add(root, "rect", class_=side, x=0, y=4, width=max(30 * min(floors, 3), 0.8), height=7)
    if floors > 3:
        _add(root, "path", class_=side, d="M92 3.5l6 4l-6 4z")
    _add(root, "line", class_="tick", x1=30, x2=30, y1=1, y2=14)
    return _markup(root)


def joint_bar(marginal: float, bounds: tuple[float, float], floor: float, title: str) -> str | None:
    """Mean of columns, excess and proved interval on one axis, with a tick at the noise floor."""
    lower, upper = bounds
    finite = [v for v in (marginal, lower, upper, floor) if math.isfinite(v)]
    if not finite or not math.isfinite(lower) or max(finite) <= 0:
        return None
    root = Element("svg", {"viewBox": "0 0 400 56", "role": "img"})
    _add(root, "title", visible(title))
    axis = Axis(0.0, max(finite) * 1.06, left=1.0)

    def at(value: float) -> float:
        return float(axis.place(np.array([value]))[0]) if math.isfinite(value) else RIGHT

    _axis(root, axis, y=34)
    split = at(min(marginal, lower)) if math.isfinite(marginal) else axis.left
    _add(root, "rect", class_="marginal", x=axis.left, y=10, width=split - axis.left, height=16)
    _add(root, "rect", class_="excess", x=split, y=10, width=at(lower) - split, height=16)
    if at(upper) - at(lower) > 2:
        _add(root, "rect", class_="unproved", x=at(lower), y=10, width=at(upper) - at(lower), height=16)
    if math.isfinite(floor):
        _add(root, "line", class_="tick", x1=at(floor), x2=at(floor), y1=2, y2=34)
    return _markup(root)


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


def _axis(root: Element, axis: Axis, y: float = BOTTOM) -> None:
    _add(root, "line", class_="rail", x1=axis.left, x2=RIGHT, y1=y, y2=y)
    for x, label in axis.ticks():
        half = LETTER * len(label) / 2
        _add(root, "line", class_="rail", x1=x, x2=x, y1=y, y2=y + 4)
        _label(root, min(max(x, half), WIDTH - half), y + 18, label, anchor="middle")


def _height(share: float | Array) -> Array:
    return np.asarray(BOTTOM - share * (BOTTOM - TOP))


def _short(text: str, most: int) -> str:
    text = visible(text)
    return text if len(text) <= most else text[: most - 1] + "…"


def _path(x: Array, y: Array) -> str:
    return "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(x, y, strict=True))


def _root(title: str, height: float) -> Element:
    root = Element("svg", {"viewBox": f"0 0 {WIDTH:g} {height:g}", "role": "img"})
    _add(root, "title", visible(title))
    return root


def _label(
    root: Element, x: float, y: float, text: str, *, anchor: str = "start", class_: str = ""
) -> Element:
    return _add(root, "text", text, x=x, y=y, text_anchor=anchor, class_=class_)


def _add(parent: Element, tag: str, text: str = "", **attributes: float | str) -> Element:
    child = SubElement(parent, tag)
    for key, value in attributes.items():
        if value != "":
            plain = f"{float(value):.4g}" if not isinstance(value, str) else value
            child.set(key.rstrip("_").replace("_", "-"), plain)
    child.text = text or None
    return child


def _markup(root: Element) -> str:
    return ElementTree.tostring(root, encoding="unicode")

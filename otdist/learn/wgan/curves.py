"""Figures of a run over its steps."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from otdist.learn.wgan.check import Check
from otdist.pages.axis import RIGHT
from otdist.pages.chart import Chart
from otdist.pages.drawing import TOP, add, markup
from otdist.pages.words import number

Array = NDArray[np.float64]

MOST = 400  # checks that are drawn: more would lie on each other
SMALL = 150.0  # height of a figure with one line
BRACKET = ("lower", "upper", "estimate", "floor")
GAPS = ("gap", "heldout_gap")
# What is not drawn by itself: the axis, the clock, and what other figures show.
DRAWN = {"step", "seconds", "n", *BRACKET, *GAPS}
GROUPS = {
    "Distance": ("debiased", "pvalue", "sliced"),
    "Quality and diversity": ("precision", "recall", "density", "coverage", "vendi", "spread"),
    "Copies": ("duplicates", "real_duplicates", "memorised", "nearer", "memorisation"),
    "The critic": ("reach", "probe", "slope", "slope_99", "score", "heldout_gap_error", "excess_error"),
    "Training": ("gradient", "n_critic"),
}
OTHERS = "Further figures"
MEANINGS = {
    "precision": "Share of fakes that lie in a neighbourhood of a real point.",
    "recall": "Share of real points that lie in a neighbourhood of a fake.",
    "density": "Neighbourhoods of real points that hold a fake, on average, as a share of what is usual.",
    "coverage": "Share of real points with a fake in their neighbourhood.",
}


@dataclass(frozen=True)
class Figure:
    """A drawing, what it is called, and the sentence under it."""

    drawing: Markup
    name: str = ""
    caption: str = ""


def bracket(history: Sequence[Check], alarms: Sequence[int], *, late: bool = False) -> Figure | None:
    """W1 bracketed, the estimate and the floor; ``late`` is the part where the first figures are left out."""
    steps, values = _table(history)
    first = _late(values.get("upper", np.array([]))) if late else 0
    if first is None:
        return None
    steps, values = steps[first:], {name: column[first:] for name, column in values.items()}
    drawn = [values[name] for name in BRACKET if name in values]
    chart = Chart.of(steps, np.concatenate(drawn), whole=True) if drawn else None
    if chart is None:
        return None
    part = f" from step {steps[0]:,.0f} on" if late else ""
    root = chart.frame(f"W1 between data and samples over steps{part}")
    for step in sorted({s for s in alarms if steps[0] <= s <= steps[-1]}):
        x = float(chart.axis.place(np.array(float(step))))
        add(root, "line", class_="alarm", x1=x, x2=x, y1=TOP, y2=float(chart.place(np.array(chart.low))))
    if "lower" in values and "upper" in values:
        chart.band(root, steps, values["lower"], values["upper"])
    for name, class_ in (("floor", "floor"), ("estimate", "est")):
        if name in values:
            chart.line(root, steps, values[name], class_)
    caption = f"The same{part}, on a scale of its own." if late else _thinned(len(history))
    return Figure(Markup(markup(root)), caption=caption)


def gaps(history: Sequence[Check]) -> Figure | None:
    """What the critic makes of training points and of those kept aside."""
    steps, values = _table(history)
    drawn = [values[name] for name in GAPS if name in values]
    chart = Chart.of(steps, np.concatenate(drawn), whole=True) if drawn else None
    if chart is None:
        return None
    root = chart.frame("Gap of the critic on training and on held-out points over steps")
    for name, class_ in (("gap", "train"), ("heldout_gap", "held")):
        if name in values:
            chart.line(root, steps, values[name], class_)
    return Figure(Markup(markup(root)))


def others(history: Sequence[Check]) -> list[tuple[str, list[Figure]]]:
    """Every other number of the checks, each in a figure of its own, in groups."""
    steps, values = _table(history)
    meanings = _meanings(type(history[-1])) if history else {}
    left = [name for name in values if name not in DRAWN]
    groups = GROUPS | {OTHERS: tuple(name for name in left if not any(name in g for g in GROUPS.values()))}
    found = []
    for title, names in groups.items():
        figures = [_one(name, steps, values[name], meanings) for name in names if name in left]
        kept = [figure for figure in figures if figure is not None]
        if kept:
            found.append((title, kept))
    return found


def _one(name: str, steps: Array, values: Array, meanings: dict[str, str]) -> Figure | None:
    chart = Chart.of(steps, values, height=SMALL, whole=True)
    if chart is None:
        return None
    words = name.replace("_", " ")
    root = chart.frame(f"{words} over steps")
    chart.line(root, steps, values, "est")
    last = float(values[-1])  # a dash in words where the last check has none
    if math.isfinite(last):
        add(root, "circle", class_="spot est", cx=RIGHT, cy=float(chart.place(np.array(last))), r=3.0)
    return Figure(Markup(markup(root)), f"{words} {number(last)}", meanings.get(name, ""))


def _table(history: Sequence[Check]) -> tuple[Array, dict[str, Array]]:
    """Steps, and each number of the checks over them; what is missing is NaN."""
    every = math.ceil(len(history) / MOST) if history else 1
    # Counted from the end, so that the last check is drawn.
    checks = list(history)[::-1][::every][::-1]
    records = [check.to_dict() for check in checks]
    names = {n for r in records for n, v in r.items() if isinstance(v, int | float) and v is not True}
    order = [name for name in (records[-1] if records else {}) if name in names]
    values = {
        name: np.array([np.nan if r.get(name) is None else float(r[name]) for r in records]) for name in order
    }
    return np.array([float(check.step) for check in checks]), values


def _late(upper: Array) -> int | None:
    """First check from which all are far below the highest; None if that is too few of them, or all."""
    if len(upper) < 6 or not np.isfinite(upper).all():
        return None
    low = np.flatnonzero(upper > 0.3 * upper.max())
    first = int(low[-1]) + 1
    return first if 0 < first <= len(upper) - 4 else None


def _thinned(checks: int) -> str:
    every = math.ceil(checks / MOST)
    return f"Every {every}th check is drawn." if every > 1 else ""


def _meanings(kind: type[Check]) -> dict[str, str]:
    """What each figure means, as the docstring of the checks says it."""
    text = inspect.cleandoc(kind.__doc__ or "").partition("Attributes\n----------\n")[2]
    found: dict[str, str] = {}
    for names, body in re.findall(r"^(\w[\w, ]*) : .*\n((?:    .*\n?)+)", text, flags=re.M):
        said = " ".join(body.split())
        said = re.sub(r":\w+:`~?([\w.]+)`", lambda m: m[1].split(".")[-1], said).replace("``", "")
        said = re.sub(r"[;,.]? ?None where[^.]*", "", said)  # of no use under a drawing
        found |= {name.strip(): said for name in names.split(",")}
    return found | MEANINGS

"""Curves of the figures of a run over its steps."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from otdist.learn.wgan.monitor.check import Check
from otdist.pages.axis import PLOT_RIGHT
from otdist.pages.chart import Chart
from otdist.pages.drawing import PLOT_TOP, add, to_markup
from otdist.pages.formatting import format_number
from otdist.typing import Array

MAX_DRAWN_CHECKS = 400  # checks drawn in a curve; more would overlap
SMALL_HEIGHT = 150.0  # height of a figure with one line
BRACKET_FIGURES = ("lower", "upper", "estimate", "floor")
GAP_FIGURES = ("gap", "heldout_gap")
# Figures without a curve of their own: the axis, the time, and what other figures show.
DRAWN_ELSEWHERE = {"step", "seconds", "n", *BRACKET_FIGURES, *GAP_FIGURES}
FIGURE_GROUPS = {
    "Distance": ("debiased", "debiased_error", "pvalue", "mean_error", "drift"),
    "Quality and diversity": ("precision", "recall", "density", "coverage", "vendi", "spread"),
    "Copies": ("duplicates", "real_duplicates", "memorisation_pvalue", "closer"),
    "The critic": ("gap_ratio", "probe", "slope", "slope_99", "score", "heldout_gap_error", "excess_error"),
    "Training": ("gradient", "n_critic"),
}
FIGURE_LABELS = {
    "debiased": "W1, sampling noise taken off",
    "debiased_error": "standard error of it",
    "pvalue": "p-value, made against real",
    "mean_error": "distance between the means",
    "drift": "way of the mean since the last check",
    "vendi": "variety (Vendi score)",
    "duplicates": "near duplicates, made",
    "real_duplicates": "near duplicates, real",
    "memorisation_pvalue": "p-value of copying",
    "closer": "nearer to the training data",
    "gap_ratio": "critic, as a share of the best",
    "probe": "gain from more critic steps",
    "slope": "critic's gradient norm, mean",
    "slope_99": "critic's gradient norm, 99 %",
    "score": "critic's largest score",
    "heldout_gap_error": "standard error, held-out gap",
    "excess_error": "standard error, gap less held-out gap",
    "lower": "W1 between the distributions, at least",
    "upper": "W1 between the distributions, at most",
    "estimate": "W1 between samples",
    "floor": "floor: W1 between real samples",
    "gap": "critic's gap, training points",
    "heldout_gap": "critic's gap, held-out points",
    "gradient": "generator's gradient norm",
    "n_critic": "critic steps per generator step",
}
MIN_CURVE_CHECKS = 3  # number of checks from which curves are drawn instead of a table
FIRST_TABLE_GROUP = {"W1 and the critic's gap": (*BRACKET_FIGURES, *GAP_FIGURES)}  # shown as curves otherwise
OTHER_GROUP = "Further figures"
FIGURE_MEANINGS = {
    "lower": "Lower bound at 95 %: mean difference of a 1-Lipschitz function on independent points.",
    "upper": "Upper bound at 95 %: W1 between samples, biased upwards, and a margin for its noise.",
    "gap": "Mean score of training points less the mean score of generated ones.",
    "heldout_gap": "Mean score of held-out points less the mean score of the same generated ones.",
    "heldout_gap_error": "Standard error of the critic's gap on held-out points.",
    "excess_error": "Standard error of the gap on training points less the gap on held-out points.",
    "precision": "Share of fakes in a neighbourhood of a real point.",
    "recall": "Share of real points in a neighbourhood of a fake.",
    "density": "Mean number of neighbourhoods of real points that contain a fake, relative to real points.",
    "coverage": "Share of real points with a fake in their neighbourhood.",
}


@dataclass(frozen=True)
class Figure:
    """A drawing with name and caption, or values if there are too few checks for a curve."""

    drawing: Markup | None
    name: str = ""
    caption: str = ""
    values: tuple[str, ...] = ()


def draw_bracket(history: Sequence[Check], alarms: Sequence[int], *, late: bool = False) -> Figure | None:
    """Draw the bracket of W1, the estimate and the floor; with ``late`` without the first checks.

    Returns None for fewer than three checks.
    """
    steps, values = _tabulate(history)
    first = _late_start(values.get("upper", np.array([]))) if late else 0
    if first is None:
        return None
    steps, values = steps[first:], {name: column[first:] for name, column in values.items()}
    values_drawn = [values[name] for name in BRACKET_FIGURES if name in values]
    chart = (
        Chart.from_values(steps, np.concatenate(values_drawn), whole=True)
        if values_drawn and len(steps) >= MIN_CURVE_CHECKS
        else None
    )
    if chart is None:
        return None
    part = f" from step {steps[0]:,.0f} on" if late else ""
    root = chart.draw_frame(f"W1 between data and samples over steps{part}")
    for step in sorted({s for s in alarms if steps[0] <= s <= steps[-1]}):
        x = float(chart.axis.transform(np.array(float(step))))
        y = float(chart.transform(np.array(chart.low)))
        add(root, "line", class_="alarm", x1=x, x2=x, y1=PLOT_TOP, y2=y)
    if "lower" in values and "upper" in values:
        chart.draw_band(root, steps, values["lower"], values["upper"])
    for name, class_ in (("floor", "floor"), ("estimate", "est")):
        if name in values:
            chart.draw_line(root, steps, values[name], class_)
    caption = f"The same{part}, on a scale of its own." if late else _thinning_note(len(history))
    return Figure(Markup(to_markup(root)), caption=caption)


def draw_gaps(history: Sequence[Check]) -> Figure | None:
    """Draw the critic's gaps on training and held-out points; None for fewer than three checks."""
    steps, values = _tabulate(history)
    values_drawn = [values[name] for name in GAP_FIGURES if name in values]
    chart = (
        Chart.from_values(steps, np.concatenate(values_drawn), whole=True)
        if values_drawn and len(steps) >= MIN_CURVE_CHECKS
        else None
    )
    if chart is None:
        return None
    root = chart.draw_frame("Gap of the critic on training and on held-out points over steps")
    for name, class_ in (("gap", "train"), ("heldout_gap", "held")):
        if name in values:
            chart.draw_line(root, steps, values[name], class_)
    return Figure(Markup(to_markup(root)))


def draw_others(history: Sequence[Check]) -> list[tuple[str, list[Figure]]]:
    """Draw every other figure of the checks, in groups."""
    steps, values = _tabulate(history)
    meanings = _read_meanings(type(history[-1])) if history else {}
    values_drawn = DRAWN_ELSEWHERE if len(steps) >= MIN_CURVE_CHECKS else {"step", "seconds", "n"}
    remaining = [name for name in values if name not in values_drawn]
    groups = FIGURE_GROUPS if len(steps) >= MIN_CURVE_CHECKS else FIRST_TABLE_GROUP | FIGURE_GROUPS
    groups = groups | {
        OTHER_GROUP: tuple(name for name in remaining if not any(name in g for g in groups.values()))
    }
    drawn_groups: list[tuple[str, list[Figure]]] = []
    for title, names in groups.items():
        figures = [_draw_figure(name, steps, values[name], meanings) for name in names if name in remaining]
        shown_figures = [figure for figure in figures if figure is not None]
        if shown_figures:
            drawn_groups.append((title, shown_figures))
    return drawn_groups


def label(name: str) -> str:
    """Return the displayed name of a figure of a check."""
    return FIGURE_LABELS.get(name, name.replace("_", " "))


def _draw_figure(name: str, steps: Array, values: Array, meanings: dict[str, str]) -> Figure | None:
    words, meaning = label(name), meanings.get(name, "")
    if len(steps) < MIN_CURVE_CHECKS:
        return Figure(None, words, meaning, tuple(format_number(float(value)) for value in values))
    chart = Chart.from_values(steps, values, height=SMALL_HEIGHT, whole=True)
    if chart is None:
        return None
    root = chart.draw_frame(f"{words} over steps")
    chart.draw_line(root, steps, values, "est")
    last = float(values[-1])  # not finite if the last check has none
    if math.isfinite(last):
        y = float(chart.transform(np.array(last)))
        add(root, "circle", class_="spot est", cx=PLOT_RIGHT, cy=y, r=3.0)
    return Figure(Markup(to_markup(root)), f"{words}: {format_number(last)}", meaning)


def _tabulate(history: Sequence[Check]) -> tuple[Array, dict[str, Array]]:
    """Return the steps and the values of each figure over them; missing values are NaN."""
    every = math.ceil(len(history) / MAX_DRAWN_CHECKS) if history else 1
    # Counted from the end, so that the last check is included.
    checks = list(history)[::-1][::every][::-1]
    records = [check.to_dict() for check in checks]
    names = {n for r in records for n, v in r.items() if isinstance(v, int | float) and v is not True}
    order = [name for name in (records[-1] if records else {}) if name in names]
    values = {
        name: np.array([np.nan if (value := r.get(name)) is None else float(value) for r in records])
        for name in order
    }
    return np.array([float(check.step) for check in checks]), values


def _late_start(upper: Array) -> int | None:
    """Return the first check after which all are far below the highest; None for too few checks, or all."""
    if len(upper) < 6 or not np.isfinite(upper).all():
        return None
    low = np.flatnonzero(upper > 0.3 * upper.max())
    first = int(low[-1]) + 1
    return first if 0 < first <= len(upper) - 4 else None


def _thinning_note(checks: int) -> str:
    every = math.ceil(checks / MAX_DRAWN_CHECKS)
    return f"Every {every}th check is drawn." if every > 1 else ""


def _read_meanings(kind: type[Check]) -> dict[str, str]:
    """Read the meaning of each figure from the docstring of the check."""
    text = inspect.cleandoc(kind.__doc__ or "").partition("Attributes\n----------\n")[2]
    meanings: dict[str, str] = {}
    for names, body in re.findall(r"^(\w[\w, ]*) : .*\n((?:    .*\n?)+)", text, flags=re.M):
        meaning = " ".join(body.split())
        meaning = re.sub(r":\w+:`~?([\w.]+)`", lambda m: m[1].split(".")[-1], meaning).replace("``", "")
        meaning = re.sub(r"[;,.]? ?None if[^.]*", "", meaning)  # not needed under a drawing
        meanings |= {name.strip(): meaning for name in names.split(",")}
    return meanings | FIGURE_MEANINGS

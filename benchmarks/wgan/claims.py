"""What is said of Wasserstein GANs, measured with small ones: rows of docs/demonstrations.md.

``loss``: does the critic's loss follow the distance, and a classic GAN's? ``overfit``: what does a critic
say that has too few points? ``ratio``: how much of W1 does it see after 1, 2, 5, 10 steps, and what is best
at equal cost? ``sweep``: over learning rates and critic steps, which runs arrive? ``collapse``: which runs
lose modes, and which checks see it? ``synthetic``: is a classifier as good when trained on generated digits
and wines? ``words``, ``series``: the same trainer on words of the documentation and on days of power.

One run of each setting, three of those about collapse: some twenty minutes of one core. These are short runs
of small networks, which rank settings; what long runs reach is measured elsewhere (modes.py). Run with
``python -m benchmarks.wgan.claims``; ``series`` needs data in aeon's wheel (``pip install --no-deps aeon``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import spearmanr

from benchmarks.wgan.claims_curves import RATIO, SETTINGS, measure_loss, measure_overfit, measure_ratio
from benchmarks.wgan.claims_forms import measure_series, measure_words
from benchmarks.wgan.claims_runs import (
    CASES,
    GAMES,
    METHODS,
    RATES,
    SPEEDS,
    TRAINERS,
    measure_collapse,
    measure_sweep,
    measure_synthetic,
)
from benchmarks.wgan.rows import Row, Study, cross, grid, run

KEYS = ("part", "data", "case", "method", "setting", "rate", "speed", "n_critic", "seed")
NEAR = 0.1  # W1 above the floor below which a run on the ring has arrived; its radius is 1
WATCHED = ("precision", "recall", "coverage", "vendi", "duplicates")


class Part(NamedTuple):
    """A claim: its rows, and a table of them."""

    rows: list[Row]
    measure: Callable[[Row], Row]
    title: str
    head: str
    lines: Callable[[list[Row]], Iterator[list[str]]]


def group(rows: list[Row], *names: str) -> Iterator[tuple[list[str], list[Row]]]:
    """Rows that differ in their seed only."""
    keys = dict.fromkeys(tuple(row[name] for name in names) for row in rows)
    for key in keys:
        yield [str(k) for k in key], [row for row in rows if tuple(row[name] for name in names) == key]


def each(rows: list[Row], value: str | Callable[[Row], float], form: str = "{:.3g}") -> str:
    """A value of every seed."""
    return ", ".join(form.format(row[value] if isinstance(value, str) else value(row)) for row in rows)


def measure_above(row: Row) -> float:
    return row["w1"] - row["floor"]


def has_arrived(row: Row) -> bool:
    """Whether a run on the ring found all modes and came near their law."""
    return row["modes"] == 8 and measure_above(row) < NEAR


def list_losses(rows: list[Row]) -> Iterator[list[str]]:
    for row in rows:
        exact = row["curves"]["exact"]
        curves = [row["curves"][name] for name in ("gap", "critic_loss", "generator_loss")]
        names = [str(row[name]) for name in ("data", "method", "setting", "seed")]
        ranks = [f"{spearmanr(curve, exact).statistic:+.2f}" for curve in curves]
        yield [*names, *ranks, f"{exact[0]:.3g} to {exact[-1]:.3g}"]


def list_overfits(rows: list[Row]) -> Iterator[list[str]]:
    for row in rows:
        for name, curve in row["curves"].items():
            train, held, best = curve["train"], curve["held"], int(np.argmax(curve["held"]))
            top = f"{held[best]:.3g} (step {curve['step'][best]:.0f})"
            yield [name, str(row["seed"]), f"{train[-1]:.3g}", top, f"{held[-1]:.3g}"]


def list_ratios(rows: list[Row]) -> Iterator[list[str]]:
    for name, own in group(rows, "n_critic"):
        cost = f"{own[0]['same_cost']} rounds: {each(own, 'last_same_cost')}"
        yield [*name, each(own, "ratio"), each(own, "last"), cost]


def list_sweeps(rows: list[Row]) -> Iterator[list[str]]:
    for name, own in group(rows, "method", "rate", "speed", "n_critic"):
        counts = each(own, "modes"), each(own, "touched")
        yield [*name, *counts, each(own, measure_above), each(own, has_arrived, "{!s}")]


def list_collapses(rows: list[Row]) -> Iterator[list[str]]:
    for name, own in group(rows, "case", "method"):
        cells = [each([row["curves"] for row in own], lambda r, n=n: r[n][-1], "{:.2f}") for n in WATCHED]
        alarms = ", ".join(sorted({name for row in own for _, name in row["alarms"]}))
        counts = each(own, "modes"), each(own, "touched")
        yield [*name, *counts, *cells, each(own, measure_above, "{:.2f}"), alarms]


def list_synthetics(rows: list[Row]) -> Iterator[list[str]]:
    for name, own in group(rows, "data", "method"):
        yield name + [each(own, kind, "{:.1%}") for kind in ("real", "generated", "gaussian", "both")]


def list_words(rows: list[Row]) -> Iterator[list[str]]:
    for row in rows:
        for kind in ("generated", "letters", "chain", "real"):
            shares = [f"{row[kind][name]:.1%}" for name in ("words", "pairs", "distinct")]
            yield [row["method"], str(row["seed"]), kind, *shares, str(row[kind]["distinct_real"])]


def list_days(rows: list[Row]) -> Iterator[list[str]]:
    for row in rows:
        for kind in ("generated", "gaussian", "noise", "real"):
            cells = [f"{row[kind][name]:.3f}" for name in ("w1", "dtw")]
            yield [row["method"], str(row["seed"]), kind, *cells]


ONCE, TWO = [0], ("w1", "gan")
PARTS = {
    "loss": Part(
        cross(data=("ring", "digits"), method=TWO, setting=range(len(SETTINGS)), seed=ONCE),
        measure_loss,
        "Spearman's correlation with the exact distance, over the checks of a run",
        "data | method | setting | seed | held-out gap | critic's loss | generator's loss | W1, scaled",
        list_losses,
    ),
    "overfit": Part(
        cross(seed=ONCE),
        measure_overfit,
        "Critics of 128 units and few digits; one generator",
        "critic, digits | seed | gap at the end | best held-out gap | held-out gap at the end",
        list_overfits,
    ),
    "ratio": Part(
        cross(n_critic=RATIO, seed=ONCE),
        measure_ratio,
        "Ring: held-out gap over W1",
        "n_critic | ratio | W1 after 400 rounds | W1 at equal cost",
        list_ratios,
    ),
    "sweep": Part(
        [row | speed for row in cross(method=METHODS, rate=RATES, seed=ONCE) for speed in SPEEDS],
        measure_sweep,
        "Ring, 1,000 rounds",
        "method | rate | critic's over it | critic steps | modes | touched | W1 above the floor | arrived",
        list_sweeps,
    ),
    "collapse": Part(
        cross(seed=range(3), case=CASES, method=GAMES),
        measure_collapse,
        "Ring, 1,000 rounds",
        "speeds | game | modes | touched | precision | recall | coverage | Vendi | duplicates"
        " | W1 above the floor | alarms",
        list_collapses,
    ),
    "synthetic": Part(
        cross(data=("wine", "digits"), method=TRAINERS, seed=ONCE),
        measure_synthetic,
        "Accuracy on real rows, trained on",
        "data | method | real | generated | Gaussian | real and generated",
        list_synthetics,
    ),
    "words": Part(
        cross(method=TWO, seed=ONCE),
        measure_words,
        "Words that are real",
        "method | seed | source | words | pairs of letters | different | different real words",
        list_words,
    ),
    "series": Part(
        cross(method=TWO, seed=ONCE),
        measure_series,
        "Days of power, against days kept aside",
        "method | seed | source | W1 | DTW",
        list_days,
    ),
}


def table(rows: Sequence[Row]) -> str:
    """A table for each part that has rows; runs that failed are named."""
    drawn = []
    for name, part in PARTS.items():
        own = [row for row in rows if row["part"] == name]
        good = [row for row in own if row["status"] == "ok"]
        drawn += [f"{part.title}\n\n{grid(part.head, part.lines(good))}"] if own else []
        drawn += [f"Not finite: {row}" for row in own if row["status"] != "ok"]
    return "\n\n".join(drawn)


if __name__ == "__main__":
    plan = [{"part": name} | row for name, part in PARTS.items() for row in part.rows]
    run(Study("wgan_claims", KEYS, plan, lambda row: PARTS[row["part"]].measure(row), table))

"""Tables of the rows, in Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy.stats import spearmanr

Row = dict[str, Any]
MODES, ABOVE = ("modes", "touched"), "W1 above the floor"
NEAR = 0.1  # W1 above the floor below which a run on the ring has arrived; its radius is 1


def arrived(row: Row) -> bool:
    """Whether a run on the ring found all modes and came near their law."""
    return row["status"] == "ok" and row["modes"] == 8 and row["w1"] - row["floor"] < NEAR


def rank(row: Row, name: str) -> float:
    """Spearman's correlation of a curve with the exact distance."""
    return float(spearmanr(row["curves"][name], row["curves"]["exact"]).statistic)


def grid(head: list[str], lines: list[list[str]]) -> str:
    """A table in Markdown."""
    rule = ["---"] * len(head)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, rule, *lines])


def tables(rows: list[Row]) -> str:
    """A table for each part that has rows; runs that failed are named."""
    drawn = []
    for part, (title, head, lines) in PARTS.items():
        own = [row for row in rows if row["part"] == part]
        if own:
            good = [row for row in own if row["status"] == "ok"]
            drawn.append(f"{title}\n\n{grid(head, list(lines(good)))}")
            drawn += [f"Not finite: {row}" for row in own if row["status"] != "ok"]
    return "\n\n".join(drawn)


def groups(rows: list[Row], *names: str) -> Iterator[tuple[list[str], list[Row]]]:
    """Rows that differ in their seed only."""
    keys = dict.fromkeys(tuple(row[name] for name in names) for row in rows)
    for key in keys:
        yield [str(k) for k in key], [r for r in rows if tuple(r[n] for n in names) == key]


def each(rows: list[Row], value: Callable[[Row], float], form: str = "{:.3g}") -> str:
    """A value of every seed."""
    return ", ".join(form.format(value(row)) for row in rows)


def losses(rows: list[Row]) -> Iterator[list[str]]:
    for row in rows:
        first, *_, last = row["curves"]["exact"]
        cells = [f"{rank(row, name):+.2f}" for name in ("gap", "critic_loss", "generator_loss")]
        yield (
            [f"{row[n]}" for n in ("data", "method", "setting", "seed")]
            + cells
            + [f"{first:.3g} to {last:.3g}"]
        )


def overfits(rows: list[Row]) -> Iterator[list[str]]:
    for row in rows:
        for name, curve in row["curves"].items():
            best = int(np.argmax(curve["held"]))
            cells = [
                f"{curve['train'][-1]:.3g}",
                f"{curve['held'][best]:.3g} (step {curve['step'][best]:.0f})",
            ]
            yield [name, str(row["seed"]), *cells, f"{curve['held'][-1]:.3g}"]


def ratios(rows: list[Row]) -> Iterator[list[str]]:
    for name, own in groups(rows, "n_critic"):
        cost = f"{own[0]['same_cost']} rounds: " + each(own, lambda r: r["last_same_cost"])
        yield [*name, each(own, lambda r: r["ratio"]), each(own, lambda r: r["last"]), cost]


def sweeps(rows: list[Row]) -> Iterator[list[str]]:
    for name, own in groups(rows, "method", "rate", "speed", "n_critic"):
        above = each(own, lambda r: r["w1"] - r["floor"])
        counts = [each(own, lambda r, n=n: r[n]) for n in ("modes", "touched")]  # type: ignore[misc]
        yield [*name, *counts, above, each(own, arrived, "{!s}")]


def collapses(rows: list[Row]) -> Iterator[list[str]]:
    for name, own in groups(rows, "case", "method"):
        counts = [each(own, lambda r, n=n: r[n]) for n in ("modes", "touched")]  # type: ignore[misc]
        watched = ("precision", "recall", "coverage", "vendi", "duplicates")
        cells = [each(own, lambda r, n=n: r["curves"][n][-1], "{:.2f}") for n in watched]  # type: ignore[misc]
        alarms = ", ".join(sorted({name for row in own for _, name in row["alarms"]}))
        yield [*name, *counts, *cells, each(own, lambda r: r["w1"] - r["floor"], "{:.2f}"), alarms]


def synthetics(rows: list[Row]) -> Iterator[list[str]]:
    for name, own in groups(rows, "data", "method"):
        kinds = ("real", "generated", "gaussian", "both")
        yield name + [each(own, lambda r, k=k: r[k], "{:.1%}") for k in kinds]  # type: ignore[misc]


def spelling(rows: list[Row]) -> Iterator[list[str]]:
    for row in rows:
        for kind in ("generated", "letters", "chain", "real"):
            told = row[kind]
            shares = [f"{told[name]:.1%}" for name in ("words", "pairs", "distinct")]
            yield [row["method"], str(row["seed"]), kind, *shares, str(told["distinct_real"])]


def days(rows: list[Row]) -> Iterator[list[str]]:
    for row in rows:
        for kind in ("generated", "gaussian", "noise", "real"):
            cells = [f"{row[kind][name]:.3f}" for name in ("w1", "dtw")]
            yield [row["method"], str(row["seed"]), kind, *cells]


PARTS: dict[str, tuple[str, list[str], Callable[[list[Row]], Iterator[list[str]]]]] = {
    "loss": (
        "Spearman's correlation with the exact distance, over the checks of a run",
        [
            "data",
            "method",
            "setting",
            "seed",
            "held-out gap",
            "critic's loss",
            "generator's loss",
            "W1, scaled",
        ],
        losses,
    ),
    "overfit": (
        "Critics of 128 units and few digits; one generator",
        ["critic, digits", "seed", "gap at the end", "best held-out gap", "held-out gap at the end"],
        overfits,
    ),
    "ratio": (
        "Ring: held-out gap over W1",
        ["n_critic", "ratio", "W1 after 400 rounds", "W1 at equal cost"],
        ratios,
    ),
    "sweep": (
        "Ring, 1,000 rounds",
        ["method", "rate", "critic's over it", "critic steps", *MODES, ABOVE, "arrived"],
        sweeps,
    ),
    "collapse": (
        "Ring, 1,000 rounds",
        ["speeds", "game", *MODES, "precision", "recall", "coverage", "Vendi", "duplicates", ABOVE, "alarms"],
        collapses,
    ),
    "synthetic": (
        "Accuracy on real rows, trained on",
        ["data", "method", "real", "generated", "Gaussian", "real and generated"],
        synthetics,
    ),
    "words": (
        "Words that are real",
        ["method", "seed", "source", "words", "pairs of letters", "different", "different real words"],
        spelling,
    ),
    "series": ("Days of power, against days kept aside", ["method", "seed", "source", "W1", "DTW"], days),
}

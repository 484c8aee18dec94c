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
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import spearmanr

from benchmarks.wgan import claims_curves as curves
from benchmarks.wgan import claims_runs as runs
from benchmarks.wgan.rows import Row, Study, cross, grid, is_ok, run

KEYS = ("part", "data", "case", "method", "setting", "rate", "speed", "n_critic", "seed")
NEAR = 0.1  # W1 above the floor below which a run on the ring has arrived; its radius is 1
WATCHED = ("precision", "recall", "coverage", "vendi", "duplicates")
KINDS = ("generated", "letters", "chain", "gaussian", "noise", "real")  # of words and days


class Part(NamedTuple):
    """A claim: its rows, and a table of them, with a line for all that differ in their seed only."""

    rows: list[Row]
    measure: Callable[[Row], Row]
    title: str
    head: str
    keys: tuple[str, ...]
    line: str
    prepare: Callable[[Row], list[Row]] = lambda row: [row]


class Seeds(list[Any]):
    """Values of several seeds, which are formatted one by one."""

    def __format__(self, spec: str) -> str:
        return ", ".join(format(value, spec) for value in self)


def join_seeds(rows: Sequence[Row], keys: tuple[str, ...]) -> Iterator[Row]:
    """Values by the name of their entry, and all alarms."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    for key, own in groups.items():
        alarms = {name for row in own for _, name in row.get("alarms", ())}
        told = {name: Seeds(row[name] for row in own) for name in own[0]}
        yield told | dict(zip(keys, key, strict=True)) | {"alarms": ", ".join(sorted(alarms))}


def prepare_loss(row: Row) -> list[Row]:
    exact = row["curves"]["exact"]
    ranks = {name: spearmanr(curve, exact).statistic for name, curve in row["curves"].items()}
    return [row | ranks | {"first": exact[0], "last": exact[-1]}]


def prepare_overfit(row: Row) -> list[Row]:
    told = []
    for name, curve in row["curves"].items():
        best = int(np.argmax(curve["held"]))
        told.append(row | {"name": name, "train": curve["train"][-1], "held": curve["held"][-1]})
        told[-1] |= {"best": curve["held"][best], "step": curve["step"][best]}
    return told


def prepare_ring(row: Row) -> list[Row]:
    """W1 above the floor, and whether a run found all modes and came near their law; the last check."""
    above = row["w1"] - row["floor"]
    last = {name: row["curves"][name][-1] for name in WATCHED if "curves" in row}
    return [row | last | {"above": above, "arrived": str(row["modes"] == 8 and above < NEAR)}]


def prepare_kinds(row: Row) -> list[Row]:
    return [row | {"kind": kind} | row[kind] for kind in KINDS if kind in row]


ONCE, TWO = [0], ("w1", "gan")
PARTS = {
    "loss": Part(
        cross(data=("ring", "digits"), method=TWO, setting=range(len(curves.SETTINGS)), seed=ONCE),
        curves.measure_loss,
        "Spearman's correlation with the exact distance, over the checks of a run",
        "data | method | setting | seed | held-out gap | critic's loss | generator's loss | W1, scaled",
        ("data", "method", "setting", "seed"),
        "{gap:+.2f} | {critic_loss:+.2f} | {generator_loss:+.2f} | {first:.3g} to {last:.3g}",
        prepare_loss,
    ),
    "overfit": Part(
        cross(seed=ONCE),
        curves.measure_overfit,
        "Critics of 128 units and few digits; one generator",
        "critic, digits | seed | gap at the end | best held-out gap | held-out gap at the end",
        ("name", "seed"),
        "{train:.3g} | {best:.3g} (step {step:.0f}) | {held:.3g}",
        prepare_overfit,
    ),
    "ratio": Part(
        cross(n_critic=curves.RATIO, seed=ONCE),
        curves.measure_ratio,
        "Ring: held-out gap over W1",
        "n_critic | ratio | W1 after 400 rounds | W1 at equal cost",
        ("n_critic",),
        "{ratio:.3g} | {last:.3g} | {same_cost[0]} rounds: {last_same_cost:.3g}",
    ),
    "sweep": Part(
        [
            row | speed
            for row in cross(method=runs.METHODS, rate=runs.RATES, seed=ONCE)
            for speed in runs.SPEEDS
        ],
        runs.measure_sweep,
        "Ring, 1,000 rounds",
        "method | rate | critic's over it | critic steps | modes | touched | W1 above the floor | arrived",
        ("method", "rate", "speed", "n_critic"),
        "{modes} | {touched} | {above:.3g} | {arrived}",
        prepare_ring,
    ),
    "collapse": Part(
        cross(seed=range(3), case=runs.CASES, method=runs.GAMES),
        runs.measure_collapse,
        "Ring, 1,000 rounds",
        "speeds | game | modes | touched | precision | recall | coverage | Vendi | duplicates"
        " | W1 above the floor | alarms",
        ("case", "method"),
        "{modes} | {touched} | {precision:.2f} | {recall:.2f} | {coverage:.2f} | {vendi:.2f}"
        " | {duplicates:.2f} | {above:.2f} | {alarms}",
        prepare_ring,
    ),
    "synthetic": Part(
        cross(data=("wine", "digits"), method=runs.TRAINERS, seed=ONCE),
        runs.measure_synthetic,
        "Accuracy on real rows, trained on",
        "data | method | real | generated | Gaussian | real and generated",
        ("data", "method"),
        "{real:.1%} | {generated:.1%} | {gaussian:.1%} | {both:.1%}",
    ),
    "words": Part(
        cross(method=TWO, seed=ONCE),
        runs.measure_words,
        "Words that are real",
        "method | seed | source | words | pairs of letters | different | different real words",
        ("method", "seed", "kind"),
        "{words:.1%} | {pairs:.1%} | {distinct:.1%} | {distinct_real}",
        prepare_kinds,
    ),
    "series": Part(
        cross(method=TWO, seed=ONCE),
        runs.measure_series,
        "Days of power, against days kept aside",
        "method | seed | source | W1 | DTW",
        ("method", "seed", "kind"),
        "{w1:.3f} | {dtw:.3f}",
        prepare_kinds,
    ),
}


def table(rows: Sequence[Row]) -> str:
    """A table for each part that has rows; runs that failed are named."""
    drawn = []
    for name, (_, _, title, head, keys, line, prepare) in PARTS.items():
        own = [row for row in rows if row["part"] == name]
        told = [part for row in own if is_ok(row) for part in prepare(row)]
        form = " | ".join([*(f"{{{key}}}" for key in keys), line])
        lines = [form.format(**row) for row in join_seeds(told, keys)]
        drawn += [f"{title}\n\n{grid(head, lines)}"] if own else []
        drawn += [f"Not finite: {row}" for row in own if not is_ok(row)]
    return "\n\n".join(drawn)


if __name__ == "__main__":
    plan = [{"part": name} | row for name, part in PARTS.items() for row in part.rows]
    run(Study("wgan_claims", KEYS, plan, lambda row: PARTS[row["part"]].measure(row), table))

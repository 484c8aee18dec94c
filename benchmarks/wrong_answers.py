"""Ordinary questions, and what the tools people use today answer.

Every row is computed here, now, with the versions installed; the truth is otdist's proved
interval, checked against a second way to know it. Run with
``python benchmarks/wrong_answers.py``; writes results/wrong_answers.json, and with ``--readme``
puts the table into README.md.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import ot
from harness import save
from scipy.spatial.distance import cdist
from scipy.stats import wasserstein_distance, wasserstein_distance_nd

import otdist

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- wrong answers: begin -->", "<!-- wrong answers: end -->"
Row = tuple[str, str, Callable[[], Any], Callable[[], Any]]


def questions() -> Iterator[Row]:
    """Question, tool, its answer, ours."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(50, 2)), rng.normal(0.5, 1, size=(50, 2))
    u = np.full(50, 1 / 50)

    yield (
        "coordinates in units of 1e-8",
        "`scipy.stats.wasserstein_distance_nd`",
        lambda: wasserstein_distance_nd(x * 1e-8, y * 1e-8) * 1e8,
        lambda: otdist.w1(x * 1e-8, y * 1e-8).value * 1e8,
    )
    yield (
        "costs in units of 1e-15",
        "`ot.emd2`",
        lambda: ot.emd2(u, u, cdist(x, y) * 1e-15) * 1e15,
        lambda: otdist.emd(cdist(x, y) * 1e-15).value * 1e15,
    )
    yield (
        "data with an offset of 1e8",
        "`ot.dist` + `ot.emd2`",
        lambda: ot.emd2(u, u, ot.dist(x + 1e8, y + 1e8, metric="euclidean")),
        lambda: otdist.w1(x + 1e8, y + 1e8).value,
    )
    yield (
        "a few pairs forbidden at 1e32 ([POT #229](https://github.com/PythonOT/POT/issues/229))",
        "`ot.emd2`",
        lambda: ot.emd2(MASS, MASS, FORBIDDEN),
        lambda: otdist.emd(FORBIDDEN, MASS, MASS).value,
    )
    spoiled = x.copy()
    spoiled[3, 0] = np.nan
    yield (
        "one NaN among 50 points",
        "`ot.emd2`",
        lambda: ot.emd2(u, u, cdist(spoiled, y)),
        lambda: otdist.w1(spoiled, y).value,
    )
    negative = u.copy()
    negative[:2] = [-0.02, 0.06]
    yield (
        "one negative weight",
        "`ot.emd2`",
        lambda: ot.emd2(negative, u, cdist(x, y)),
        lambda: otdist.w1(x, y, negative),
    )
    yield (
        "stopped after 50 pivots",
        "`ot.emd2(numItermax=50)`",
        lambda: ot.emd2(u, u, cdist(x, y), numItermax=50),
        lambda: otdist.w1(x, y, max_iter=50),
    )
    for solver in ("sinkhorn", "sinkhorn_stabilized"):
        yield (
            "entropic, regularisation 1e-3",
            f"`ot.sinkhorn2(method='{solver}')`",
            lambda solver=solver: ot.sinkhorn2(u, u, cdist(x, y), 1e-3, method=solver),
            lambda: otdist.w1(x, y).value,
        )
    yield (
        "two clouds, default options (it is W2 squared)",
        "`ot.solve_sample(x, y).value`",
        lambda: ot.solve_sample(x, y).value,
        lambda: otdist.w1(x, y).value,
    )
    yield (
        "W1 as a loss, default options (entropic, without a bound)",
        "`geomloss.SamplesLoss(p=1)`",
        lambda: _geomloss(x, y),
        lambda: otdist.w1(x, y).value,
    )
    masked = np.ma.array([0.0, 1.0, 100.0], mask=[False, False, True])
    yield (
        "a masked outlier",
        "`scipy.stats.wasserstein_distance`",
        lambda: wasserstein_distance(masked, [0.0, 1.0]),
        lambda: otdist.w1(masked, [0.0, 1.0], nan_policy="omit").value,
    )


def _geomloss(x: np.ndarray, y: np.ndarray) -> float:
    import torch
    from geomloss import SamplesLoss

    return SamplesLoss("sinkhorn", p=1)(torch.tensor(x), torch.tensor(y)).item()


FORBIDDEN = np.array(
    [
        [2.50275352e02, 3.74653218e02, 2.41352736e03, 1e32, 1.51751540e-03],
        [2.13082030e02, 3.28812836e02, 2.29487946e03, 1e32, 1.37109800e-01],
        [1.97333083e02, 3.09175848e02, 2.24250550e03, 1e32, 2.46506283e00],
        [1e32, 1e32, 1e32, 5.26223432e00, 2.5e31],
        [3.84690152e01, 8.09465684e01, 3.33064175e02, 2.5e31, 0.0],
    ]
)
MASS = np.array([0.125, 0.125, 0.125, 0.125, 0.5])


def ask(answer: Callable[[], Any]) -> str:
    """Answer in at most a few words."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            given = answer()
    except Exception as error:
        return (
            f"{type(error).__name__}: {error.problem}"
            if isinstance(error, otdist.InputError)
            else type(error).__name__
        )
    if isinstance(given, otdist.Result):
        return f"in [{given.lower:.4g}, {given.upper:.4g}]"
    return f"{float(given):.4g}"


def main() -> None:
    rows = [
        {"question": question, "tool": tool, "answer": ask(theirs), "otdist": ask(ours)}
        for question, tool, theirs, ours in questions()
    ]
    lines = ["| question | tool | it answers | otdist answers |", "| --- | --- | --- | --- |"]
    lines += [f"| {row['question']} | {row['tool']} | {row['answer']} | {row['otdist']} |" for row in rows]
    table = "\n".join(lines)
    print(table)
    print(save("wrong_answers", rows))
    if "--readme" in sys.argv:
        text = README.read_text()
        before, after = text.split(BEGIN)[0], text.split(END)[1]
        README.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}")


if __name__ == "__main__":
    main()

"""Ordinary questions, and what the tools people use today answer.

Every row is computed here, now, with the versions installed; the truth is otdist's proved interval, checked
against a second way to know it. ``--readme`` puts the table into README.md.
"""

import warnings
from functools import partial
from pathlib import Path

import numpy as np
import ot
from scipy.spatial.distance import cdist
from scipy.stats import wasserstein_distance, wasserstein_distance_nd

import otdist
from benchmarks.common.script import run_script

README = Path(__file__).parents[2] / "README.md"
BEGIN, END = "<!-- wrong answers: begin -->", "<!-- wrong answers: end -->"
HEAD = "| question | tool | it answers | otdist answers |\n| --- | --- | --- | --- |"
EMD2, SCIPY = "`ot.emd2`", "`scipy.stats.wasserstein_distance`"
POT_229 = "a few pairs forbidden at 1e32 ([POT #229](https://github.com/PythonOT/POT/issues/229))"
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


def list_questions():
    """Question, tool, its answer, ours, and what they are multiplied by."""
    rng, w1, emd2 = np.random.default_rng(0), partial(partial, otdist.w1), partial(partial, ot.emd2)
    x, y = rng.normal(size=(50, 2)), rng.normal(0.5, 1, size=(50, 2))
    cost, u, spoiled, negative = cdist(x, y), np.full(50, 1 / 50), x.copy(), np.full(50, 1 / 50)
    spoiled[3, 0] = np.nan
    negative[:2] = [-0.02, 0.06]
    masked = np.ma.array([0.0, 1.0, 100.0], mask=[False, False, True])
    tiny, far = (x * 1e-8, y * 1e-8), (x + 1e8, y + 1e8)
    theirs = partial(wasserstein_distance_nd, *tiny)
    yield "coordinates in units of 1e-8", "`scipy.stats.wasserstein_distance_nd`", theirs, w1(*tiny), 1e8
    ours = partial(otdist.emd, cost * 1e-15)
    yield "costs in units of 1e-15", EMD2, emd2(u, u, cost * 1e-15), ours, 1e15
    theirs = emd2(u, u, ot.dist(*far, metric="euclidean"))
    yield "data with an offset of 1e8", "`ot.dist` + `ot.emd2`", theirs, w1(*far), 1
    ours = partial(otdist.emd, FORBIDDEN, MASS, MASS)
    yield POT_229, EMD2, emd2(MASS, MASS, FORBIDDEN), ours, 1
    yield "one NaN among 50 points", EMD2, emd2(u, u, cdist(spoiled, y)), w1(spoiled, y), 1
    yield "one negative weight", EMD2, emd2(negative, u, cost), w1(x, y, negative), 1
    theirs, ours = emd2(u, u, cost, numItermax=50), w1(x, y, method="dense", max_iter=50)
    yield "stopped after 50 pivots", "`ot.emd2(numItermax=50)`", theirs, ours, 1
    for solver in ("sinkhorn", "sinkhorn_stabilized"):
        tool, theirs = f"`ot.sinkhorn2(method='{solver}')`", partial(ot.sinkhorn2, u, u, cost, 1e-3, solver)
        yield "entropic, regularisation 1e-3", tool, theirs, w1(x, y), 1
    question, theirs = "two clouds, default options (it is W2 squared)", partial(ot.solve_sample, x, y)
    yield question, "`ot.solve_sample(x, y).value`", theirs, w1(x, y), 1
    question, theirs = "W1 as a loss, default options (entropic, without a bound)", partial(_geomloss, x, y)
    yield question, "`geomloss.SamplesLoss(p=1)`", theirs, w1(x, y), 1
    theirs = partial(wasserstein_distance, masked, [0.0, 1.0])
    yield "a masked outlier", SCIPY, theirs, w1(masked, [0.0, 1.0], nan_policy="omit"), 1


def _geomloss(x, y):
    import torch
    from geomloss import SamplesLoss

    return SamplesLoss("sinkhorn", p=1)(torch.tensor(x), torch.tensor(y))


def ask(answer, unit):
    """Answer in at most a few words; with bounds where a limit ended the call."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            given = answer()
    except Exception as error:
        problem = f": {error.problem}" if isinstance(error, otdist.InputError) else ""
        return f"{type(error).__name__}{problem}"
    if isinstance(given, otdist.Result) and not given.converged:
        return f"in [{given.lower * unit:.4g}, {given.upper * unit:.4g}]"
    return f"{float(getattr(given, 'value', given)) * unit:.4g}"


def measure(options):
    rows = []
    for question, tool, theirs, ours, unit in list_questions():
        answers = {"answer": ask(theirs, unit), "otdist": ask(ours, unit)}
        rows.append({"question": question, "tool": tool} | answers)
    if options.readme:
        text, table = README.read_text(), "\n".join([HEAD, *map(line_of, rows)])
        README.write_text(f"{text.split(BEGIN)[0]}{BEGIN}\n{table}\n{END}{text.split(END)[1]}")
    return rows


def line_of(row):
    return "| {question} | {tool} | {answer} | {otdist} |".format(**row)


if __name__ == "__main__":
    readme = (False, "put the table into README.md")
    run_script("wrong_answers", __doc__, measure, line_of, head=HEAD, readme=readme)

"""What the calls answer that the pages on moving over replace, where the tests cannot run them.

Each package lives in an environment of its own, whose Python a variable names: OTDIST_BENCH_OTT,
OTDIST_BENCH_ENERGYFLOW; one that is not set keeps its rows. tests/docs/test_docs.py holds the pages in
docs/howto to the results.
"""

import os
from importlib.resources import files

import numpy as np
import pandas as pd

import otdist
from benchmarks.common.apart import apart
from benchmarks.common.harness import load
from benchmarks.common.script import run_script

NAME, LIMIT = "moving_over", 600.0  # seconds
ONE = np.array([[100.0, 0.1, 6.2], [50.0, 0.3, 0.1], [20.0, -0.2, 6.1]])  # pT, y, phi
TWO = np.array([[90.0, 0.0, 0.1], [60.0, 0.3, 6.2]])
ANGLE = otdist.metrics.periodic([None, 2 * np.pi])
BIRDS = pd.read_csv(str(files("otdist") / "data/penguins.csv")).dropna()
BILLS = BIRDS[["bill_length_mm", "bill_depth_mm"]]  # of two species, in millimetres
X, Y = (BILLS[BIRDS.species == name].to_numpy() for name in ("Adelie", "Chinstrap"))

OTT = """
from ott.geometry import costs, pointcloud
from ott.solvers import linear
from ott.tools.sinkhorn_divergence import sinkdiv
"""
CODE = """
import json
import numpy as np
from importlib.metadata import version
x, y, one, two = map(np.array, {data})
{imports}
print(json.dumps(dict(version=version({package!r}), answer=float({call}))))
"""
ENERGYFLOW = "from energyflow.emd import emd\n"


def list_questions():
    """Package, imports, call, digits shown in the pages, our answer."""
    squared = "linear.solve(pointcloud.PointCloud(x, y)).reg_ot_cost"
    itself = "linear.solve(pointcloud.PointCloud(x, x)).reg_ot_cost"
    euclidean = "pointcloud.PointCloud(x, y, cost_fn=costs.Euclidean(), epsilon=0.5)"
    mean = float(np.linalg.norm(X[:, None] - Y[None], axis=2).mean())
    entropic = otdist.w1(X, Y, method="sinkhorn", eps=0.5 / mean).info["objective"]
    divergence = otdist.sinkhorn_divergence(X, Y, p=2, eps_abs=10.0).value
    yield "ott-jax", OTT, squared, ".2f", otdist.wasserstein(X, Y, p=2).value ** 2
    yield "ott-jax", OTT, itself, ".2f", otdist.w1(X, X).value
    yield "ott-jax", OTT, f"linear.solve({euclidean}).reg_ot_cost", ".2f", entropic
    yield "ott-jax", OTT, "sinkdiv(x, y, epsilon=10.0)[0]", ".1f", divergence
    reach = otdist.unbalanced_w1(ONE[:, 1:], TWO[:, 1:], ONE[:, 0], TWO[:, 0], reach=1.0, metric=ANGLE).value
    yield "energyflow", ENERGYFLOW, "emd(one, two, R=1.0, periodic_phi=True, phi_col=2)", ".4f", reach
    yield "energyflow", ENERGYFLOW, "emd(one, two, R=1.0)", ".4f", reach


def measure(options):
    kept = {row["call"]: row for row in load(NAME) or []}
    data = [part.tolist() for part in (X, Y, ONE, TWO)]
    for package, imports, call, digits, ours in list_questions():
        if python := os.environ.get(f"OTDIST_BENCH_{package.split('-')[0].upper()}"):
            code = CODE.format(data=data, imports=imports, package=package, call=call)
            found = apart([python, "-W", "ignore", "-c", code], LIMIT)
            assert "answer" in found, found
            answers = {"answer": f"{found['answer']:{digits}}", "otdist": f"{ours:{digits}}"}
            kept[call] = {"package": package, "version": found["version"], "call": call} | answers
    yield from kept.values()


if __name__ == "__main__":
    run_script(NAME, __doc__, measure, str)

"""What the calls answer that the pages on moving over replace, where the tests cannot run them.

Each package lives in an environment of its own, whose Python a variable names: OTDIST_BENCH_OTT,
OTDIST_BENCH_ENERGYFLOW. Run with ``python benchmarks/moving_over.py``; writes results/moving_over.json, which
tests/docs/test_docs.py holds the pages in docs/howto to. A package whose variable is not set keeps its rows.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from harness import load, save

import otdist

BILL = ["bill_length_mm", "bill_depth_mm"]
ONE = np.array([[100.0, 0.1, 6.2], [50.0, 0.3, 0.1], [20.0, -0.2, 6.1]])  # pT, y, phi
TWO = np.array([[90.0, 0.0, 0.1], [60.0, 0.3, 6.2]])
ANGLE = otdist.metrics.periodic([None, 2 * np.pi])

OTT = """
from ott.geometry import costs, pointcloud
from ott.solvers import linear
from ott.tools.sinkhorn_divergence import sinkdiv
"""
ENERGYFLOW = "from energyflow.emd import emd\n"
Row = tuple[str, str, str, str, float]


def bills() -> tuple[np.ndarray, np.ndarray]:
    """Length and depth of the bills of two species, in millimetres."""
    from importlib.resources import files

    birds = pd.read_csv(str(files("otdist") / "data/penguins.csv")).dropna()
    x, y = (birds.loc[birds.species == name, BILL].to_numpy() for name in ("Adelie", "Chinstrap"))
    return x, y


def questions() -> Iterator[Row]:
    """Package, imports, call, digits shown in the pages, our answer."""
    x, y = bills()
    squared = "linear.solve(pointcloud.PointCloud(x, y)).reg_ot_cost"
    itself = "linear.solve(pointcloud.PointCloud(x, x)).reg_ot_cost"
    euclidean = "pointcloud.PointCloud(x, y, cost_fn=costs.Euclidean(), epsilon=0.5)"
    mean = float(np.linalg.norm(x[:, None] - y[None], axis=2).mean())
    entropic = otdist.w1(x, y, method="sinkhorn", eps=0.5 / mean).info["objective"]
    divergence = otdist.sinkhorn_divergence(x, y, p=2, eps_abs=10.0).value
    yield "ott-jax", OTT, squared, ".2f", otdist.wasserstein(x, y, p=2).value ** 2
    yield "ott-jax", OTT, itself, ".2f", otdist.w1(x, x).value
    yield "ott-jax", OTT, f"linear.solve({euclidean}).reg_ot_cost", ".2f", entropic
    yield "ott-jax", OTT, "sinkdiv(x, y, epsilon=10.0)[0]", ".1f", divergence
    reach = otdist.unbalanced_w1(ONE[:, 1:], TWO[:, 1:], ONE[:, 0], TWO[:, 0], reach=1.0, metric=ANGLE).value
    yield "energyflow", ENERGYFLOW, "emd(one, two, R=1.0, periodic_phi=True, phi_col=2)", ".4f", reach
    yield "energyflow", ENERGYFLOW, "emd(one, two, R=1.0)", ".4f", reach


def ask(python: str, package: str, imports: str, call: str) -> tuple[str, float]:
    """Version of the package, and its answer in its own environment."""
    x, y = bills()
    data = {"x": x.tolist(), "y": y.tolist(), "one": ONE.tolist(), "two": TWO.tolist()}
    code = f"""
import json, sys
import numpy as np
from importlib.metadata import version
globals().update({{name: np.array(rows) for name, rows in json.load(sys.stdin).items()}})
{imports}
print(version({package!r}), float({call}))
"""
    command = [python, "-W", "ignore", "-c", code]
    done = subprocess.run(command, input=json.dumps(data), capture_output=True, text=True, check=True)
    version, answer = done.stdout.split()[-2:]
    return version, float(answer)


def main() -> None:
    kept: dict[str, Any] = {row["call"]: row for row in load("moving_over") or []}
    for package, imports, call, digits, ours in questions():
        python = os.environ.get(f"OTDIST_BENCH_{package.split('-')[0].upper()}")
        if python is None:
            continue
        version, answer = ask(python, package, imports, call)
        kept[call] = {"package": package, "version": version, "call": call, "answer": f"{answer:{digits}}"}
        kept[call]["otdist"] = f"{ours:{digits}}"
        print(kept[call])
    print(save("moving_over", list(kept.values())))


if __name__ == "__main__":
    main()

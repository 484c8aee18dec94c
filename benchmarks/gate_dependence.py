"""False alarms of p-values where rows depend on each other, with and without ``groups`` and ``blocks``.

Nothing has changed in any of these pairs, so at a nominal 5 % at most 5 % should alarm. Run with
``python benchmarks/gate_dependence.py``; writes results/gate_dependence.json.
"""

from __future__ import annotations

import argparse

import numpy as np
from harness import save
from scipy.signal import lfilter

import otdist

LEVEL = 0.05


def series(phi: float, n: int, rng: np.random.Generator) -> np.ndarray:
    """Stationary AR(1) series."""
    noise = rng.normal(size=n + 500)
    return np.asarray(lfilter([1.0], [1.0, -phi], noise))[500:]


def time_alarms(phi: float, n: int, block: int | None, runs: int) -> float:
    """Share of alarms for two consecutive halves of one series, n rows each."""
    alarms = 0
    for run in range(runs):
        whole = series(phi, 2 * n, np.random.default_rng(run))
        report = otdist.compare({"x": whole[:n]}, {"x": whole[n:]}, joint=False, blocks=block, rng=run)
        alarms += report["x"].pvalue <= LEVEL
    return alarms / runs


def customers(rng: np.random.Generator, count: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Values and customers: a level of each customer's own, and noise as large."""
    owner = np.repeat(np.arange(count), rows)
    return rng.normal(size=count)[owner] + rng.normal(size=count * rows), owner


def customer_alarms(grouped: bool, runs: int) -> float:
    """Share of alarms for 50 customers with 10 rows each on both sides."""
    alarms = 0
    for run in range(runs):
        rng = np.random.default_rng(run)
        (x, of_x), (y, of_y) = (customers(rng, 50, 10) for _ in range(2))
        groups = (of_x, of_y) if grouped else None
        report = otdist.compare({"x": x}, {"x": y}, joint=False, groups=groups, rng=run)
        alarms += report["x"].pvalue <= LEVEL
    return alarms / runs


def main() -> None:
    """Simulate, print and save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000, help="pairs for each row of the table")
    runs = parser.parse_args().runs
    rows = {}
    for phi in (0.0, 0.5, 0.9):
        for block in (None, 50, 100):
            rows[f"AR(1) phi={phi}, n=500, blocks={block}"] = time_alarms(phi, 500, block, runs)
    for grouped in (False, True):
        rows[f"50 customers x 10 rows, groups={grouped}"] = customer_alarms(grouped, runs)
    for name, share in rows.items():
        print(f"{name:44s} {share:7.1%}")
    print(save("gate_dependence", {"runs": runs, "alarms": rows}))


if __name__ == "__main__":
    main()

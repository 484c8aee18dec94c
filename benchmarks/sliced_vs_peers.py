"""Measure sliced distances against POT: the same directions for the mean, what is found for the maximum.

Run with ``python benchmarks/sliced_vs_peers.py``; writes results/sliced_vs_peers.json.
"""

from __future__ import annotations

import numpy as np
import ot
import torch
from harness import paired, save, summary

import otdist

K = 1_000


def clouds(rng, n, d, shift=0.3):
    x, y = rng.normal(size=(n, d)), rng.normal(size=(n, d))
    y[:, 0] += shift
    return x, y


def backward(x, y, thetas):
    """Value and gradient by otdist and by POT, each asked as its own users would."""

    def ours():
        t = torch.tensor(x, requires_grad=True)
        value = otdist.sliced_w1(t, torch.tensor(y), directions=thetas).value
        value.backward()
        return value.detach()

    def pot():
        t = torch.tensor(x, requires_grad=True)
        projections = torch.tensor(thetas.T)
        value = ot.sliced_wasserstein_distance(t, torch.tensor(y), p=1, projections=projections)
        value.backward()
        return value.detach()

    return {"otdist": ours, "POT": pot}


def means(rng):
    """Questions that both answer with the same number."""
    x, y = clouds(rng, 10_000, 32)
    a, b = rng.random(10_000), rng.random(10_000)
    a, b = a / a.sum(), b / b.sum()
    thetas = otdist.sliced_w1(x[:2], y[:2], n_projections=K, rng=0).directions
    few = y[:8_000]
    small_x, small_y = x[:2_000], y[:2_000]

    def contestants(x, y, a=None, b=None, p=1):
        return {
            "otdist": lambda: otdist.sliced_w1(x, y, a, b, p=p, directions=thetas).value,
            "POT": lambda: ot.sliced_wasserstein_distance(x, y, a, b, p=p, projections=thetas.T),
        }

    return {
        "n = m = 10,000, d = 32, p = 1": contestants(x, y),
        "n = m = 10,000, d = 32, p = 2": contestants(x, y, p=2),
        "n = 10,000, m = 8,000": contestants(x, few),
        "weighted, p = 1": contestants(x, y, a, b),
        "weighted, p = 2": contestants(x, y, a, b, p=2),
        "gradient, n = m = 2,000": backward(small_x, small_y, thetas),
    }


def maxima(rng):
    """Seconds and lower bounds of W1: the best of POT's random directions, and an ascent."""
    rows = {}
    for n, d, shift in (
        (2_000, 8, 0.3),
        (2_000, 32, 0.3),
        (10_000, 32, 0.3),
        (2_000, 128, 0.3),
        (2_000, 32, 0.0),
    ):
        x, y = clouds(rng, n, d, shift)
        found = {}

        def pot(x=x, y=y, found=found):
            found["POT"] = float(ot.max_sliced_wasserstein_distance(x, y, p=1, n_projections=K, seed=0))

        def ours(x=x, y=y, found=found):
            found["otdist"] = otdist.max_sliced_w1(x, y, rng=0).value

        row = summary(paired({"otdist": ours, "POT": pot}, runs=3), "otdist")
        row["value"] = found
        rows[f"max-sliced, n = m = {n:,}, d = {d}, shift {shift:g}"] = row
    return rows


def main() -> None:
    rng = np.random.default_rng(0)
    rows = {}
    for question, contestants in means(rng).items():
        values = [float(f()) for f in contestants.values()]
        assert np.ptp(values) < 1e-9, values  # all answer the same question
        rows[question] = summary(paired(contestants, runs=3), "otdist")
    rows |= maxima(rng)
    for question, row in rows.items():
        low, high = row["POT"]["ratio_range"]
        found = row.get("value")
        values = "" if found is None else f"  at least {found['otdist']:.4f}, POT {found['POT']:.4f}"
        print(
            f"{question:42s} {row['otdist']['seconds']:7.3f} s  POT {row['POT']['seconds']:7.3f} s "
            f"{row['POT']['ratio']:6.1f}x [{low:.1f}, {high:.1f}]{values}"
        )
    print(save("sliced_vs_peers", rows))


if __name__ == "__main__":
    main()

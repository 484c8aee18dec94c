"""Does the bracket that the WGAN trainer shows hold? Checks over laws whose W1 is known.

Each check draws points of two distributions and brackets W1 between them by the function that the trainer
uses, `otdist.learn.wgan.monitor.bracket.bracket_w1`, once with halves of 512 points, as by default, and once
with 64. Where a best potential is known it takes the critic's part, since no other function makes it as easy
for the lower bound to fail. Run with ``python -m benchmarks.wgan.bracket``.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import integrate, stats

from benchmarks.wgan.laws import RING
from benchmarks.wgan.rows import Study, cross, format_rows, grid, is_ok, run
from otdist.bench import problems
from otdist.learn.wgan.monitor.bracket import bracket_w1

KEYS = ("law", "n")
CHECKS = {512: 50, 64: 200}  # of each law, by size
MIXTURES = ((0.3, -2.0, 0.5), (0.7, 1.0, 0.2)), ((0.5, -2.0, 0.5), (0.5, 1.2, 0.4))  # share, mean, spread


class Known(NamedTuple):
    """Two laws with known W1, asked as an otdist.bench.problems.Pair is; not all have a best potential."""

    w1: float
    sample: Callable
    potential: Callable | None = None


def draw_modes(n, rng):
    """Two modes of the ring that face each other, and one of them."""
    x = 0.01 * rng.standard_normal((n, 2)) + RING.means[4 * rng.integers(2, size=n)]
    return x, RING.means[0] + 0.01 * rng.standard_normal((n, 2))


def draw_mixture(law, n, rng):
    weights, means, scales = np.transpose(law)
    kind = rng.choice(len(law), size=n, p=weights)
    return (means[kind] + scales[kind] * rng.standard_normal(n))[:, None]


def integrate_mixtures():
    """W1 on the line: the area between the distribution functions."""

    def between(t):
        one, other = (sum(w * stats.norm.cdf(t, m, s) for w, m, s in law) for law in MIXTURES)
        return abs(one - other)

    return integrate.quad(between, -8, 8, limit=500)[0]


# From easy to hard. Of two modes: W1((A + B) / 2, B) = W1(A, B) / 2, and B is A, moved by 2.
LAWS = {
    "ring of 8 against itself, d = 2": lambda: Known(0.0, lambda n, rng: [RING(rng, n) for _ in range(2)]),
    "two modes against one of them, d = 2": lambda: Known(1.0, draw_modes, lambda z: -z[:, 0]),
    "shift by 0.1, d = 1": lambda: problems.shift([0.1]),
    "shift by 3, d = 1": lambda: problems.shift([3.0]),
    "shift by 0.1, d = 2": lambda: problems.shift([0.1, 0.0]),
    "shift by 1, d = 2": lambda: problems.shift([1.0, 0.0]),
    "shift by 1, d = 16": lambda: problems.shift([1.0] + [0.0] * 15),
    "mixtures of two normals, d = 1": lambda: Known(
        integrate_mixtures(), lambda n, rng: [draw_mixture(law, n, rng) for law in MIXTURES]
    ),
    "Student t3, scales 1 and 2, d = 1": lambda: problems.laws_1d(stats.t(3), stats.t(3, scale=2)),
    "lognormal, shapes 1 and 1.2, d = 1": lambda: problems.laws_1d(*map(stats.lognorm, (1, 1.2))),
    "radial, d = 3": lambda: problems.radial(3),
    "cylinder, d = 8, k = 3": lambda: problems.cylinder(8, 3, rotation=0),
    "ridge of 2 teeth, d = 2": lambda: problems.ridge([1.0, 0.0], teeth=2),
    "funnels, d = 2, 5 tips": lambda: problems.funnels(2, 5, rng=0),
    "published pair, d = 2, 4 tips": lambda: problems.w1bench(2, 4),
    "published pair, d = 16, 16 tips": lambda: problems.w1bench(16, 16),
}


def measure(row):
    """How often the bounds hold, and how wide they are."""
    law, n, seen = LAWS[row["law"]](), row["n"], []
    for seed in range(CHECKS[n]):
        x, y = law.sample(2 * n, rng=np.random.default_rng([seed, n]))
        seen.append(bracket_w1(x, y, law.potential))
    low, high = (np.array([getattr(check, name) for check in seen]) for name in ("lower", "upper"))
    return {
        "checks": CHECKS[n],
        "w1": law.w1,
        "holds": float(np.mean((low <= law.w1) & (law.w1 <= high))),
        "lower_holds": float(np.mean(low <= law.w1)),
        "upper_holds": float(np.mean(law.w1 <= high)),
        "lower": float(low.mean()),
        "upper": float(high.mean()),
        "debiased": float(np.mean([check.debiased for check in seen])),
    }


def table(rows):
    head = "laws | n | W1 | mean lower | mean upper | mean debiased | lower holds | upper holds | both"
    line = "{law} | {n} | {w1:.3f} | {lower:.3f} | {upper:.3f} | {debiased:.3f}"
    line += " | {lower_holds:.1%} | {upper_holds:.1%} | {holds:.1%}"
    parts = [grid(head, format_rows(line, rows, KEYS), "lr")]
    for n in CHECKS:
        shares = [row["holds"] for row in rows if row["n"] == n and is_ok(row)]
        parts.append(f"\nn = {n}: {np.mean(shares):.1%} of {CHECKS[n] * len(shares):,} brackets hold W1.")
    return "\n".join(parts)


if __name__ == "__main__":
    run(Study("wgan_bracket", KEYS, cross(law=LAWS, n=CHECKS), measure, table))

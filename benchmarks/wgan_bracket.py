"""Does the bracket that the WGAN trainer shows hold? Checks over laws whose W1 is known.

Each check draws points of two distributions and brackets W1 between them by the function that the trainer
uses, `otdist.learn.wgan.monitor.bracket.bracket_w1`, once with halves of 512 points, as by default, and once
with 64.
Where a best potential is known it takes the critic's part, since no other function makes it as easy for
the lower bound to fail. Run with ``python benchmarks/wgan_bracket.py``; writes results/wgan_bracket.json law
by law and goes on where it was stopped. ``--table`` prints the table in Markdown and measures nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from harness import load, save
from scipy import integrate, stats

from otdist.bench import problems
from otdist.learn.wgan.monitor.bracket import Potential, bracket_w1

NAME = "wgan_bracket"
CHECKS = {512: 50, 64: 200}  # of each law, by size

Row = dict[str, Any]


@dataclass(frozen=True)
class Known:
    """Two laws with known W1: points of both, and a best potential where there is one."""

    name: str
    w1: float
    sample: Callable[[int, np.random.Generator], tuple[Any, Any]]
    potential: Potential | None = None


def laws() -> list[Known]:
    """All laws, from easy to hard."""
    angles = np.arange(8) * np.pi / 4
    ring = np.c_[np.cos(angles), np.sin(angles)]

    def on_ring(n: int, rng: np.random.Generator) -> np.ndarray:
        return ring[rng.integers(8, size=n)] + 0.01 * rng.standard_normal((n, 2))

    def same(n: int, rng: np.random.Generator) -> tuple[Any, Any]:
        return on_ring(n, rng), on_ring(n, rng)

    def two(n: int, rng: np.random.Generator) -> tuple[Any, Any]:
        x = 0.01 * rng.standard_normal((n, 2)) + ring[4 * rng.integers(2, size=n)]
        return x, ring[0] + 0.01 * rng.standard_normal((n, 2))

    return [
        Known("ring of 8 against itself, d = 2", 0.0, same),
        # W1((A + B) / 2, B) = W1(A, B) / 2, and B is A, moved by 2.
        Known("two modes against one of them, d = 2", 1.0, two, lambda z: -z[:, 0]),
        of_pair("shift by 0.1, d = 1", problems.shift([0.1])),
        of_pair("shift by 3, d = 1", problems.shift([3.0])),
        of_pair("shift by 0.1, d = 2", problems.shift([0.1, 0.0])),
        of_pair("shift by 1, d = 2", problems.shift([1.0, 0.0])),
        of_pair("shift by 1, d = 16", problems.shift([1.0] + [0.0] * 15)),
        mixtures(),
        of_pair("Student t3, scales 1 and 2, d = 1", problems.laws_1d(stats.t(3), stats.t(3, scale=2))),
        of_pair("lognormal, shapes 1 and 1.2, d = 1", problems.laws_1d(stats.lognorm(1), stats.lognorm(1.2))),
        of_pair("radial, d = 3", problems.radial(3)),
        of_pair("cylinder, d = 8, k = 3", problems.cylinder(8, 3, rotation=0)),
        of_pair("ridge of 2 teeth, d = 2", problems.ridge([1.0, 0.0], teeth=2)),
        of_pair("funnels, d = 2, 5 tips", problems.funnels(2, 5, rng=0)),
        of_pair("published pair, d = 2, 4 tips", problems.w1bench(2, 4)),
        of_pair("published pair, d = 16, 16 tips", problems.w1bench(16, 16)),
    ]


def of_pair(name: str, pair: problems.Pair) -> Known:
    """A pair of otdist.bench."""
    return Known(name, pair.w1, lambda n, rng: pair.sample(n, rng=rng), pair.potential)


def mixtures() -> Known:
    """Two mixtures of normal laws on the line."""
    parts = ((0.3, -2.0, 0.5), (0.7, 1.0, 0.2)), ((0.5, -2.0, 0.5), (0.5, 1.2, 0.4))

    def below(t: float, law: Any) -> float:
        return float(sum(w * stats.norm.cdf(t, m, s) for w, m, s in law))

    w1 = integrate.quad(lambda t: abs(below(t, parts[0]) - below(t, parts[1])), -8, 8, limit=500)[0]

    def sample(n: int, rng: np.random.Generator) -> tuple[Any, Any]:
        out = []
        for law in parts:
            weights, means, scales = (np.array(column) for column in zip(*law, strict=True))
            kind = rng.choice(len(law), size=n, p=weights)
            out.append((means[kind] + scales[kind] * rng.standard_normal(n))[:, None])
        return out[0], out[1]

    return Known("mixtures of two normals, d = 1", w1, sample)


def measured(law: Known, n: int) -> Row:
    """How often the bounds hold, and how wide they are."""
    low, high, width = [], [], []
    for seed in range(CHECKS[n]):
        x, y = law.sample(2 * n, np.random.default_rng([seed, n]))
        seen = bracket_w1(np.asarray(x), np.asarray(y), law.potential)
        low.append(seen.lower <= law.w1)
        high.append(law.w1 <= seen.upper)
        width.append((seen.lower, seen.upper, seen.debiased))
    lower, upper, debiased = np.mean(width, axis=0)
    return {
        "law": law.name,
        "n": n,
        "checks": CHECKS[n],
        "w1": law.w1,
        "holds": float(np.mean(np.array(low) & np.array(high))),
        "lower_holds": float(np.mean(low)),
        "upper_holds": float(np.mean(high)),
        "lower": float(lower),
        "upper": float(upper),
        "debiased": float(debiased),
    }


def table(rows: list[Row]) -> str:
    """Shares and mean bounds, in Markdown."""
    lines = ["| laws | n | W1 | mean lower | mean upper | mean debiased | lower holds | upper holds | both |"]
    lines.append("| --- " + "| ---: " * 8 + "|")
    for row in rows:
        numbers = [f"{row[name]:.3f}" for name in ("w1", "lower", "upper", "debiased")]
        shares = [f"{row[name]:.1%}" for name in ("lower_holds", "upper_holds", "holds")]
        lines.append("| " + " | ".join([row["law"], str(row["n"]), *numbers, *shares]) + " |")
    for n in CHECKS:
        shares = [row["holds"] for row in rows if row["n"] == n]
        lines.append(f"\nn = {n}: {np.mean(shares):.1%} of {CHECKS[n] * len(shares):,} brackets hold W1.")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--table", action="store_true", help="print the table in Markdown, and stop")
    options = parser.parse_args()
    rows: list[Row] = load(NAME) or []
    if not options.table:
        known = {(row["law"], row["n"]) for row in rows}
        for law in laws():
            for n in CHECKS:
                if (law.name, n) not in known:
                    rows.append(measured(law, n))
                    save(NAME, rows)
                    print(rows[-1], flush=True)
    print(table(rows))


if __name__ == "__main__":
    main()

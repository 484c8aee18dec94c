"""Tables of the critic against known W1, in Markdown."""

from __future__ import annotations

import json
from collections.abc import Iterable

import numpy as np
from critic_problems import COUNTS, DIMENSIONS, Row
from harness import RESULTS

PUBLISHED = RESULTS / "w1bench_published.json"
SOLVERS = {"sort-out": "SO", "wgan-lp": "LP", "wgan-gp": "GP"}
CAVEAT = (
    "Published cosines in d = 2 are not comparable: the gradient they are held against was computed in "
    "float32, which spoils it near the tips, where P is."
)


def tables(rows: list[Row]) -> str:
    """All tables there are rows for."""
    good = [row for row in rows if row["status"] == "ok"]
    return "\n\n".join(part for part in (pairs(good), aggregates(good)) if part)


def grid(head: list[str], lines: Iterable[list[str]]) -> str:
    rule = ["---"] + ["---:"] * (len(head) - 1)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, rule, *lines])


def published() -> dict[str, dict[str, list[float]]]:
    """Cosine, squared L2 and estimate of ten solvers, of optimal transport on samples, and of the truth."""
    pairs: dict[str, dict[str, list[float]]] = json.loads(PUBLISHED.read_text())["pairs"]
    return pairs


def first(rows: list[Row], track: str, d: int, n: int) -> Row | None:
    found = [row for row in rows if (row["track"], row["d"], row["n"], row["seed"]) == (track, d, n, 0)]
    return found[0] if found else None


def pairs(rows: list[Row]) -> str:
    """Cosine and deviation on every published pair, beside published solvers."""
    known, lines = published(), []
    for d in DIMENSIONS:
        for n in COUNTS:
            ours = [first(rows, track, d, n) for track in "BA"]
            if not any(ours):
                continue
            there = known[f"d={d} n={n}"]
            w1 = next(row["w1"] for row in ours if row)
            cells = [f"{d}, {n}"]
            cells += ["" if row is None else f"{row['cosine']:.3f}" for row in ours]
            cells += [f"{there[solver][0]:.3f}" for solver in ("sort-out", "wgan-lp")]
            cells.append(f"{best(there, 0, w1):.3f}")
            cells += ["" if row is None else f"{100 * row['deviation']:+.1f}" for row in ours]
            cells += [f"{100 * (there[solver][2] / w1 - 1):+.1f}" for solver in ("sort-out", "wgan-lp")]
            cells.append(f"{best(there, 2, w1):.1f}")
            lines.append(cells)
    head = ["d, n", "B cos", "A cos", "SO cos", "LP cos", "best cos"]
    head += ["B dev %", "A dev %", "SO dev %", "LP dev %", "best \\|dev\\| %"]
    return grid(head, lines) + f"\n\n{CAVEAT}" if lines else ""


def best(there: dict[str, list[float]], column: int, w1: float) -> float:
    """Best of the ten solvers: largest cosine, or smallest deviation in percent."""
    ten = [values[column] for solver, values in there.items() if solver not in ("dot", "true")]
    return max(ten) if column == 0 else min(abs(value / w1 - 1) * 100 for value in ten)


def aggregates(rows: list[Row]) -> str:
    """Means over the published pairs on seed 0, for us and for every published solver."""
    lines = []
    for track in "BA":
        chosen = [row for row in rows if row["track"] == track and row["seed"] == 0]
        if chosen:
            table = np.array([[row["cosine"], row["squared_l2"], abs(row["deviation"])] for row in chosen])
            above = sum(row["deviation"] > 0 for row in chosen)
            beyond = sum(row["overstates"] for row in chosen)
            lines.append(summary(f"track {track}", table, above, str(beyond)))
    known = published()
    w1 = {f"d={row['d']} n={row['n']}": row["w1"] for row in rows if row["track"] in "AB"}
    for solver in [] if not w1 else list(next(iter(known.values()))):
        if solver == "true":
            continue
        values = np.array([known[name][solver] for name in w1])
        off = values[:, 2] / np.array(list(w1.values())) - 1
        table = np.column_stack([values[:, :2], abs(off)])
        lines.append(summary(solver, table, int((off > 0).sum()), ""))
    head = [
        "",
        "pairs",
        "mean cos",
        "mean L2",
        "mean \\|dev\\| %",
        "max \\|dev\\| %",
        "above W1",
        "by > 3 s.e.",
    ]
    return grid(head, lines) if lines else ""


def summary(name: str, table: np.ndarray, above: int, beyond: str) -> list[str]:
    cos, l2, dev = table.mean(axis=0)
    means = [f"{cos:.3f}", f"{l2:.3f}", f"{100 * dev:.1f}", f"{100 * table[:, 2].max():.1f}"]
    return [name, str(len(table)), *means, str(above), beyond]

"""Tables of the critic against known W1, in Markdown."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable

import numpy as np
from critic_problems import AGAIN, COUNTS, CURVE, DIMENSIONS, PEERS, Row
from harness import RESULTS

PUBLISHED = RESULTS / "w1bench_published.json"
SOLVERS = {"sort-out": "SO", "wgan-lp": "LP", "wgan-gp": "GP"}
CAVEAT = (
    "Published cosines in d = 2 are not comparable: the gradient they are held against was computed in "
    "float32, which spoils it near the tips, where P is. *Paired*: from W1 by the true potential on the same "
    "points, whose noise is nearly the critic's; s.e. is that of the deviation that is not paired."
)


def tables(rows: list[Row]) -> str:
    """All tables there are rows for."""
    good = [row for row in rows if row["status"] == "ok"]

    def of(track: str) -> list[Row]:
        return [row for row in good if row["track"] == track]

    again = [row for row in of("B") if (row["d"], row["n"]) in CURVE and row["seed"] == 0]
    parts = {
        "Published pairs": pairs(good),
        "All published pairs": aggregates(good),
        "Seeds": seeds(good),
        "Samples of finite size": finite(of("C")) if of("C") else "",
        "Other laws": other_truths(of("D")) if of("D") else "",
        "The interval for 10,000 given points": given_samples(of("E")) if of("E") else "",
        "Accuracy against seconds": curve(of("S") + again) if of("S") else "",
        "Published methods run here": harness(of("H")) if of("H") else "",
        "Steps on batches of 512 a side": speed(of("P")) if of("P") else "",
    }
    return "\n\n".join(f"### {title}\n\n{table}" for title, table in parts.items() if table)


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
            cells += ["" if row is None else f"{100 * row['paired_deviation']:+.2f}" for row in ours]
            cells += [f"{100 * (there[solver][2] / w1 - 1):+.1f}" for solver in ("sort-out", "wgan-lp")]
            cells.append(f"{best(there, 2, w1):.1f}")
            errors = [math.hypot(row["estimate_error"], row["w1_error"]) for row in ours if row]
            lines.append([*cells, f"{100 * max(errors) / w1:.1f}"])
    head = ["d, n", "B cos", "A cos", "SO cos", "LP cos", "best cos"]
    head += ["B dev %", "A dev %", "B paired %", "A paired %"]
    head += ["SO dev %", "LP dev %", "best \\|dev\\| %", "s.e. %"]
    return grid(head, lines) + f"\n\n{CAVEAT}" if lines else ""


def best(there: dict[str, list[float]], column: int, w1: float) -> float:
    """Best of the ten solvers: largest cosine, or smallest deviation in percent."""
    ten = [values[column] for solver, values in there.items() if solver not in ("dot", "true")]
    return max(ten) if column == 0 else min(abs(value / w1 - 1) * 100 for value in ten)


def aggregates(rows: list[Row]) -> str:
    """Means over the published pairs on seed 0, for us and for every published solver."""
    lines, every = [], {}
    for track in "BA":
        chosen = [row for row in rows if row["track"] == track and row["seed"] == 0]
        every |= {(row["d"], row["n"]): row["w1"] for row in chosen}
        if chosen:
            beyond = sum(row["overstates"] for row in chosen)
            for off, name in (("deviation", ""), ("paired_deviation", ", paired")):
                table = [[row["d"], row["cosine"], row["squared_l2"], row[off]] for row in chosen]
                lines.append(summary(f"track {track}{name}", np.array(table), str(beyond)))
    known = published()
    for solver in next(iter(known.values())) if every else ():
        if solver != "true":
            there = [(d, known[f"d={d} n={n}"][solver], w1) for (d, n), w1 in every.items()]
            table = [[d, *values[:2], values[2] / w1 - 1] for d, values, w1 in there]
            lines.append(summary(solver, np.array(table), ""))
    head = ["", "pairs", "mean cos", "in d > 2", "mean L2", "mean \\|dev\\| %", "max \\|dev\\| %"]
    head += ["above W1", "by > 5 %", "by > 3 s.e."]
    return grid(head, lines) if lines else ""


def summary(name: str, table: np.ndarray, beyond: str) -> list[str]:
    """Means of columns d, cosine, squared L2 and deviation; standard errors of published ones are unknown."""
    d, cosine, squared, off = table.T
    lower = [f"{cosine[d > 2].mean():.3f}" if (d > 2).any() else ""]
    means = [f"{100 * abs(off).mean():.1f}", f"{100 * abs(off).max():.1f}"]
    counts = [str((off > 0).sum()), str((off > 0.05).sum()), beyond]
    return [name, str(len(d)), f"{cosine.mean():.3f}", *lower, f"{squared.mean():.3f}", *means, *counts]


def seeds(rows: list[Row]) -> str:
    """The shipped critic on several seeds of training, lowest to highest."""
    lines = []
    for d, n in AGAIN:
        chosen = [row for row in rows if (row["track"], row["d"], row["n"]) == ("B", d, n)]
        if len(chosen) > 1:
            cosines, off = ([row[name] for row in chosen] for name in ("cosine", "deviation"))
            spread = [f"{min(cosines):.3f} to {max(cosines):.3f}"]
            spread.append(f"{100 * min(off):+.1f} to {100 * max(off):+.1f}")
            paired = [100 * row["paired_deviation"] for row in chosen if "paired_deviation" in row]
            spread.append(f"{min(paired):+.2f} to {max(paired):+.2f}" if paired else "")
            lines.append([f"{d}, {n}", str(len(chosen)), *spread])
    return grid(["d, n", "seeds", "cos", "dev %", "paired dev %, where known"], lines) if lines else ""


def finite(rows: list[Row]) -> str:
    """Shares of W1 on samples of finite size: as they come, and divided by the proved constant."""
    lines = []
    for row in rows:
        w1, constant = row["w1"], row["lipschitz"] if row["method"] in PEERS else 1.0
        shares = [row["gaps"]["train"] / w1, row["gaps"]["test"] / w1, row["estimate"] / w1]
        cells = [f"{row['samples']:,}", f"{row['d']}, {row['n']}", row["method"]]
        cells += [f"{share:.3f}" for share in shares]
        cells += [f"{constant:.3g}", f"{shares[2] / constant:.3f}", f"{row['steps']:,}"]
        lines.append([*cells, *("yes" * row[name] for name in ("test_overstates", "overstates"))])
    head = ["samples", "d, n", "critic", "train / W1", "test / W1", "fresh / W1", "constant"]
    head += ["fresh / constant / W1", "steps", "test above W1", "fresh above W1"]
    return grid(head, sorted(lines, key=lambda cells: (int(cells[0].replace(",", "")), cells[1])))


def other_truths(rows: list[Row]) -> str:
    """Where no minimum of cones is a potential."""
    lines = []
    for row in rows:
        cells = [row["problem"], str(row["d"]), str(row["n"] or ""), row["family"], f"{row['cosine']:.3f}"]
        cells += [f"{100 * row['deviation']:+.1f}", f"{100 * row['estimate_error'] / row['w1']:.1f}"]
        cells += [f"{100 * row[name]:+.2f}" for name in ("paired_deviation", "paired_error")]
        over = "yes" * (row["overstates"] or row["paired_overstates"])
        lines.append([*cells, f"{row['taken']:.0f}", over])
    head = ["laws", "d", "n", "critic", "cos", "dev %", "s.e. %", "paired dev %", "s.e. %", "seconds"]
    head.append("above W1 by > 3 s.e.")
    return grid(head, lines)


def given_samples(rows: list[Row]) -> str:
    lines = []
    for row in rows:
        exact = row["exact"][1]
        cells = [row["problem"], str(row["d"]), row["family"], f"{row['lower'] / exact:.4f}"]
        cells += [f"{row['upper'] / exact:.4f}", f"{row['taken']:.0f}", "yes" * row["overstates"]]
        lines.append(cells)
    return grid(["laws", "d", "critic", "lower / exact", "upper / exact", "seconds", "beside it"], lines)


def curve(rows: list[Row]) -> str:
    """Cosine and deviation against seconds of training."""
    lines = []
    for row in sorted(rows, key=lambda row: (row["d"], row["n"], row["seconds"])):
        cells = [f"{row['d']}, {row['n']}", f"{row['seconds']:g}", f"{row['taken']:.0f}", f"{row['steps']:,}"]
        lines.append([*cells, f"{row['cosine']:.3f}", f"{100 * row['deviation']:+.1f}"])
    return grid(["d, n", "seconds asked", "taken", "steps", "cos", "dev %"], lines)


def harness(rows: list[Row]) -> str:
    """Published methods here and in print."""
    known, lines = published(), []
    for row in rows:
        there = known[f"d={row['d']} n={row['n']}"][row["method"]]
        cells = [f"{row['d']}, {row['n']}", row["method"], f"{row['steps']:,}", f"{row['cosine']:.3f}"]
        cells += [f"{there[0]:.3f}", f"{row['squared_l2']:.3f}", f"{there[1]:.3f}"]
        cells += [f"{100 * row['deviation']:+.1f}", f"{100 * (there[2] / row['w1'] - 1):+.1f}"]
        lines.append(cells)
    head = ["d, n", "method", "steps of 60,000", "cos", "published", "L2", "published", "dev %", "published"]
    return grid(head, lines)


def speed(rows: list[Row]) -> str:
    lines = []
    for row in rows:
        shares = ", ".join(
            f"{name.removeprefix('aten::')} {share:.0%}" for name, share in row["shares"].items()
        )
        rate = [f"{row['per_second']:.0f}", f"{row['milliseconds']:.1f}", f"{row['retraction']:.0%}"]
        lines.append([f"{row['method']}, {row['n']}", *rate, shares])
    return grid(["critic", "steps a second", "ms", "of it retraction", "operators, by their own time"], lines)

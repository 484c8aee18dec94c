"""Exact W1 where others run out: the sparse method against POT, assignment solvers and flow solvers.

Each run is a fresh process: seconds of one solve after a warm-up (for those that need one, the cost
matrix is part of it), bytes it adds, the value and what is proved. Runs of one problem follow each
other, in turn, on the same points. What ends by time, memory or an error is a row as well.
Run with ``python benchmarks/exact_vs_peers.py``; writes results/exact_vs_peers.json row by row and
goes on where it was stopped. ``--only PATTERN``, ``--methods a,b`` and ``--kind`` select,
``--again`` forgets what was measured, ``--table`` prints tables and measures nothing.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from apart import Row, alone, apart, finished, joined
from exact_clouds import Points
from exact_problems import Problem, extent, problems
from exact_start import START, start_rows
from exact_tables import tables
from harness import RESULTS, commit, load, save

WORKER = Path(__file__).with_name("exact_methods.py")
NAME = "exact_vs_peers"
MODULES = {"lapx": "lap", "ortools": "ortools", "wasserstein": "wasserstein"}
OLD = "OTDIST_BENCH_WASSERSTEIN"  # a Python with the package wasserstein, which needs numpy 1

Rows = dict[tuple[str, str], Row]


def interpreter(method: str) -> str:
    return os.environ.get(OLD, sys.executable) if method == "wasserstein" else sys.executable


def unfit(method: str, points: Points) -> str:
    """Why a method cannot be asked, or nothing."""
    if method in MODULES and interpreter(method) == sys.executable and find_spec(MODULES[method]) is None:
        return (
            f"not installed; see benchmarks/README.md ({OLD})" if method == "wasserstein" else "not installed"
        )
    if method in ("scipy LSA", "lapx") and (points.a is not None or len(points.x) != len(points.y)):
        return "takes only n = m with equal weights"
    if method == "POT lazy" and points.metric == "chebyshev":
        return "has no chebyshev"
    return ""


def run(method: str, path: str, limit: float, memory: int) -> Row:
    """One solve in a process of its own."""
    return apart([interpreter(method), str(WORKER), method, path, str(limit), str(memory)], limit)


def described(problem: Problem, method: str, points: Points, limit: float) -> Row:
    return {
        "problem": problem.name,
        "kind": problem.kind,
        "method": method,
        "n": len(points.x),
        "m": len(points.y),
        "d": points.x.shape[1],
        "metric": points.metric,
        "weights": "uniform" if points.a is None and points.b is None else "given",
        "truth": points.truth,
        "extent": extent(points),
        "goal": problem.goal,
        "limit": limit,
        "commit": commit(),
        "date": time.strftime("%Y-%m-%d"),
    }


class Session:
    """Rows on disk, and how to measure those that are missing."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        trial = options.scale != 1.0
        self.folder = Path(tempfile.gettempdir()) if trial else RESULTS
        self.name = f"{NAME}_trial" if trial else NAME
        saved = load(self.name, self.folder) or []
        self.rows: Rows = {(row["problem"], row["method"]): row for row in saved}
        self.memory = int(options.memory * 1e9)

    def keep(self, row: Row) -> None:
        """Put a row among the results, on disk and on the screen."""
        self.rows[row["problem"], row["method"]] = row
        save(self.name, list(self.rows.values()), self.folder)
        print(line(row), flush=True)

    def missing(self, problem: Problem, method: str) -> bool:
        """Whether it was not measured to its end; what could not be asked may be possible by now."""
        row = self.rows.get((problem.name, method))
        return row is None or row["status"] == "skipped" or not finished(row, problem.repeats)

    def measure(self, problem: Problem, methods: list[str]) -> None:
        """All methods once, then those again that were quick."""
        todo = [method for method in methods if self.missing(problem, method)]
        if not todo:
            return
        points = problem.make(self.options.scale)
        limit = min(problem.limit, self.options.limit)
        rows = {method: described(problem, method, points, limit) for method in todo}
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "points.npz")
            weights = {side: w for side, w in (("a", points.a), ("b", points.b)) if w is not None}
            np.savez(path, x=points.x, y=points.y, metric=points.metric, **weights)
            for again in range(problem.repeats):
                for method, row in rows.items():
                    if again == 0 or not finished(row, problem.repeats):
                        reason = unfit(method, points)
                        skipped = {"status": "skipped", "reason": reason}
                        self.keep(joined(row, skipped if reason else run(method, path, limit, self.memory)))


def line(row: Row) -> str:
    who = f"{row['problem']:40s} {row['method']:20s}"
    if row["status"] != "ok":
        return f"{who} {row['status']}: {row['reason']}"
    gap = f"gap {float(row['gap']):.1e}" if "gap" in row else ""
    size = f"{row['memory'] / 1e6:8.0f} MB" if "memory" in row else ""
    return f"{who} {row['seconds']:10.4g} s {size} {row.get('value', '')} {gap}"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", default="", metavar="PATTERN", help="problems whose name matches")
    parser.add_argument("--methods", default="", metavar="A,B", help="only these methods")
    parser.add_argument("--kind", default="", help="start, small, target, large, growth, hard")
    parser.add_argument("--limit", type=float, default=3600.0, help="seconds for one solve, at most")
    parser.add_argument("--memory", type=float, default=18.0, help="GB of data for one process")
    parser.add_argument("--again", action="store_true", help="measure what is selected anew")
    parser.add_argument("--list", action="store_true", help="name what is selected, and stop")
    parser.add_argument("--table", action="store_true", help="print the tables in Markdown, and stop")
    parser.add_argument("--scale", type=float, default=1.0, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    options = arguments()
    session = Session(options)
    if options.table:
        print(tables(list(session.rows.values())))
        return
    wanted = options.methods.split(",") if options.methods else None
    chosen = [
        (problem, [method for method in problem.methods if wanted is None or method in wanted])
        for problem in problems().values()
        if re.search(options.only, problem.name) and options.kind in ("", problem.kind)
    ]
    if options.list:
        print("\n".join(f"{problem.name}: {', '.join(methods)}" for problem, methods in chosen if methods))
        return
    with alone(session.name):
        if options.again:
            gone = {(problem.name, method) for problem, methods in chosen for method in methods}
            session.rows = {key: row for key, row in session.rows.items() if key not in gone}
        if options.kind in ("", "start") and re.search(options.only, START) and wanted is None:
            for row in start_rows(options.again, session.rows):
                session.keep(row)
        for problem, methods in chosen:
            session.measure(problem, methods)


if __name__ == "__main__":
    main()

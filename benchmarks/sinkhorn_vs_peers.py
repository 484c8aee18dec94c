"""Entropic W1: seconds to a true error of 1 % and 0.1 %, against GeomLoss, POT, OTT-JAX and mdot-tnt.

Every setting of every method is a row: a run in a fresh process, after a warm-up and compiling; its
seconds (with the cost matrix where a method needs one), its value, how far that is from the exact
distance, what its plan's marginals are off, the bytes it adds. The time to 1 % is that of the fastest
setting whose error is at most 1 %; such settings are run three times. A ladder of settings ends where
one runs out of time or memory. ``kernel`` problems time half an iteration, ``large`` ones one that
peers cannot hold. Run with ``python benchmarks/sinkhorn_vs_peers.py``; writes
results/sinkhorn_vs_peers.json row by row and goes on where it was stopped. ``--only PATTERN``,
``--methods A,B`` and ``--kind`` select, ``--again`` forgets what was measured, ``--table`` prints
tables and measures nothing. On a machine that is not ours alone, ``--patience 600`` waits for others to be
quiet, and ``--calm`` measures anew what they disturbed; of several runs only the undisturbed count.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

import numpy as np
from apart import QUICK, Row, alone, apart, joined
from exact_clouds import Points
from harness import RESULTS, commit, load, save
from quiet import QUIET, Others, wait
from scipy.spatial.distance import cdist
from sinkhorn_problems import EXACT, Problem, named, problems
from sinkhorn_tables import decisive, tables

WORKER = Path(__file__).with_name("sinkhorn_methods.py")
NAME = "sinkhorn_vs_peers"
MODULES = {"GeomLoss": "geomloss", "GeomLoss debiased": "geomloss", "OTT-JAX": "ott", "mdot-tnt": "mdot_tnt"}
OTT = "OTDIST_BENCH_OTT"  # a Python with ott-jax, in an environment of its own
SAMPLE = 4000  # points whose mean cost is the unit of all regularisations
REPEATS, ATTEMPTS = 3, 6  # of what a table shows; with runs that were disturbed

Rows = dict[tuple[str, str], Row]


def interpreter(method: str) -> str:
    return os.environ.get(OTT, sys.executable) if named(method) == "OTT-JAX" else sys.executable


def unfit(method: str) -> str:
    """Why a method cannot be asked, or nothing."""
    needed = [MODULES.get(named(method), "numpy")] + ["pykeops"] * ("backend=online" in method)
    if interpreter(method) != sys.executable:
        return ""
    missing = [module for module in needed if find_spec(module) is None]
    return f"without {missing[0]}, see benchmarks/README.md" if missing else ""


def disturbed(row: Row) -> bool:
    """Whether others were at work in all of its runs."""
    return bool(row.get("others")) and min(row["others"]) > QUIET


def finished(row: Row) -> bool:
    """Whether it needs no further run."""
    if row["status"] != "ok" or len(row["runs"]) >= ATTEMPTS:
        return True
    quiet = [run for run, share in zip(row["runs"], row["others"], strict=True) if not share > QUIET]
    return len(quiet) >= REPEATS or (bool(quiet) and quiet[0] >= QUICK)


def mean_cost(points: Points) -> float:
    return float(cdist(points.x[:SAMPLE], points.y[:SAMPLE]).mean())


class Session:
    """Rows on disk, and how to measure those that are missing."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        trial = options.scale != 1.0
        self.folder = Path(tempfile.gettempdir()) if trial else RESULTS
        self.name = f"{NAME}_trial" if trial else NAME
        saved = load(self.name, self.folder) or []
        self.rows: Rows = {(row["problem"], row["method"]): row for row in saved}

    def chosen(self) -> Iterator[tuple[Problem, list[list[str]]]]:
        """Problems and ladders that the options select."""
        wanted = self.options.methods.split(",") if self.options.methods else None
        for problem in problems().values():
            if re.search(self.options.only, problem.name) and self.options.kind in ("", problem.kind):
                ladders = [list(ladder) for ladder in problem.ladders]
                yield problem, [ladder for ladder in ladders if not wanted or named(ladder[0]) in wanted]

    def forget(self) -> None:
        """Leave out the rows that are selected."""
        for problem, ladders in self.chosen():
            for method in chain.from_iterable(ladders):
                self.rows.pop((problem.name, method), None)

    def keep(self, row: Row) -> None:
        """Put a row among the results, on disk and on the screen."""
        self.rows[row["problem"], row["method"]] = row
        save(self.name, list(self.rows.values()), self.folder)
        print(line(row), flush=True)

    def measure(self, problem: Problem, ladders: list[list[str]]) -> None:
        """All settings once, then those again that decide a table, in turn."""
        points = problem.make(self.options.scale)
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "points.npz")
            np.savez(path, x=points.x, y=points.y, metric=points.metric, mean=mean_cost(points))
            for ladder in ladders:
                self._climb(problem, ladder, path)
            asked = set(chain.from_iterable(ladders))
            for _ in range(ATTEMPTS - 1):
                for method in [m for m in decisive(self._known(problem)) if m in asked]:
                    row = self.rows[problem.name, method]
                    if not finished(row):
                        self.keep(self._more(row, problem, path))

    def _climb(self, problem: Problem, ladder: list[str], path: str) -> None:
        """Settings from the loosest to the tightest, those that are missing."""
        ended = ""
        for method in ladder:
            row = self.rows.get((problem.name, method))
            if row is None or row["status"] == "skipped" or (self.options.calm and disturbed(row)):
                row = self._described(problem, method) | {"ladder": ladder[0]}
                reason = ended or unfit(method)
                skipped = {"status": "skipped", "reason": reason}
                row = joined(row, skipped) if reason else self._more(row, problem, path)
                self.keep(self._judged(row))
            if row["status"] in ("timeout", "memory"):
                ended = f"{method} ended by {row['status']}"

    def _more(self, row: Row, problem: Problem, path: str) -> Row:
        """With one more run, on a quiet machine if there is one."""
        wait(self.options.patience)
        others = Others()
        command = [interpreter(row["method"]), str(WORKER), row["method"], path, str(row["limit"])]
        row = joined(row, apart([*command, str(int(self.options.memory * 1e9))], row["limit"]))
        row.setdefault("others", []).append(round(others.share(), 3))
        if row["status"] == "ok":
            pairs = list(zip(row["runs"], row["others"], strict=True))
            best = [run for run, share in pairs if not share > QUIET] or row["runs"]
            row |= {"seconds": float(np.median(best)), "range": [min(best), max(best)]}
        return row

    def _known(self, problem: Problem) -> list[Row]:
        return [row for row in self.rows.values() if row["problem"] == problem.name]

    def _described(self, problem: Problem, method: str) -> Row:
        return {
            "problem": problem.name,
            "kind": problem.kind,
            "n": problem.n,
            "d": problem.d,
            "name": named(method),
            "method": method,
            "goal": problem.goal,
            "limit": min(problem.limit, self.options.limit),
            "commit": commit(),
            "date": time.strftime("%Y-%m-%d"),
        }

    def _judged(self, row: Row) -> Row:
        """With its error, relative to the exact distance, where both are known."""
        exact = self.rows.get((row["problem"], EXACT), row if row["method"] == EXACT else {})
        if row["kind"] == "accuracy" and row["status"] == "ok" and exact.get("status") == "ok":
            error = float(row["value"]) / exact["value"] - 1
            row["error"] = error if np.isfinite(error) else None
        return row


def line(row: Row) -> str:
    who = f"{row['problem']:22s} {row['method']:62s}"
    if row["status"] != "ok":
        return f"{who} {row['status']}: {row['reason']}"
    error = "" if row.get("error") is None else f"error {row['error']:+.1e}"
    off = f"off {float(row['residual']):.0e}" if "residual" in row else ""
    off += f"  others {row['others'][-1]:.1f}"
    return f"{who} {row['seconds']:9.4g} s {row['memory'] / 1e6:6.0f} MB  {row['value']:<10.6g} {error} {off}"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", default="", metavar="PATTERN", help="problems whose name matches")
    parser.add_argument("--methods", default="", metavar="A,B", help="only these methods, by name")
    parser.add_argument("--kind", default="", help="accuracy, kernel, large")
    parser.add_argument("--limit", type=float, default=3600.0, help="seconds for one run, at most")
    parser.add_argument("--memory", type=float, default=18.0, help="GB of data for one process")
    parser.add_argument("--again", action="store_true", help="measure what is selected anew")
    parser.add_argument("--patience", type=float, default=0.0, help="seconds to wait for a quiet machine")
    parser.add_argument("--calm", action="store_true", help="measure anew what others disturbed")
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
    if options.list:
        for problem, ladders in session.chosen():
            print("\n".join([problem.name, *(f"    {method}" for method in chain.from_iterable(ladders))]))
        return
    with alone(session.name):
        if options.again:
            session.forget()
        for problem, ladders in session.chosen():
            session.measure(problem, ladders)


if __name__ == "__main__":
    main()

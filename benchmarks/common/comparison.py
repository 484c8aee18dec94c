"""Comparisons of methods: lists of questions and methods, measured by otdist.bench and shown as tables.

Rows are written as they come, and a comparison goes on where it was stopped. ``--only PATTERN``, ``--kind``
and ``--methods A,B`` select; ``--list`` names what is selected; ``--again`` measures it anew, ``--calm`` only
what others disturbed; ``--patience 600`` waits for others to be quiet; ``--table`` prints tables.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.common.apart import alone
from benchmarks.common.harness import RESULTS
from benchmarks.common.script import read_options
from otdist.bench import Question, Runs, run
from otdist.bench.disturbance import QUIET_CORES
from otdist.bench.runs import is_complete

Row = dict[str, Any]
Ladder = tuple[str, ...]  # settings of one method, from the loosest to the tightest


@dataclass(frozen=True)
class Comparison:
    """A question to several methods.

    Attributes
    ----------
    name, kind : str
        Name in the results, and the table it belongs to.
    make : callable
        ``make(scale)`` returns the fields of a Question; scale 1 is the question, less is a trial.
    ladders : tuple of tuple of str
        Methods; of each ladder the rest is left out after a setting that ran out of time or memory.
    goal : dict
        What is aimed at, for the tables.
    limit : float
        Seconds after which a run is ended.
    repeats : int
        Runs of what takes less than 20 s and decides a table.
    """

    name: str
    kind: str
    make: Callable[[float], dict[str, Any]]
    ladders: tuple[Ladder, ...]
    goal: dict[str, float] = field(default_factory=dict)
    limit: float = 600.0
    repeats: int = 3


def get_name(method: str) -> str:
    """Return the name of a method, without its options."""
    return " ".join(word for word in method.split() if "=" not in word)


def get_known(path: Path) -> list[Row]:
    """Return the rows of a file, or none."""
    return Runs.load(path).rows if path.exists() else []


class Session:
    """Measurement of comparisons, with their rows in a file."""

    def __init__(
        self, path: Path, options: argparse.Namespace, decisive: Callable[[list[Row]], list[str]]
    ) -> None:
        self.path, self.options, self.decisive = path, options, decisive

    def forget(self, is_forgotten: Callable[[Row], bool]) -> None:
        """Remove rows from the file."""
        Runs([row for row in get_known(self.path) if not is_forgotten(row)]).save(self.path)

    def measure(self, comparison: Comparison, ladders: Iterable[Ladder]) -> None:
        """Measure every missing setting once, then those again that decide a table, in turn."""
        ladders = list(ladders)
        question: Question | None = None
        for ladder in ladders:
            for method in ladder:
                row = self._read(comparison).get(method)
                if row is None or row["status"] in ("not started", "missing"):
                    question = question or self._make(comparison)
                    row = self._run(question, [method], 1)[0]
                if row["status"] in ("timeout", "memory"):
                    break
        known = self._read(comparison)
        decisive = self.decisive(list(known.values()))
        again = [method for ladder in ladders for method in ladder if method in decisive]
        again = [
            m for m in again if known[m]["status"] == "ok" and not is_complete(known[m], comparison.repeats)
        ]
        for limit in sorted({known[method]["budget"] for method in again}):  # older rows had other limits
            question = replace(question or self._make(comparison), max_seconds=limit)
            methods = [method for method in again if known[method]["budget"] == limit]
            self._run(question, methods, comparison.repeats)

    def _read(self, comparison: Comparison) -> dict[str, Row]:
        return {row["method"]: row for row in get_known(self.path) if row["question"] == comparison.name}

    def _make(self, comparison: Comparison) -> Question:
        made = comparison.make(self.options.scale)
        facts = {"kind": comparison.kind, "goal": comparison.goal} | made.pop("facts", {})
        limits = {"max_seconds": min(comparison.limit, self.options.limit)}
        limits["max_bytes"] = self.options.memory * 1e9
        return Question(comparison.name, **made, **limits, facts=facts)

    def _run(self, question: Question, methods: list[str], repeats: int) -> list[Row]:
        key = {"repeats": repeats, "patience": self.options.patience, "path": self.path}
        found = [row for row in run(question, methods, **key).rows if row["question"] == question.name]
        rows = [row for row in found if row["method"] in methods]
        for row in rows:
            print(describe_row(row), flush=True)
        return rows


def describe_row(row: Row) -> str:
    """Return a line about a row for the screen."""
    who = f"{row['question']:40s} {row['method']:40s}"
    if row["status"] != "ok":
        return f"{who} {row['status']}: {row['reason']}"
    error = "" if row["error"] is None else f"error {row['error']:.1e}"
    others = "" if row["other_cores"][-1] is None else f"others {row['other_cores'][-1]:.1f}"
    size = "" if row["memory"] is None else f"{row['memory'] / 1e6:8.0f} MB"
    return f"{who} {row['seconds']:10.4g} s {size} {row['value']} {error} {others}"


def parse_options(description: str | None) -> argparse.Namespace:
    """Parse the options that all comparisons have."""
    return read_options(
        description,
        only=("", "pattern of questions"),
        methods=("", "only these, by name, with commas between"),
        kind=("", "only questions of one kind"),
        limit=(3600.0, "seconds for one run, at most"),
        memory=(18.0, "GB of data for one process"),
        again=(False, "measure what is selected anew"),
        patience=(0.0, "seconds to wait for a quiet machine"),
        calm=(False, "measure anew what others disturbed"),
        list=(False, "name what is selected, and stop"),
        scale=(1.0, "share of the points: a trial, not kept"),
    )


def compare(
    name: str,
    options: argparse.Namespace,
    comparisons: Iterable[Comparison],
    tables: Callable[[list[Row]], str],
    decisive: Callable[[list[Row]], list[str]],
) -> None:
    """List, measure or show comparisons, as the options say."""
    is_trial = options.scale != 1.0
    path = Path(tempfile.gettempdir()) / f"{name}_trial.json" if is_trial else RESULTS / f"{name}.json"
    if options.table:
        print(tables(get_known(path)))
        return
    wanted = options.methods.split(",") if options.methods else None
    selected = [
        (comparison, [ladder for ladder in comparison.ladders if not wanted or _is_wanted(ladder, wanted)])
        for comparison in comparisons
        if re.search(options.only, comparison.name) and options.kind in ("", comparison.kind)
    ]
    if options.list:
        for comparison, ladders in selected:
            methods = [method for ladder in ladders for method in ladder]
            if methods:
                print("\n".join([comparison.name, *(f"    {method}" for method in methods)]))
        return
    with alone(path.stem):
        session = Session(path, options, decisive)
        names = {(one.name, method) for one, ladders in selected for ladder in ladders for method in ladder}
        if options.again or options.calm:
            session.forget(lambda row: _get_key(row) in names and (options.again or _is_disturbed(row)))
        for comparison, ladders in selected:
            session.measure(comparison, ladders)


def _is_wanted(ladder: Ladder, wanted: list[str]) -> bool:
    return any(get_name(method) in wanted or method in wanted for method in ladder)


def _get_key(row: Row) -> tuple[str, str]:
    return row["question"], row["method"]


def _is_disturbed(row: Row) -> bool:
    cores = [share for share in row.get("other_cores", []) if share is not None]
    return bool(cores) and min(cores) > QUIET_CORES

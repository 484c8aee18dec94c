"""Rows of measurements: true errors, Pareto front, files and printed tables."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from otdist.bench.methods import get_other_quantity
from otdist.errors import InputError
from otdist.inputs.arguments import check_choice
from otdist.runtime.files import check_target, replace_files

FILE_FORMAT = "otdist bench 1"
MAX_TRUTH_WIDTH = 1e-3  # relative width of an interval up to which its midpoint serves as the truth
EXACT_ERROR = 1e-9  # relative error up to which a value is exact up to rounding
NOT_STARTED = "not started"  # status of runs without remaining time
BOUND_TOLERANCE = 1e-6  # relative violation above which a bound is wrong, beyond rounding
Row = dict[str, Any]


@dataclass(eq=False)
class Runs:
    """Measured rows, each with its true error where it is known.

    Attributes
    ----------
    rows : list of dict
        ``question``, ``method``, ``n``, ``m``, ``d``, ``status``, ``reason``, ``value``, ``lower``,
        ``upper``, ``error`` (relative, against W1 between the samples), ``law_error`` (against W1 between the
        distributions), ``seconds``, ``cpu_seconds``, ``memory`` (bytes), ``seed``, ``budget``, ``versions``,
        ``commit``, ``run_seconds`` (of each run), ``other_cores`` (that others kept busy), ``reached``
        (seconds to relative gaps), the facts of the question, ...
    """

    rows: list[Row]

    def __post_init__(self) -> None:
        by_question: dict[tuple[str, int | None], list[Row]] = {}
        for row in self.rows:
            by_question.setdefault((row["question"], row["seed"]), []).append(row)
        for group in by_question.values():
            _add_errors(group)

    def front(self, question: str, cost: str = "seconds") -> list[Row]:
        """Return the Pareto front of a question in cost and error, the cheapest row first.

        Methods that estimate another quantity than W1, such as sliced ones, are left out.

        Parameters
        ----------
        question : str
            Its name.
        cost : {"seconds", "memory"}
            Cost of the front.

        Returns
        -------
        list of dict
            Rows of :meth:`medians`.
        """
        check_choice(cost, "cost", ("seconds", "memory"))
        rows = [row for row in self.medians() if row["question"] == question and row["error"] is not None]
        rows = [row for row in rows if get_other_quantity(row["method"], row["d"]) is None]
        rows = sorted(
            (row for row in rows if row[cost] is not None), key=lambda row: (row[cost], row["error"])
        )
        front: list[Row] = []
        for row in rows:
            if not front or max(row["error"], EXACT_ERROR) < max(front[-1]["error"], EXACT_ERROR):
                front.append(row)
        return front

    @property
    def questions(self) -> list[str]:
        """Names of the questions, in the requested order."""
        return list(dict.fromkeys(row["question"] for row in self.rows))

    def unstarted_methods(self, question: str) -> list[str]:
        """Return the methods with runs that were not started because no time remained.

        Parameters
        ----------
        question : str
            Its name.

        Returns
        -------
        list of str
            Names of methods.
        """
        rows = [row for row in self.rows if row["question"] == question and row["status"] == NOT_STARTED]
        return list(dict.fromkeys(row["method"] for row in rows))

    def fastest(self, question: str, tol: float) -> Row | None:
        """Return the fastest row of a question with an error of at most ``tol``, or None.

        Parameters
        ----------
        question : str
            Its name.
        tol : float
            Relative error.

        Returns
        -------
        dict or None
            Row of :meth:`medians`.
        """
        return next((row for row in self.front(question) if row["error"] <= tol), None)

    def report(self, path: str | Path, *, tol: float = 0.01) -> Path:
        """Write a self-contained HTML page with advice, errors against seconds and memory, and every row.

        Parameters
        ----------
        path : path
            File to write, atomically.
        tol : float
            Relative error that the advice is for.

        Returns
        -------
        Path
            Absolute path of the page.
        """
        from otdist.bench.report import write_report

        return write_report(self, Path(path), tol)

    def medians(self) -> list[Row]:
        """Return medians over seeds, and the number of failed runs, for each question, method and budget.

        A row with ``runs`` equal to 0 belongs to a method that was never started.
        """
        groups: dict[tuple[str, str, float], list[Row]] = {}
        for row in self.rows:
            groups.setdefault((row["question"], row["method"], row["budget"]), []).append(row)
        return [_compute_medians(rows) for rows in groups.values()]

    def save(self, path: str | Path) -> Path:
        """Write the rows atomically, as JSON or, if the name ends in .parquet, as Parquet."""
        path = check_output_path(path)
        if path.suffix == ".parquet":
            import pyarrow as pa
            from pyarrow import parquet

            records = [{key: _flatten_value(value) for key, value in row.items()} for row in self.rows]
            names = list(dict.fromkeys(key for row in records for key in row))
            sink = pa.BufferOutputStream()
            parquet.write_table(pa.table({name: [row.get(name) for row in records] for name in names}), sink)
            content = sink.getvalue().to_pybytes()
        else:
            content = (json.dumps({"format": FILE_FORMAT, "rows": self.rows}, indent=1) + "\n").encode()
        replace_files({path: content})
        return path

    @classmethod
    def load(cls, path: str | Path) -> Runs:
        """Read rows that :meth:`save` wrote as JSON."""
        try:
            record = json.loads(Path(path).read_text())
        except FileNotFoundError as error:
            raise InputError(
                "path", f"must be an existing file, got {path}", "pass a file that save wrote"
            ) from error
        except ValueError as error:
            raise InputError(
                "path", f"must be a JSON file, got {path}", "pass a file that save wrote"
            ) from error
        if not isinstance(record, dict) or record.get("format") != FILE_FORMAT:
            raise InputError("path", f"must hold measurements of this version, got {path}", "measure again")
        try:
            runs = cls(record["rows"])
            str(runs)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise InputError(
                "path", f"{path} is damaged ({reason})", "use another copy, or measure again"
            ) from error
        return runs

    def __str__(self) -> str:
        lines = [f"{'question':32}{'method':34}{'seconds':>9}{'error':>10}{'memory':>9}  "]
        for row in self.medians():
            if not row["runs"]:
                continue
            cells = [f"{row['question'][:31]:32}{row['method'][:33]:34}"]
            cells += [_format_value(row["seconds"], "9.3g"), _format_value(row["error"], "10.2g")]
            cells += [_format_value(None if row["memory"] is None else row["memory"] / 1e6, "6.0f", " MB")]
            lines.append(
                "".join(cells) + ("" if row["status"] == "ok" else f"  {row['status']}: {row['reason']}")
            )
        unstarted = {name: self.unstarted_methods(name) for name in self.questions}
        lines += [
            f"{name}: not started: {', '.join(methods)}" for name, methods in unstarted.items() if methods
        ]
        return "\n".join(lines)


def check_output_path(path: str | Path) -> Path:
    """Return a path that rows can be written to; raise InputError otherwise. Call it before long work."""
    path = Path(path)
    if path.suffix not in (".json", ".parquet"):
        raise InputError("path", f"must end in .json or .parquet, got {path.name!r}", "choose such a name")
    check_target(path)
    return path


def _add_errors(rows: list[Row]) -> None:
    """Add true errors to all rows of one question, and flags of wrong bounds."""
    certified = [
        row
        for row in rows  # an infinite bound is a string in JSON
        if row["status"] == "ok"
        and all(isinstance(row.get(side), int | float) for side in ("lower", "upper"))
    ]
    low = max((row["lower"] for row in certified), default=-math.inf)
    high = min((row["upper"] for row in certified), default=math.inf)
    known = rows[0].get("known")
    if known is not None:
        low = high = known
    truth = (low + high) / 2 if math.isfinite(high) and high - low <= MAX_TRUTH_WIDTH * abs(high) else None
    for row in rows:
        value = row.get("value") if row["status"] == "ok" else None
        value = value if isinstance(value, int | float) else None  # NaN is a string in JSON
        row["truth"] = truth
        row["error"] = _compute_relative_error(value, truth)
        row["law_error"] = _compute_relative_error(value, row.get("laws"))
        over = (
            truth is not None
            and isinstance(row.get("lower"), float)
            and row["lower"] > truth * (1 + BOUND_TOLERANCE)
        )
        under = (
            truth is not None
            and isinstance(row.get("upper"), float)
            and row["upper"] < truth * (1 - BOUND_TOLERANCE)
        )
        row["wrong_bound"] = bool(over or under)


def _compute_relative_error(value: float | None, truth: float | None) -> float | None:
    if value is None or truth is None:
        return None
    return abs(value - truth) / truth if truth > 0 else (0.0 if value == truth else math.inf)


def _compute_medians(rows: list[Row]) -> Row:
    first = rows[0]
    rows = [row for row in rows if row["status"] != NOT_STARTED]
    completed = [row for row in rows if row["status"] == "ok"]
    first = (completed or rows or [first])[0]
    names = ("question", "method", "budget", "n", "m", "d")
    medians = {name: first.get(name) for name in names}
    medians |= {"runs": len(rows), "failed": len(rows) - len(completed)}
    for name in ("value", "lower", "upper", "error", "law_error", "seconds", "cpu_seconds", "memory"):
        numbers = [row[name] for row in completed if isinstance(row.get(name), int | float)]
        medians[name] = float(np.median(numbers)) if numbers else None
    spread = [row["seconds"] for row in completed]
    medians["seconds_range"] = [min(spread), max(spread)] if spread else None
    failure = next((row for row in rows or [first] if row["status"] != "ok"), None)
    medians["status"], medians["reason"] = (
        ("ok", "") if failure is None else (failure["status"], failure["reason"])
    )
    return medians


def _flatten_value(value: object) -> object:
    return json.dumps(value) if isinstance(value, dict | list) else value


def _format_value(value: float | None, spec: str, unit: str = "") -> str:
    width = int(spec.split(".")[0]) + len(unit)
    return "-".rjust(width) if value is None else f"{value:{spec}}{unit}"

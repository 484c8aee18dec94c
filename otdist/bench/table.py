"""Rows of measurements: what is true, who is on the front, on disk and on the screen."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from otdist.atomic import replace_files
from otdist.bench.methods import other_quantity
from otdist.errors import InputError

FORMAT = "otdist bench 1"
PROVED = 1e-3  # relative width of an interval up to which the error of others is known well enough
EXACT = 1e-9  # error up to which a value is exact: what is left is rounding
UNSTARTED = "not started"  # status of what there was no time for
WRONG = 1e-6  # by how much of itself a bound is on the wrong side, where that is no rounding
Row = dict[str, Any]


@dataclass(eq=False)
class Runs:
    """Measured rows, each with its true error where it is known.

    Attributes
    ----------
    rows : list of dict
        ``question``, ``method``, ``n``, ``m``, ``d``, ``status``, ``reason``, ``value``, ``lower``,
        ``upper``, ``error`` (relative, against W1 between the samples), ``law_error`` (against W1 between the
        laws), ``seconds``, ``cpu_seconds``, ``memory`` (bytes), ``seed``, ``budget``, ``versions``, ...
    """

    rows: list[Row]

    def __post_init__(self) -> None:
        by_question: dict[tuple[Any, Any], list[Row]] = {}
        for row in self.rows:
            by_question.setdefault((row["question"], row["seed"]), []).append(row)
        for same in by_question.values():
            _judge(same)

    def front(self, question: str, cost: str = "seconds") -> list[Row]:
        """Rows of a question that no other beats in both cost and error, the cheapest first.

        Methods that answer another quantity than W1, such as sliced ones, are left out.

        Parameters
        ----------
        question : str
            Its name.
        cost : {"seconds", "memory"}
            What is paid.

        Returns
        -------
        list of dict
            Rows of :meth:`medians`.
        """
        if cost not in ("seconds", "memory"):
            raise InputError("cost", f"{cost!r} is unknown", "use 'seconds' or 'memory'")
        rows = [row for row in self.medians() if row["question"] == question and row["error"] is not None]
        rows = [row for row in rows if other_quantity(row["method"], row["d"]) is None]
        rows = sorted(
            (row for row in rows if row[cost] is not None), key=lambda row: (row[cost], row["error"])
        )
        found: list[Row] = []
        for row in rows:
            if not found or max(row["error"], EXACT) < max(found[-1]["error"], EXACT):
                found.append(row)
        return found

    @property
    def questions(self) -> list[str]:
        """Names of the questions, in the order in which they were asked."""
        return list(dict.fromkeys(row["question"] for row in self.rows))

    def unstarted(self, question: str) -> list[str]:
        """Methods for which there was no time, in some of their runs or in all.

        Parameters
        ----------
        question : str
            Its name.

        Returns
        -------
        list of str
            Names.
        """
        rows = [row for row in self.rows if row["question"] == question and row["status"] == UNSTARTED]
        return list(dict.fromkeys(row["method"] for row in rows))

    def fastest(self, question: str, tol: float) -> Row | None:
        """Quickest row of a question whose error is at most ``tol``, None where there is none.

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
        """Write a self-contained HTML page: advice, error against seconds and memory, every row.

        Parameters
        ----------
        path : path
            File to write; replaced whole, or not at all.
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
        """One row for each question, method and budget: medians over seeds, and how many runs failed.

        A row whose ``runs`` are 0 is that of a method which was never started.
        """
        groups: dict[tuple[Any, ...], list[Row]] = {}
        for row in self.rows:
            groups.setdefault((row["question"], row["method"], row["budget"]), []).append(row)
        return [_median(rows) for rows in groups.values()]

    def save(self, path: str | Path) -> Path:
        """Write the rows as JSON, or as Parquet where the name ends so; replaced whole, or not at all."""
        path = written(path)
        if path.suffix == ".parquet":
            import pyarrow as pa
            from pyarrow import parquet

            flat = [{key: _flat(value) for key, value in row.items()} for row in self.rows]
            names = list(dict.fromkeys(key for row in flat for key in row))
            sink = pa.BufferOutputStream()
            parquet.write_table(pa.table({name: [row.get(name) for row in flat] for name in names}), sink)
            content = sink.getvalue().to_pybytes()
        else:
            content = (json.dumps({"format": FORMAT, "rows": self.rows}, indent=1) + "\n").encode()
        replace_files({path: content})
        return path

    @classmethod
    def load(cls, path: str | Path) -> Runs:
        """Read rows that :meth:`save` wrote as JSON."""
        try:
            record = json.loads(Path(path).read_text())
        except FileNotFoundError as error:
            raise InputError("path", f"{path} is not there", "give a file that save wrote") from error
        except ValueError as error:
            raise InputError("path", f"{path} is no JSON", "give a file that save wrote") from error
        if not isinstance(record, dict) or record.get("format") != FORMAT:
            raise InputError("path", f"{path} holds no measurements of this version", "measure anew")
        try:
            runs = cls(record["rows"])
            str(runs)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise InputError(
                "path", f"{path} is damaged ({reason})", "use another copy, or measure anew"
            ) from error
        return runs

    def __str__(self) -> str:
        lines = [f"{'question':32}{'method':34}{'seconds':>9}{'error':>10}{'memory':>9}  "]
        for row in self.medians():
            if not row["runs"]:
                continue
            told = [f"{row['question'][:31]:32}{row['method'][:33]:34}"]
            told += [_short(row["seconds"], "9.3g"), _short(row["error"], "10.2g")]
            told += [_short(None if row["memory"] is None else row["memory"] / 1e6, "6.0f", " MB")]
            lines.append(
                "".join(told) + ("" if row["status"] == "ok" else f"  {row['status']}: {row['reason']}")
            )
        waiting = {name: self.unstarted(name) for name in self.questions}
        lines += [
            f"{name}: not started: {', '.join(methods)}" for name, methods in waiting.items() if methods
        ]
        return "\n".join(lines)


def written(path: str | Path) -> Path:
    """Path that rows can be written to; raise InputError, best before long work, if it is none."""
    path = Path(path)
    if path.suffix not in (".json", ".parquet"):
        raise InputError("path", f"{path.name!r} is of no known kind", "let it end in .json or .parquet")
    try:
        exists = path.absolute().parent.is_dir()
    except OSError as error:
        raise InputError(
            "path",
            f"{str(path)!r} cannot be reached ({error.strerror})",
            "choose a folder that you may write to",
        ) from error
    if not exists:
        raise InputError("path", f"there is no folder {path.absolute().parent}", "make it first")
    return path


def _judge(rows: list[Row]) -> None:
    """True errors of all rows about one question, and whether a bound is none."""
    proofs = [row for row in rows if row["status"] == "ok" and {"lower", "upper"} <= row.keys()]
    low = max((row["lower"] for row in proofs), default=-math.inf)
    high = min((row["upper"] for row in proofs), default=math.inf)
    known = rows[0].get("known")
    if known is not None:
        low = high = known
    truth = (low + high) / 2 if math.isfinite(high) and high - low <= PROVED * abs(high) else None
    for row in rows:
        value = row.get("value") if row["status"] == "ok" else None
        value = value if isinstance(value, int | float) else None  # "nan" is a word in JSON
        row["truth"] = truth
        row["error"] = _relative(value, truth)
        row["law_error"] = _relative(value, row.get("laws"))
        over = (
            truth is not None and isinstance(row.get("lower"), float) and row["lower"] > truth * (1 + WRONG)
        )
        under = (
            truth is not None and isinstance(row.get("upper"), float) and row["upper"] < truth * (1 - WRONG)
        )
        row["wrong_bound"] = bool(over or under)


def _relative(value: float | None, truth: float | None) -> float | None:
    if value is None or truth is None:
        return None
    return abs(value - truth) / truth if truth > 0 else (0.0 if value == truth else math.inf)


def _median(rows: list[Row]) -> Row:
    first = rows[0]
    rows = [row for row in rows if row["status"] != UNSTARTED]
    fine = [row for row in rows if row["status"] == "ok"]
    first = (fine or rows or [first])[0]
    names = ("question", "method", "budget", "n", "m", "d")
    told = {name: first.get(name) for name in names} | {"runs": len(rows), "failed": len(rows) - len(fine)}
    for name in ("value", "lower", "upper", "error", "law_error", "seconds", "cpu_seconds", "memory"):
        numbers = [row[name] for row in fine if isinstance(row.get(name), int | float)]
        told[name] = float(np.median(numbers)) if numbers else None
    spread = [row["seconds"] for row in fine]
    told["seconds_range"] = [min(spread), max(spread)] if spread else None
    other = next((row for row in rows or [first] if row["status"] != "ok"), None)
    told["status"], told["reason"] = ("ok", "") if other is None else (other["status"], other["reason"])
    return told


def _flat(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, dict | list) else value


def _short(value: float | None, form: str, unit: str = "") -> str:
    width = int(form.split(".")[0]) + len(unit)
    return "-".rjust(width) if value is None else f"{value:{form}}{unit}"

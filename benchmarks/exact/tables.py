"""Tables of the exact comparison in Markdown, and whether what was aimed at was reached."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import product
from typing import TypeGuard

import numpy as np

from benchmarks.common.tables import (
    NOT_ASKED,
    Row,
    format_ratio,
    format_run,
    format_short,
    group_by_question,
    make_tables,
)
from benchmarks.exact.questions import AUTO, DENSE, POT, SPARSE

Answers = dict[str, Row]  # of one problem, by method

PEERS = ("POT lazy", "ortools", "wasserstein", "scipy assignment", "lapx")
SHORT_NAMES = {POT: "POT", "scipy assignment": "scipy LSA"}  # in tables; otdist is left out there
GAPS = ("1e-01", "1e-02", "1e-03", "1e-04", "1e-05", "1e-06", "1e-09")
EXACT = 1e-9
NOISE = 0.05  # by which one and the same code differs between two runs
WRONG = 1e-6
TARGET = """problem | sparse, s | MB | gap | POT, s | MB | POT / sparse | aim | reached | difference | \
dense, s | POT lazy, s | ortools, s | wasserstein, s | scipy LSA, s | lapx, s"""
SMALL = "problem | auto, ms | dense, ms | sparse, ms | POT, ms | dense / auto | never slower"
LARGE = "problem | method | s | MB | lower | upper | gap | aim | reached"
HARD = "instance | sparse | gap | s | MB | reference | difference | POT, s | who differs or fails"


def tables(rows: list[Row]) -> str:
    """All tables that there are rows for."""
    kinds: dict[str, list[Answers]] = {}
    for same in group_by_question(rows).values():
        kinds.setdefault(same[0]["kind"], []).append({row["method"]: row for row in same})
    target, small, hard, large = (kinds.get(kind, []) for kind in ("target", "small", "hard", "large"))
    starts = [f"{row['method']} | {format_run(row)}" for row in rows if row["kind"] == "start"]
    parts = {
        "Against POT": [TARGET, *map(target_line, target)],
        "Small problems": [SMALL, *map(small_line, small)],
        "Large problems": [LARGE, *(line for answers in large for line in large_lines(answers))],
        "Seconds to a proved gap": [
            " | ".join(["problem | method", *GAPS, "end"]),
            *(line for answers in large for line in gap_lines(answers)),
        ],
        "Growth": ["d | method | exponent | n: time", *growth_lines(rows)],
        "Hard instances": [HARD, *map(hard_line, hard)],
        "First call": [" | s", *starts],
    }
    return make_tables(parts)


def shorten(method: str) -> str:
    """Return the name of a method in the tables."""
    return SHORT_NAMES.get(method, method.removeprefix("otdist "))


def target_line(answers: Answers) -> str:
    ours, pot = answers.get(SPARSE), answers.get(POT)
    aim = f"{_goal(answers)['ratio']:g}" if "ratio" in _goal(answers) else ""
    line = f"{_question(answers)} | {_measured(ours)} | {_gap(ours)} | {_measured(pot)} | {_ratio(pot, ours)}"
    line += f" | {aim} | {verdict(answers)} | {_difference(ours, reference(answers))} | "
    return line + " | ".join(format_run(answers.get(method)) for method in (DENSE, *PEERS))


def small_line(answers: Answers) -> str:
    times = " | ".join(format_run(answers.get(method), 1e3) for method in (AUTO, DENSE, SPARSE, POT))
    ratio = _ratio(answers.get(DENSE), answers.get(AUTO))
    return f"{_question(answers)} | {times} | {ratio} | {verdict(answers)}"


def large_lines(answers: Answers) -> Iterable[str]:
    for method, row in answers.items():
        low, high = (f"{float(row[key]):.9g}" if key in row else "" for key in ("lower", "upper"))
        judged = f"{_aims(row)} | {verdict(answers)}" if method == _answering(answers) else " | "
        line = f"{_question(answers)} | {shorten(method)} | {_measured(row)} | {low} | {high}"
        yield f"{line} | {_gap(row)} | {judged}"


def gap_lines(answers: Answers) -> Iterable[str]:
    """When the interval was how narrow: in runs to the end, and in runs that stop there."""
    for method, row in answers.items():
        if row.get("reached") and row["status"] == "ok":
            times = (row["reached"].get(gap) for gap in GAPS)
            cells = ("" if time is None else format_short(time) for time in times)
            yield " | ".join([_question(answers), shorten(method), *cells, format_run(row)])


def growth_lines(rows: list[Row]) -> Iterable[str]:
    """Least squares of log seconds on log n, for uniform Gaussian samples of 2,000 points and more."""
    plain = [row for row in rows if row["question"].startswith("gauss") and not row["weighted"]]
    plain = [row for row in plain if row["status"] == "ok" and 2000 <= row["n"] <= 50_000]
    for d, method in product((2, 16), (SPARSE, POT, *PEERS)):
        fit = sorted((row["n"], row["seconds"]) for row in plain if (row["d"], row["method"]) == (d, method))
        if len(fit) > 1:
            exponent = np.polyfit(*np.log(np.array(fit)).T, 1)[0]
            points = ", ".join(f"{n:,}: {format_short(time)} s" for n, time in fit)
            yield f"{d} | {shorten(method)} | {exponent:.2f} | {points}"


def hard_line(answers: Answers) -> str:
    ours, known = answers.get(SPARSE), reference(answers)
    value = f"{ours['value']:.9g}" if ours and isinstance(ours.get("value"), float) else ""
    line = f"{_question(answers)} | {value} | {_gap(ours)} | {_measured(ours)} | {shorten(known[0])} | "
    line += f"{_difference(ours, known)} | {format_run(answers.get(POT))} | "
    return line + "; ".join(_strays(answers, known))


def reference(answers: Answers) -> tuple[str, float]:
    """What the value is held to: the known answer, else a peer's; assignment first, it has no epsilon."""
    some = next(iter(answers.values()))
    if some["known"] is not None:
        return "known", some["known"]
    for method in ("scipy assignment", "lapx", POT, "ortools", "wasserstein", "POT lazy", DENSE):
        row = answers.get(method)
        if _is_ok(row) and isinstance(row["value"], float):
            return method, row["value"]
    return "", math.nan


def verdict(answers: Answers) -> str:
    """Whether the aim was reached, where there is one and it can be judged."""
    goal, row = _goal(answers), answers.get(_answering(answers))
    if not goal or row is None:
        return ""
    if row["status"] != "ok":
        return "no"
    checks = [row["seconds"] <= goal.get("seconds", math.inf), row["memory"] <= goal.get("memory", math.inf)]
    checks.append(float(row["gap"]) <= goal.get("gap", EXACT))
    for aim, method in (("ratio", POT), ("auto", DENSE)):
        if aim in goal:
            slower = answers.get(method, {"status": "missing"})
            if slower["status"] not in ("ok", "timeout"):
                return ""
            least = goal[aim] * (1 - NOISE) if aim == "auto" else goal[aim]
            checks.append(slower.get("seconds", slower["budget"]) / row["seconds"] >= least)
            checks.append(slower["status"] != "ok" or _apart(row, slower["value"]) <= EXACT)
    return "yes" if all(checks) else "no"


def _is_ok(row: Row | None) -> TypeGuard[Row]:
    return row is not None and row["status"] == "ok"


def _answering(answers: Answers) -> str:
    """Method that the aim is about."""
    for method in (AUTO,) if "auto" in _goal(answers) else (SPARSE, f"{SPARSE} max_seconds=120"):
        if method in answers:
            return method
    return ""


def _goal(answers: Answers) -> dict[str, float]:
    return next(iter(answers.values()))["goal"]


def _question(answers: Answers) -> str:
    return next(iter(answers.values()))["question"]


def _aims(row: Row) -> str:
    units = {"seconds": (1, " s"), "memory": (1e-6, " MB"), "gap": (1, " gap")}
    return ", ".join(f"<= {value * units[key][0]:g}{units[key][1]}" for key, value in row["goal"].items())


def _strays(answers: Answers, known: tuple[str, float]) -> Iterable[str]:
    """Methods that answer something else, or nothing."""
    for method, row in answers.items():
        if row["status"] not in ("ok", *NOT_ASKED):
            yield f"{shorten(method)}: {row['status']}"
        elif row["status"] == "ok" and (_apart(row, known[1]) > WRONG or math.isnan(_apart(row, known[1]))):
            yield f"{shorten(method)}: {float(row['value']):.6g}"


def _apart(row: Row, value: float) -> float:
    """Difference relative to the value, or to 1e-9 of the extent of the data where that is more."""
    return abs(float(row["value"]) - value) / max(abs(value), 1e-9 * row["extent"], 1e-300)


def _difference(row: Row | None, known: tuple[str, float]) -> str:
    return f"{_apart(row, known[1]):.0e}" if _is_ok(row) and not math.isnan(known[1]) else ""


def _ratio(slow: Row | None, fast: Row | None) -> str:
    if slow is None or not _is_ok(fast) or slow["status"] not in ("ok", "timeout"):
        return ""
    return (
        f"> {slow['budget'] / fast['seconds']:.3g}"
        if slow["status"] == "timeout"
        else format_ratio(slow, fast)
    )


def _measured(row: Row | None) -> str:
    """Seconds, or how it ended, and megabytes."""
    return f"{format_run(row)} | " + (f"{row['memory'] / 1e6:.0f}" if _is_ok(row) else "")


def _gap(row: Row | None) -> str:
    return f"{float(row['gap']):.0e}" if _is_ok(row) and "gap" in row else ""

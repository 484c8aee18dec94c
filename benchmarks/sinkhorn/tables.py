"""Tables of the entropic comparison in Markdown, and whether what was aimed at was reached."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from benchmarks.common.comparison import get_name
from benchmarks.common.tables import (
    NOT_ASKED,
    Row,
    format_ratio,
    format_run,
    group_by_question,
    make_tables,
)
from benchmarks.sinkhorn.questions import ENOUGH, EXACT, OURS, PEERS

Rows = list[Row]

LEVELS = (0.01, 0.001)
HELD = (EXACT, "POT emd2")  # exact methods, to compare with
KERNEL = """n | d | eps / mean | otdist, ns a pair | aim | torch, ns a pair | torch / otdist | aim | \
reached | difference"""
LARGE = "n | d | method | s | MB added | MB in all | lower | upper | gap | below 1 GB"


def tables(rows: Rows) -> str:
    """All tables that there are rows for.

    A table of accuracy has the fastest setting of each method within a level, and how many times ours that
    is. A star: its error is small by chance. A tighter setting of the same ladder errs by more than the
    level, or the marginals are off by more: errors of opposite sign cancel.
    """
    kinds = {kind: [row for row in rows if row["kind"] == kind] for kind in ("accuracy", "kernel", "large")}
    accuracy = " | ".join(["n | d", *HELD, OURS, "its proof", *PEERS, "3x ahead"])
    problems = group_by_question(kinds["accuracy"]).values()
    parts = {
        f"Seconds to a true error of {level:.2g}": [
            accuracy,
            *(accuracy_line(one, level) for one in problems),
        ]
        for level in LEVELS
    }
    ends = [row for row in rows if row["status"] not in ("ok", *NOT_ASKED)]  # not the rest of a ladder
    parts |= {
        "Half an iteration, all pairs": [KERNEL, *kernel_lines(kinds["kernel"])],
        "100,000 points a side": [LARGE, *map(large_line, _ok(kinds["large"]))],
        "Ended without an answer": ["problem | method | ", *map(end_line, ends)],
    }
    return make_tables(parts)


def accuracy_line(problem: Rows, level: float) -> str:
    ours = reached(_of(problem, OURS), level)
    proved = [row for row in _of(problem, OURS) if float(row.get("gap", math.inf)) <= level]
    cells = [f"{problem[0]['n']:,} | {problem[0]['d']}"]
    cells += [format_run(_fastest(_of(problem, name))) for name in HELD]
    cells += [_named(problem, ours, level), format_run(_fastest(proved))]
    cells += [_against(problem, name, ours, level) for name in PEERS]
    return " | ".join([*cells, _verdict(problem, ours, level)])


def kernel_lines(rows: Rows) -> Iterable[str]:
    found = {(row["question"], row["method"]): row for row in _ok(rows)}
    for (question, method), row in found.items():
        other = found.get((question, method.replace("otdist", "torch")))
        if get_name(method) == "otdist pass" and other is not None:
            pairs, goal = row["n"] ** 2 * 1e-9, row["goal"]
            fast, slow = row["seconds"] / pairs, other["seconds"] / pairs
            done = fast <= goal["pair"] and other["seconds"] >= goal["ratio"] * row["seconds"]
            line = f"{row['n']:,} | {row['d']} | {method.split('eps=')[1]} | {fast:.2f} | {goal['pair']:g} | "
            line += f"{slow:.1f} | {_ratio(other, row)} | {goal['ratio']:g} | {'yes' if done else 'no'} | "
            yield line + f"{abs(row['value'] - other['value']):.0e}"


def large_line(row: Row) -> str:
    sizes = f"{row['memory'] / 1e6:.0f} | {row['peak'] / 1e6:.0f}"
    line = (
        f"{row['n']:,} | {row['d']} | {row['method']} | {format_run(row)} | {sizes} | {row['lower']:.6g} | "
    )
    below = "yes" if row["peak"] < row["goal"]["memory"] else "no"
    return line + f"{row['upper']:.6g} | {float(row['gap']):.1e} | {below}"


def end_line(row: Row) -> str:
    method = row["method"].replace(f" iterations={ENOUGH}", "")
    return f"{row['question']} | {method} | {row['status']}: {row['reason']}"


def decisive(problem: Rows) -> list[str]:
    """Methods whose time a table shows."""
    if problem[0]["kind"] != "accuracy":
        return [row["method"] for row in problem]
    names = dict.fromkeys(get_name(row["method"]) for row in problem)
    best = [reached(_of(problem, name), level) for name in names for level in LEVELS]
    best += [_fastest([r for r in _of(problem, OURS) if float(r.get("gap", 1)) <= lv]) for lv in LEVELS]
    return list(dict.fromkeys(row["method"] for row in best if row is not None))


def reached(rows: Rows, level: float) -> Row | None:
    """Fastest of those whose error is at most the level."""
    return _fastest([row for row in rows if _error(row) <= level])


def lucky(problem: Rows, row: Row, level: float) -> bool:
    """Whether errors cancel: a plan that is not rounded is off, or a tighter setting is worse."""
    ladder = [other for other in _ok(problem) if _get_ladder(other["method"]) == _get_ladder(row["method"])]
    tighter = ladder[[other["method"] for other in ladder].index(row["method"]) + 1 :]
    off = 0.0 if "gap" in row else float(row.get("residual", 0.0))
    return not off <= level or any(not _error(other) <= level for other in tighter)


def _error(row: Row) -> float:
    return math.inf if row["error"] is None else row["error"]


def _against(problem: Rows, name: str, ours: Row | None, level: float) -> str:
    """A peer's time and how many times ours; or the least error that it comes to."""
    theirs = _of(problem, name)
    best = reached(theirs, level)
    if best is not None:
        star = "*" if lucky(problem, best, level) else ""
        ratio = "" if ours is None else f", {_ratio(best, ours)}"
        return f"{format_run(best)}{star}{ratio}"
    if not theirs:
        return "" if not any(get_name(row["method"]) == name for row in problem) else "no answer"
    nearest = min(theirs, key=_error)
    return f"no: {_error(nearest):.1%} in {format_run(nearest)}"


def _verdict(problem: Rows, ours: Row | None, level: float) -> str:
    """Whether every peer that comes within the level takes three times as long."""
    bests = [best for name in PEERS if (best := reached(_of(problem, name), level)) is not None]
    if ours is None:
        return "no" if bests else ""
    least = problem[0]["goal"]["ratio"] * ours["seconds"]
    behind = [get_name(best["method"]) for best in bests if best["seconds"] < least]
    return "no: " + ", ".join(behind) if behind else "yes"


def _named(problem: Rows, row: Row | None, level: float) -> str:
    if row is None:
        theirs = _of(problem, OURS)
        return f"no: {min(map(_error, theirs)):.1%}" if theirs else ""
    star = "*" if lucky(problem, row, level) else ""
    return f"{format_run(row)}{star} ({row['method'].removeprefix(OURS).strip()})"


def _ok(rows: Rows) -> Rows:
    return [row for row in rows if row["status"] == "ok"]


def _of(problem: Rows, name: str) -> Rows:
    return [row for row in _ok(problem) if get_name(row["method"]) == name]


def _fastest(rows: Rows) -> Row | None:
    return min(rows, key=lambda row: row["seconds"], default=None)


def _ratio(slow: Row, fast: Row) -> str:
    return format_ratio(slow, fast, "x", 2)


def _get_ladder(method: str) -> str:
    """Return what the settings of one ladder have in common: all but the value of the first option."""
    return re.sub(r"=\S+", "=", method, count=1)

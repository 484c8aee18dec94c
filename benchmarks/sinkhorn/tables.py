"""Tables of the entropic comparison in Markdown, and whether what was aimed at was reached."""

from __future__ import annotations

import math
import re

from benchmarks.common.comparison import get_name
from benchmarks.common.tables import (
    NOT_ASKED,
    Row,
    format_ratio,
    format_short,
    group_by_question,
    join_sections,
    make_table,
)
from benchmarks.sinkhorn.questions import ENOUGH, EXACT, OURS, PEERS

Rows = list[Row]

LEVELS = (0.01, 0.001)
HELD = (EXACT, "POT emd2")  # exact methods, to compare with


def tables(rows: Rows) -> str:
    """All tables that there are rows for."""
    accuracy = [row for row in rows if row["kind"] == "accuracy"]
    parts = {f"Seconds to a true error of {level:.2g}": accuracy_table(accuracy, level) for level in LEVELS}
    parts |= {
        "Half an iteration, all pairs": kernel_table([row for row in rows if row["kind"] == "kernel"]),
        "100,000 points a side": large_table([row for row in rows if row["kind"] == "large"]),
        "Ended without an answer": ends_table(rows),
    }
    return join_sections(parts)


def accuracy_table(rows: Rows, level: float) -> str:
    """Fastest setting of each method within the level, and how many times ours that is.

    A star: its error is small by chance. A tighter setting of the same ladder errs by more than the
    level, or the marginals are off by more: errors of opposite sign cancel.
    """
    head = ["n", "d", *HELD, OURS, "its proof", *PEERS, "3x ahead"]
    lines = []
    for problem in group_by_question(rows).values():
        ours = reached(_of(problem, OURS), level)
        proved = [row for row in _of(problem, OURS) if float(row.get("gap", math.inf)) <= level]
        cells = [f"{problem[0]['n']:,}", str(problem[0]["d"])]
        cells += [_seconds(_fastest(_of(problem, name))) for name in HELD]
        cells += [_named(problem, ours, level), _seconds(_fastest(proved))]
        cells += [_against(problem, name, ours, level) for name in PEERS]
        lines.append([*cells, _verdict(problem, ours, level)])
    return make_table(head, lines)


def kernel_table(rows: Rows) -> str:
    head = ["n", "d", "eps / mean", "otdist, ns a pair", "aim", "torch, ns a pair", "torch / otdist", "aim"]
    head += ["reached", "difference"]
    lines = []
    for problem in group_by_question(rows).values():
        for row in [row for row in problem if get_name(row["method"]) == "otdist pass"]:
            eps = row["method"].split("eps=")[1]
            other = next((r for r in problem if r["method"] == f"torch pass eps={eps}"), None)
            if row["status"] != "ok" or other is None or other["status"] != "ok":
                continue
            pairs, goal = row["n"] ** 2 * 1e-9, row["goal"]
            fast, slow = row["seconds"] / pairs, other["seconds"] / pairs
            cells = [f"{row['n']:,}", str(row["d"]), eps, f"{fast:.2f}", f"{goal['pair']:g}", f"{slow:.1f}"]
            cells += [_ratio(other, row), f"{goal['ratio']:g}"]
            done = fast <= goal["pair"] and other["seconds"] >= goal["ratio"] * row["seconds"]
            lines.append([*cells, "yes" if done else "no", f"{abs(row['value'] - other['value']):.0e}"])
    return make_table(head, lines)


def large_table(rows: Rows) -> str:
    head = ["n", "d", "method", "s", "MB added", "MB in all", "lower", "upper", "gap", "below 1 GB"]
    lines = []
    for row in _ok(rows):
        cells = [f"{row['n']:,}", str(row["d"]), row["method"], _seconds(row), f"{row['memory'] / 1e6:.0f}"]
        cells += [f"{row['peak'] / 1e6:.0f}", f"{row['lower']:.6g}", f"{row['upper']:.6g}"]
        cells.append(f"{float(row['gap']):.1e}")
        lines.append([*cells, "yes" if row["peak"] < row["goal"]["memory"] else "no"])
    return make_table(head, lines)


def ends_table(rows: Rows) -> str:
    """What has no answer, but for the rest of a ladder that was left."""
    ends = [row for row in rows if row["status"] not in ("ok", *NOT_ASKED)]
    return make_table(
        ["problem", "method", ""],
        [
            [
                row["question"],
                row["method"].replace(f" iterations={ENOUGH}", ""),
                f"{row['status']}: {row['reason']}",
            ]
            for row in ends
        ],
    )


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
        return f"{_seconds(best)}{star}{ratio}"
    if not theirs:
        return "" if not any(get_name(row["method"]) == name for row in problem) else "no answer"
    nearest = min(theirs, key=_error)
    return f"no: {_error(nearest):.1%} in {_seconds(nearest)}"


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
    return f"{_seconds(row)}{star} ({row['method'].removeprefix(OURS).strip()})"


def _ok(rows: Rows) -> Rows:
    return [row for row in rows if row["status"] == "ok"]


def _of(problem: Rows, name: str) -> Rows:
    return [row for row in _ok(problem) if get_name(row["method"]) == name]


def _fastest(rows: Rows) -> Row | None:
    return min(rows, key=lambda row: row["seconds"], default=None)


def _ratio(slow: Row, fast: Row) -> str:
    return format_ratio(slow, fast, "x", 2)


def _seconds(row: Row | None) -> str:
    return "" if row is None else format_short(row["seconds"])


def _get_ladder(method: str) -> str:
    """Return what the settings of one ladder have in common: all but the value of the first option."""
    return re.sub(r"=\S+", "=", method, count=1)

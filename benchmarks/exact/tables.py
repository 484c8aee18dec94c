"""Tables of the exact comparison in Markdown, and whether what was aimed at was reached."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from benchmarks.common.tables import NOT_ASKED, format_ratio, format_short, join_sections, make_table
from benchmarks.exact.questions import AUTO, DENSE, POT, SPARSE

Row = dict[str, Any]
Answers = dict[str, Row]  # of one problem, by method

PEERS = ("POT lazy", "ortools", "wasserstein", "scipy assignment", "lapx")
SHORT_NAMES = {POT: "POT", "scipy assignment": "scipy LSA"}  # in tables; otdist is left out there
GAPS = ("1e-01", "1e-02", "1e-03", "1e-04", "1e-05", "1e-06", "1e-09")
EXACT = 1e-9
NOISE = 0.05  # by which one and the same code differs between two runs
WRONG = 1e-6


def tables(rows: list[Row]) -> str:
    """All tables that there are rows for."""
    parts = {
        "Against POT": target_table(_kind(rows, "target")),
        "Small problems": small_table(_kind(rows, "small")),
        "Large problems": large_table(_kind(rows, "large")),
        "Seconds to a proved gap": gap_table(_kind(rows, "large")),
        "Growth": growth_table(rows),
        "Hard instances": hard_table(_kind(rows, "hard")),
        "First call": start_table([row for row in rows if row["kind"] == "start"]),
    }
    return join_sections(parts)


def shorten(method: str) -> str:
    """Return the name of a method in the tables."""
    return SHORT_NAMES.get(method, method.removeprefix("otdist "))


def target_table(problems: dict[str, Answers]) -> str:
    head = ["problem", "sparse, s", "MB", "gap", "POT, s", "MB", "POT / sparse", "aim", "reached"]
    head += ["difference", "dense, s", *(f"{shorten(peer)}, s" for peer in PEERS)]
    lines = []
    for name, answers in problems.items():
        ours, pot = answers.get(SPARSE), answers.get(POT)
        aim = _goal(answers).get("ratio")
        cells = [name, _seconds(ours), _size(ours), _gap(ours), _seconds(pot), _size(pot)]
        cells += [_ratio(pot, ours), "" if aim is None else f"{aim:g}", verdict(answers)]
        cells += [_difference(ours, reference(answers)), _seconds(answers.get(DENSE))]
        lines.append(cells + [_seconds(answers.get(peer)) for peer in PEERS])
    return make_table(head, lines)


def small_table(problems: dict[str, Answers]) -> str:
    head = ["problem", "auto, ms", "dense, ms", "sparse, ms", "POT, ms", "dense / auto", "never slower"]
    lines = []
    for name, answers in problems.items():
        times = [_seconds(answers.get(method), 1e3) for method in (AUTO, DENSE, SPARSE, POT)]
        lines.append([name, *times, _ratio(answers.get(DENSE), answers.get(AUTO)), verdict(answers)])
    return make_table(head, lines)


def large_table(problems: dict[str, Answers]) -> str:
    head = ["problem", "method", "s", "MB", "lower", "upper", "gap", "aim", "reached"]
    lines = []
    for name, answers in problems.items():
        for method, row in answers.items():
            bounds = [f"{float(row[key]):.9g}" if key in row else "" for key in ("lower", "upper")]
            cells = [name, shorten(method), _seconds(row), _size(row), *bounds, _gap(row)]
            asked = method == _answering(answers)
            lines.append([*cells, _aims(row) if asked else "", verdict(answers) if asked else ""])
    return make_table(head, lines)


def gap_table(problems: dict[str, Answers]) -> str:
    """When the interval was how narrow: in runs to the end, and in runs that stop there."""
    lines = []
    for name, answers in problems.items():
        for method, row in answers.items():
            if row.get("reached") and row["status"] == "ok":
                times = [row["reached"].get(gap) for gap in GAPS]
                cells = ["" if time is None else format_short(time) for time in times]
                lines.append([name, shorten(method), *cells, _seconds(row)])
    return make_table(["problem", "method", *GAPS, "end"], lines)


def growth_table(rows: list[Row]) -> str:
    """Least squares of log seconds on log n, for uniform Gaussian samples of 2,000 points and more."""
    lines = []
    for d in (2, 16):
        for method in (SPARSE, POT, *PEERS):
            fit = [
                (row["n"], row["seconds"])
                for row in rows
                if row["question"].startswith("gauss")
                and not row["weighted"]
                and row["d"] == d
                and row["method"] == method
                and row["status"] == "ok"
                and 2000 <= row["n"] <= 50_000
            ]
            if len(fit) > 1:
                sizes, seconds = np.log(np.array(sorted(fit))).T
                exponent = np.polyfit(sizes, seconds, 1)[0]
                points = ", ".join(f"{n:,}: {format_short(time)} s" for n, time in sorted(fit))
                lines.append([str(d), shorten(method), f"{exponent:.2f}", points])
    return make_table(["d", "method", "exponent", "n: time"], lines)


def hard_table(problems: dict[str, Answers]) -> str:
    head = [
        "instance",
        "sparse",
        "gap",
        "s",
        "MB",
        "reference",
        "difference",
        "POT, s",
        "who differs or fails",
    ]
    lines = []
    for name, answers in problems.items():
        ours, known = answers.get(SPARSE), reference(answers)
        value = ours.get("value") if ours else None
        cells = [name, f"{value:.9g}" if isinstance(value, float) else "", _gap(ours), _seconds(ours)]
        cells += [_size(ours), shorten(known[0]), _difference(ours, known), _seconds(answers.get(POT))]
        lines.append([*cells, "; ".join(_strays(answers, known))])
    return make_table(head, lines)


def start_table(rows: list[Row]) -> str:
    return make_table(["", "s"], [[row["method"], _seconds(row)] for row in rows])


def reference(answers: Answers) -> tuple[str, float]:
    """What the value is held to: the known answer, else a peer's; assignment first, it has no epsilon."""
    some = next(iter(answers.values()))
    if some["known"] is not None:
        return "known", some["known"]
    for method in ("scipy assignment", "lapx", POT, "ortools", "wasserstein", "POT lazy", DENSE):
        row = answers.get(method)
        if row is not None and row["status"] == "ok" and isinstance(row["value"], float):
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


def _answering(answers: Answers) -> str:
    """Method that the aim is about."""
    for method in (AUTO,) if "auto" in _goal(answers) else (SPARSE, f"{SPARSE} max_seconds=120"):
        if method in answers:
            return method
    return ""


def _goal(answers: Answers) -> dict[str, float]:
    return next(iter(answers.values()))["goal"]


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
    if row is None or row["status"] != "ok" or math.isnan(known[1]):
        return ""
    return f"{_apart(row, known[1]):.0e}"


def _ratio(slow: Row | None, fast: Row | None) -> str:
    if slow is None or fast is None or fast["status"] != "ok":
        return ""
    if slow["status"] == "timeout":
        return f"> {slow['budget'] / fast['seconds']:.3g}"
    if slow["status"] != "ok":
        return ""
    return format_ratio(slow, fast)


def _seconds(row: Row | None, factor: float = 1.0) -> str:
    if row is None or row["status"] in NOT_ASKED:
        return ""
    if row["status"] != "ok":
        return f"> {row['budget']:g}" if row["status"] == "timeout" else row["status"]
    return format_short(row["seconds"] * factor)


def _size(row: Row | None) -> str:
    return f"{row['memory'] / 1e6:.0f}" if row is not None and row["status"] == "ok" else ""


def _gap(row: Row | None) -> str:
    return f"{float(row['gap']):.0e}" if row is not None and row["status"] == "ok" and "gap" in row else ""


def _kind(rows: list[Row], kind: str) -> dict[str, Answers]:
    problems: dict[str, Answers] = {}
    for row in rows:
        if row["kind"] == kind:
            problems.setdefault(row["question"], {})[row["method"]] = row
    return problems

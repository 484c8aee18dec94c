"""Run many methods on many questions, each in a separate process, and record every result."""

from __future__ import annotations

import itertools
import json
import math
import os
import subprocess
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from otdist.bench.disturbance import QUIET_CORES, OtherWork, wait_for_quiet
from otdist.bench.machine import VERSIONED_PACKAGES, describe_machine
from otdist.bench.methods import (
    ADAPTERS_FOLDER,
    METHODS,
    find_obstacle,
    find_python,
    is_cheap,
    parse_method,
    suggest_methods,
)
from otdist.bench.questions import Question
from otdist.bench.questions import question as question_by_name
from otdist.bench.table import NOT_STARTED, Row, Runs, check_output_path
from otdist.bench.worker import STARTED_LINE
from otdist.errors import InputError
from otdist.inputs.arguments import check_integer, check_number, check_seconds, check_seed
from otdist.runtime.progress import display_progress
from otdist.typing import ArrayInput

WORKER_PATH = Path(__file__).with_name("worker.py")
START_SECONDS = 60.0  # beyond the budget: to import, to compile and to run on few points
MIN_START_SECONDS = 10.0  # the same where less of the total time remains
KILL_GRACE_SECONDS = 60.0  # after which a process that exceeds its limit is killed
REMAINING_TIME_SHARES = 8  # a run may take one of so many parts of the remaining total time
MIN_RUN_SECONDS = 1.0  # with less time remaining no run is started
MAX_SECONDS_REPEATED = 20.0  # runs of this length and longer are not repeated
Key = tuple[str, str, float, int | None]
QuestionLike = str | Question | tuple[ArrayInput, ArrayInput]


def run(
    questions: QuestionLike | Iterable[QuestionLike],
    methods: Sequence[str] | None = None,
    *,
    budget: float = 60.0,
    max_seconds: float | None = None,
    memory: float | None = None,
    seeds: Sequence[int] = (0,),
    repeats: int = 1,
    patience: float = 0.0,
    path: str | Path | None = None,
    progress: bool = False,
) -> Runs:
    """Measure methods for W1 between samples: value, true error, seconds, memory.

    Parameters
    ----------
    questions : str, pair of arrays, Question, or several of them
        Names as of :func:`~otdist.bench.question`, such as ``"shift n=1000 d=16"``, or samples ``(x, y)``.
    methods : sequence of str, optional
        Names with options, such as ``"otdist sinkhorn tol=0.01"`` or ``"POT emd2"``; see
        ``otdist.bench.METHODS``. None: the installed methods that are feasible at that size.
    budget : float
        Seconds for a run. Methods that accept a time limit receive it; any other is ended. A Question with
        ``max_seconds`` has its own.
    max_seconds : float, optional
        Seconds for all runs together, including starts. A run may take an equal part of the remaining time,
        or an eighth of it if that is more, and at most ``budget``. Once no time remains, no more runs are
        started, and their rows say so. The last run may exceed it by its part and the ten seconds that any
        run may take to start.
    memory : float, optional
        Bytes that a process may allocate for data. None: no limit.
    seeds : sequence of int
        Seeds of the samples, for questions by name: one run for each.
    repeats : int
        Runs of a row, each in a new process, if they take less than 20 s. All methods run once, then all
        again, so that a drift of the machine affects all alike.
    patience : float
        Seconds to wait, at most, before each run for other programs to be idle (Linux).
    path : path, optional
        JSON file of the rows, written after each run. Rows already in it are not measured again, except for
        those that were not started or not installed. Rows with fewer runs than ``repeats`` get the others.
    progress : bool
        Report progress.

    Returns
    -------
    Runs
        One row per question, method and seed, including failures: ``status`` is "ok", "timeout", "memory",
        "error", "missing", "unfit" (the method does not know the weights, sizes or metric) or "not started".
        Rows of a question are consecutive.

    Raises
    ------
    InputError
        If a question or a method is unknown, or an argument is invalid.

    Notes
    -----
    Cheap methods run first, on all questions; then methods that train or iterate for long, such as critics.

    Each run has a new process with the threads of the machine. The method is first called on few points, so
    that importing and compiling are not timed. Runs shorter than half a second are repeated, and the median
    is reported. With ``repeats``, ``run_seconds`` holds the seconds of each run, ``seconds`` is their median,
    and ``same_value`` tells whether all gave the same value. ``other_cores`` says how many cores other
    programs kept busy during each run (Linux); runs with more than 0.15 are left out of the median, unless
    there are no others. Memory is the increase of the process during the run. Errors are relative to W1
    between the same samples, where the tightest of otdist's intervals among the rows determines it well
    enough.

    Cost: the budget, and a few seconds to start, per row.

    Examples
    --------
    >>> from otdist import bench
    >>> runs = bench.run("shift n=50 d=2", ["otdist", "scipy assignment"], budget=20)
    >>> [row["status"] for row in runs.rows]
    ['ok', 'ok']
    >>> max(row["error"] for row in runs.rows) < 1e-9
    True
    """
    budget = check_number(budget, "budget", above=0.0, remedy="give seconds above 0")
    max_seconds = check_seconds(max_seconds)
    seeds = [check_seed(seed, "seeds") for seed in seeds]
    repeats = check_integer(repeats, "repeats")
    patience = check_number(patience, "patience", at_least=0.0, remedy="give seconds, or 0")
    if path is not None and check_output_path(path).suffix != ".json":
        raise InputError(
            "path", f"must end in .json to be resumed, got {path}", "use .json; save also as .parquet"
        )
    requests = list(_read_questions(questions, seeds))
    for method in methods or []:
        parse_method(method)
    stored_rows = Runs.load(path).rows if path is not None and Path(path).exists() else []
    rows_by_key = {_get_key(row): row for row in stored_rows}
    todo = [
        (question, rows_by_key.get(_get_key(row), row))
        for question, seed in requests
        for row in _make_rows(question, seed, methods, budget)
    ]
    order = list(dict.fromkeys([*rows_by_key, *(_get_key(row) for _, row in todo)]))
    todo = _sort_cheap_first([(question, row) for question, row in todo if not is_complete(row, repeats)])
    machine = {"date": time.strftime("%Y-%m-%d")} | describe_machine()
    end = math.inf if max_seconds is None else time.monotonic() + max_seconds
    with display_progress(progress, "measuring") as report_progress:
        left = repeats * len(todo)
        for index, (question, row) in itertools.product(range(repeats), todo):
            left -= 1
            count = len(_get_run_seconds(row))
            if is_complete(row, repeats) or count > index or (index > 0 and not count):
                continue
            wait_for_quiet(min(patience, end - time.monotonic()))
            remaining = end - time.monotonic()
            rows_by_key[_get_key(row)] = row
            if remaining < MIN_RUN_SECONDS:
                if row.get("status") is None:
                    row |= describe_question(question) | {"status": NOT_STARTED, "reason": "no time was left"}
                continue
            # Most runs take far less than an equal part, so that a slow one may take more.
            run_budget = min(max(remaining / (left + 1), remaining / REMAINING_TIME_SHARES), row["budget"])
            if count and run_budget < min(row["budget"], 2 * max(_get_run_seconds(row))):
                continue  # it would be ended for want of time; the row keeps its runs
            report_progress(f"{question.name}, {row['method']}")
            others = OtherWork()
            answer = measure(
                question,
                str(row["method"]),
                run_budget,
                memory if question.max_bytes is None else question.max_bytes,
                min(max(remaining, MIN_START_SECONDS), START_SECONDS),
            )
            _add_run(row, answer, machine, others.share())
            if path is not None:
                Runs(_group_by_question(rows_by_key, order)).save(path)
    runs = Runs(_group_by_question(rows_by_key, order))
    if path is not None and todo:
        runs.save(path)
    return runs


def measure(
    question: Question, method: str, budget: float, memory: float | None, start: float = START_SECONDS
) -> Row:
    """Run one method on one question; ``start`` limits the seconds before the measured call."""
    name, options = parse_method(method)
    sizes = describe_question(question)
    if (reason := find_obstacle(name, question)) is not None:
        return sizes | {"status": "unfit", "reason": reason}
    python = find_python(name)
    if python is None:
        return sizes | {"status": "missing", "reason": f"{METHODS[name][1]} is not installed"}
    with tempfile.TemporaryDirectory() as folder:
        points, spec_path = Path(folder) / "points.npz", Path(folder) / "spec.json"
        weights: dict[str, Any] = {
            side: w for side, w in (("a", question.a), ("b", question.b)) if w is not None
        }
        np.savez(points, x=question.x, y=question.y, **weights)
        spec: Row = {"name": name, "options": options, "points": str(points), "budget": budget}
        spec |= {"metric": question.metric, "packages": VERSIONED_PACKAGES}
        spec["adapter"] = str(ADAPTERS_FOLDER / f"{METHODS[name][0]}.py")
        spec["memory"] = None if memory is None else int(memory)
        # A method with its own time limit may exceed it a little: that is measured, not prevented.
        is_lenient = question.max_seconds is None and name in ("otdist", "otdist critic")
        spec["limit"] = 2 * budget + 10 if is_lenient else budget
        spec["start"] = start
        spec_path.write_text(json.dumps(spec))
        return sizes | run_worker(
            [python, "-W", "ignore", str(WORKER_PATH), str(spec_path)], spec["limit"], start
        )


def describe_question(question: Question) -> Row:
    """Return the sizes, the known W1 and the facts of a question, as entries of a row."""
    return question.facts | {
        "n": len(question.x),
        "m": len(question.y),
        "d": question.x.shape[1],
        "known": question.known,
        "laws": question.laws,
        "metric": question.metric,
        "weighted": question.a is not None or question.b is not None,
    }


def run_worker(command: list[str], limit: float, start: float, *, reports_start: bool = True) -> Row:
    """Run a worker process and return the JSON of its last line, or the way it failed.

    Parameters
    ----------
    command : list of str
        The command. The process limits itself.
    limit, start : float
        Seconds for the measured call, and for what precedes it. A minute after both the process is killed.
    reports_start : bool
        Whether it prints a line before the measured call, so that a slow start is distinguished.
    """
    # Threads of numpy beside those of torch make both several times slower.
    environment = os.environ | {"OPENBLAS_NUM_THREADS": os.environ.get("OPENBLAS_NUM_THREADS", "1")}
    try:
        process = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=limit + start + KILL_GRACE_SECONDS,
            check=False,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        return {"status": "timeout", "reason": f"no end after {limit + start + KILL_GRACE_SECONDS:.3g} s"}
    if process.returncode == -14:  # SIGALRM
        if not reports_start or STARTED_LINE in process.stdout.splitlines():
            return {"status": "timeout", "reason": f"ended after {limit:.3g} s"}
        reason = f"not ready after {limit + start:.3g} s: importing, compiling, a first call on few points"
        return {"status": "timeout", "reason": reason}
    lines = [line for line in process.stdout.splitlines() if line.startswith("{")]
    if process.returncode != 0 or not lines:
        out_of_memory = process.returncode == -9 or any(
            word in process.stderr for word in ("bad_alloc", "length_error", "MemoryError")
        )
        end = " ".join(process.stderr.strip().splitlines()[-1:])
        return {
            "status": "memory" if out_of_memory else "error",
            "reason": f"exit {process.returncode}: {end}",
        }
    answer: Row = json.loads(lines[-1])
    return answer


def _read_questions(questions: Any, seeds: Sequence[int]) -> Iterable[tuple[Question, int | None]]:
    several = [questions] if isinstance(questions, str | Question) or _is_pair(questions) else questions
    for index, question in enumerate(several):
        if isinstance(question, str):
            yield from ((question_by_name(question, rng=seed), seed) for seed in seeds)
        elif isinstance(question, Question):
            yield question, None
        else:
            yield Question.of(f"samples {index + 1}" if index else "samples", *question), None


def _make_rows(
    question: Question, seed: int | None, methods: Sequence[str] | None, budget: float
) -> Iterable[Row]:
    """Return the distinctive entries of a question's rows: one for each method, or each suitable one."""
    if methods is None:
        suggested = suggest_methods(max(len(question.x), len(question.y)), question.x.shape[1])
        methods = [name for name in suggested if find_obstacle(parse_method(name)[0], question) is None]
    seconds = float(budget if question.max_seconds is None else question.max_seconds)
    return [
        {"question": question.name, "method": method, "budget": seconds, "seed": seed} for method in methods
    ]


def _get_run_seconds(row: Row) -> list[float]:
    """Return the seconds of the completed runs of a row; older files hold only their median."""
    if row.get("status") != "ok":
        return []
    return list(row.get("run_seconds", [row["seconds"]]))


def is_complete(row: Row, repeats: int) -> bool:
    """Return whether a row needs no further run."""
    if row.get("status") in (None, NOT_STARTED, "missing"):
        return False
    seconds = _get_run_seconds(row)
    return row["status"] != "ok" or len(seconds) >= repeats or seconds[0] >= MAX_SECONDS_REPEATED


def _add_run(row: Row, answer: Row, machine: Row, other_cores: float) -> None:
    """Add a run to a row: the median of its runs, and the entries of the first."""
    cores = None if math.isnan(other_cores) else round(other_cores, 3)
    seconds = _get_run_seconds(row)
    if not seconds or answer["status"] != "ok":
        versions = machine["versions"] | answer.get("versions", {})
        row.pop("reason", None)
        row |= machine | answer | {"versions": versions}
    if answer["status"] != "ok":
        return
    others = [*row.get("other_cores", [None] * len(seconds)), cores] if seconds else [cores]
    seconds.append(answer["seconds"])
    row |= {"run_seconds": seconds, "other_cores": others}
    if len(seconds) == 1:
        return
    row["same_value"] = row.get("same_value", True) and row["value"] == answer["value"]
    if None not in (row["memory"], answer["memory"]):
        row["memory"] = max(row["memory"], answer["memory"])
    quiet = [run for run, share in zip(seconds, others, strict=True) if share is None or share <= QUIET_CORES]
    row |= {"seconds": float(np.median(quiet or seconds)), "seconds_range": _get_range(quiet or seconds)}


def _get_range(values: list[float]) -> list[float]:
    return [min(values), max(values)]


def _sort_cheap_first(todo: list[tuple[Question, Row]]) -> list[tuple[Question, Row]]:
    """Sort cheap methods before the others, and each of both groups by question in turn."""
    counts: dict[tuple[str, int | None], int] = {}
    ranks = []
    for _, row in todo:
        key = (row["question"], row["seed"])
        counts[key] = counts.get(key, -1) + 1
        ranks.append((not is_cheap(str(row["method"])), counts[key]))
    return [todo[k] for k in sorted(range(len(todo)), key=ranks.__getitem__)]


def _group_by_question(rows_by_key: dict[Key, Row], order: list[Key]) -> list[Row]:
    """Return the rows in the requested order, with the rows of each question consecutive."""
    rows = [rows_by_key[key] for key in order if key in rows_by_key]
    questions = list(dict.fromkeys(row["question"] for row in rows))
    return sorted(rows, key=lambda row: questions.index(row["question"]))


def _is_pair(value: object) -> bool:
    return (
        isinstance(value, tuple)
        and len(value) == 2
        and not any(isinstance(item, str | Question) for item in value)
    )


def _get_key(row: Row) -> Key:
    return row["question"], row["method"], row["budget"], row["seed"]

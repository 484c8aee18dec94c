"""Ask many methods many questions, each in a process of its own, and keep every answer."""

from __future__ import annotations

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

from otdist.bench.machine import machine
from otdist.bench.methods import FOLDER, METHODS, is_cheap, parsed, python_of, suggested
from otdist.bench.questions import Question, question
from otdist.bench.table import UNSTARTED, Runs, written
from otdist.bench.worker import STARTED
from otdist.errors import InputError
from otdist.inputs.arguments import check_number, check_seconds, check_seed
from otdist.progress import working

WORKER = Path(__file__).with_name("worker.py")
START = 60.0  # seconds for a process to import, to compile and to answer for few points, beyond its budget
LATE = 10.0  # the same where less is left of the time for all
GRACE = 60.0  # seconds after which a process that does not end itself is ended
FEW = 8  # parts of what is left of the time for all, of which a run may take one
LEAST = 1.0  # seconds below which no run is started
Row = dict[str, Any]
Asked = str | Question | tuple[Any, Any]


def run(
    questions: Asked | Iterable[Asked],
    methods: Sequence[str] | None = None,
    *,
    budget: float = 60.0,
    max_seconds: float | None = None,
    memory: float | None = None,
    seeds: Sequence[int] = (0,),
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
        ``otdist.bench.METHODS``. None: those worth asking at that size, of those that are installed.
    budget : float
        Seconds for a run. A method that can be told is told; any other is ended.
    max_seconds : float, optional
        Seconds for all runs together, starts included. Each may take an equal part of what is left, or an
        eighth, and at most ``budget``; once nothing is left, no more are started, and their rows say so. The
        last may overrun it, by its part and the ten seconds that any may take to start.
    memory : float, optional
        Bytes that a process may use for data. None: no limit.
    seeds : sequence of int
        Seeds of the samples, for questions by name: as many runs.
    path : path, optional
        JSON file of the rows, written after each. Rows that are there already are not measured again.
    progress : bool
        Say what is being measured.

    Returns
    -------
    Runs
        One row a run, failures included: ``status`` is "ok", "timeout", "memory", "error", "missing" or
        "not started". Rows about a question stand together.

    Raises
    ------
    InputError
        For a question or a method that is unknown, or a budget that is none.

    Notes
    -----
    Methods that tell most for their time are asked first, about all questions; then those that train or
    iterate for long, such as critics.

    Each run has a fresh process with the threads of the machine; it first answers the question for a few
    points, so that importing and compiling do not count. Runs shorter than half a second are repeated, and
    the median counts. The memory is what the run adds to its process. Errors are those against W1 between the
    same samples, as far as it is proved by the tightest of otdist's intervals among the rows.

    Cost: the budget, and a few seconds to start, for each row.

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
    if path is not None and written(path).suffix != ".json":
        raise InputError(
            "path", f"{path} could not be gone on with", "let it end in .json; save also as .parquet"
        )
    asked = list(_asked(questions, seeds))
    for method in methods or []:
        parsed(method)
    kept = Runs.load(path).rows if path is not None and Path(path).exists() else []
    known = {_key(row): row for row in kept}
    todo = [
        (one, {"question": one.name, "method": method, "budget": float(budget), "seed": seed})
        for one, seed in asked
        for method in methods or suggested(max(len(one.x), len(one.y)), one.x.shape[1])
    ]
    order = list(dict.fromkeys([*known, *(_key(row) for _, row in todo)]))
    done = {key for key, row in known.items() if row["status"] != UNSTARTED}
    todo = _cheap_first([(one, row) for one, row in todo if _key(row) not in done])
    facts = {"date": time.strftime("%Y-%m-%d")} | machine()
    end = math.inf if max_seconds is None else time.monotonic() + max_seconds
    with working(progress, "measuring") as tell:
        for place, (one, row) in enumerate(todo):
            left = end - time.monotonic()
            known[_key(row)] = row
            if left < LEAST:
                row |= sizes(one) | {"status": UNSTARTED, "reason": "no time was left"}
                continue
            # Most take far less than an equal part, so that a slow one may have more.
            part = min(max(left / (len(todo) - place), left / FEW), budget)
            tell(f"{one.name}, {row['method']}")
            row |= measured(one, str(row["method"]), part, memory, min(max(left, LATE), START)) | facts
            if path is not None:
                Runs(_grouped(known, order)).save(path)
    runs = Runs(_grouped(known, order))
    if path is not None and todo:
        runs.save(path)
    return runs


def measured(one: Question, method: str, budget: float, memory: float | None, start: float = START) -> Row:
    """Row of one method and one question; ``start`` is the time until it is put."""
    name, options = parsed(method)
    place = sizes(one)
    python = python_of(name)
    if python is None:
        return place | {"status": "missing", "reason": f"{METHODS[name][1]} is not installed"}
    with tempfile.TemporaryDirectory() as folder:
        points, spec = Path(folder) / "points.npz", Path(folder) / "spec.json"
        np.savez(points, x=one.x, y=one.y)
        told: Row = {"name": name, "options": options, "points": str(points), "budget": budget}
        told["adapter"] = str(FOLDER / f"{METHODS[name][0]}.py")
        told["memory"] = None if memory is None else int(memory)
        # A method that is told its time may overrun it a little: that is a finding, not a reason to end it.
        told["limit"] = 2 * budget + 10 if name in ("otdist", "otdist critic") else budget
        told["start"] = start
        spec.write_text(json.dumps(told))
        return place | apart([python, "-W", "ignore", str(WORKER), str(spec)], told["limit"], start)


def sizes(one: Question) -> Row:
    """What a row says about its question."""
    return {"n": len(one.x), "m": len(one.y), "d": one.x.shape[1], "known": one.known, "laws": one.laws}


def apart(command: list[str], limit: float, start: float) -> Row:
    """What a process prints as JSON in its last line, or how it ended."""
    # numpy's threads beside torch's would make both several times slower.
    environment = os.environ | {"OPENBLAS_NUM_THREADS": os.environ.get("OPENBLAS_NUM_THREADS", "1")}
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=limit + start + GRACE,
            check=False,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        return {"status": "timeout", "reason": f"no end after {limit + start + GRACE:.3g} s"}
    if done.returncode == -14:  # SIGALRM
        if STARTED in done.stdout.splitlines():
            return {"status": "timeout", "reason": f"ended after {limit:.3g} s"}
        reason = f"not ready after {limit + start:.3g} s: importing, compiling, a first call on few points"
        return {"status": "timeout", "reason": reason}
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode != 0 or not lines:
        short = done.returncode == -9 or any(word in done.stderr for word in ("bad_alloc", "MemoryError"))
        end = " ".join(done.stderr.strip().splitlines()[-1:])
        return {"status": "memory" if short else "error", "reason": f"exit {done.returncode}: {end}"}
    answer: Row = json.loads(lines[-1])
    return answer


def _asked(questions: Any, seeds: Sequence[int]) -> Iterable[tuple[Question, int | None]]:
    alone = isinstance(questions, str | Question) or _is_pair(questions)
    for place, one in enumerate([questions] if alone else questions):
        if isinstance(one, str):
            yield from ((question(one, rng=seed), seed) for seed in seeds)
        elif isinstance(one, Question):
            yield one, None
        else:
            yield Question.of(f"samples {place + 1}" if place else "samples", *one), None


def _cheap_first(todo: list[tuple[Question, Row]]) -> list[tuple[Question, Row]]:
    """Cheap methods before the others, and of each kind all questions in turn."""
    place: dict[Any, int] = {}
    ranks = []
    for _, row in todo:
        asked = (row["question"], row["seed"])
        place[asked] = place.get(asked, -1) + 1
        ranks.append((not is_cheap(str(row["method"])), place[asked]))
    return [todo[k] for k in sorted(range(len(todo)), key=ranks.__getitem__)]


def _grouped(known: dict[Any, Row], order: list[Any]) -> list[Row]:
    """Rows in the order in which they were asked for, those about a question together."""
    rows = [known[key] for key in order if key in known]
    questions = list(dict.fromkeys(row["question"] for row in rows))
    return sorted(rows, key=lambda row: questions.index(row["question"]))


def _is_pair(given: Any) -> bool:
    return (
        isinstance(given, tuple) and len(given) == 2 and not any(isinstance(g, str | Question) for g in given)
    )


def _key(row: Row) -> tuple[Any, ...]:
    return row["question"], row["method"], row["budget"], row["seed"]

"""Pairs of weighted samples, with their W1 where it is known."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from otdist.errors import InputError
from otdist.inputs.arguments import (
    check_bytes,
    check_choice,
    check_names,
    check_number,
    check_seconds,
    set_option,
)
from otdist.inputs.arrays import read
from otdist.inputs.weights import read_weights
from otdist.typing import Array, ArrayInput, Json

METRICS = ("euclidean", "cityblock", "chebyshev", "sqeuclidean")  # as scipy's cdist computes them
# Entries of a row that a run makes.
OWN_ENTRIES = {
    *("question", "method", "budget", "seed", "n", "m", "d", "known", "laws", "metric", "weighted"),
    *("status", "reason", "value", "lower", "upper", "gap", "error", "law_error", "truth", "wrong_bound"),
    *(
        "seconds",
        "seconds_range",
        "run_seconds",
        "other_cores",
        "cpu_seconds",
        "memory",
        "peak",
        "same_value",
    ),
    *(
        "converged",
        "message",
        "solver",
        "info",
        "reached",
        "residual",
        "iterations",
        "warnings",
        "dual",
        "steps",
    ),
    *("versions", "commit", "date", "cpu", "cores", "python"),
}


@dataclass(frozen=True, eq=False)
class Question:
    """Two samples, and optionally their weights, the cost between points, and limits of a run.

    Attributes
    ----------
    name : str
        Name in results.
    x, y : ndarray, shape (n, d), (m, d)
        The samples.
    known : float or None
        W1 between these samples, where a formula exists.
    laws : float or None
        W1 between the distributions they were drawn from, which differs from W1 between the samples.
    a, b : ndarray, shape (n,), (m,), or None
        Weights of the points, divided by their sum. None: all equal.
    metric : {"euclidean", "cityblock", "chebyshev", "sqeuclidean"}
        Distance between points. "sqeuclidean" is a cost: what is asked for is then the transport cost.
    max_seconds : float or None
        Seconds after which a run is ended, also one of a method with a time limit of its own. They take the
        place of the budget of :func:`~otdist.bench.run`. None: the budget.
    max_bytes : int or None
        Bytes that a run may allocate for data, instead of the ``memory`` of :func:`~otdist.bench.run`.
    facts : dict
        Further entries of each row, such as the group that the question belongs to; JSON must hold them.
    """

    name: str
    x: Array
    y: Array
    known: float | None = None
    laws: float | None = None
    a: Array | None = None
    b: Array | None = None
    metric: str = "euclidean"
    max_seconds: float | None = None
    max_bytes: int | None = None
    facts: dict[str, Json] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_choice(self.metric, "metric", METRICS)
        for name in ("known", "laws"):
            if (value := getattr(self, name)) is not None:
                set_option(self, name, check_number(value, name, at_least=0.0, remedy="give W1, or None"))
        for name, points in (("a", self.x), ("b", self.y)):
            if (weights := getattr(self, name)) is not None:
                set_option(self, name, read_weights(weights, name, len(points)))
        set_option(self, "max_seconds", check_seconds(self.max_seconds))
        set_option(self, "max_bytes", check_bytes(self.max_bytes))
        _check_facts(self.facts)

    @classmethod
    def of(
        cls,
        name: str,
        x: ArrayInput,
        y: ArrayInput,
        a: ArrayInput | None = None,
        b: ArrayInput | None = None,
        **fields: Any,
    ) -> Question:
        """Create a question from the user's samples, checked as by :func:`otdist.w1`."""
        from otdist.problem import Problem

        check_names(fields, ("known", "laws", "metric", "max_seconds", "max_bytes", "facts"), "a question")
        problem = Problem.of(x, y, a, b, metric=fields.get("metric", "euclidean"))
        if problem.fixed_value is not None:
            raise InputError("x", "and y must be finite, got non-finite values", "drop such rows first")
        a, b = problem.weights
        return cls(name, _read_points(x, "x"), _read_points(y, "y"), a=a, b=b, **fields)


def _read_points(points: ArrayInput, name: str) -> Array:
    values = read(points, name).values
    return values[:, None] if values.ndim == 1 else values


def _check_facts(facts: object) -> None:
    if not isinstance(facts, dict) or not all(isinstance(key, str) for key in facts):
        raise InputError(
            "facts", f"must be a dict with strings for keys, got {facts!r}", "pass {} for no facts"
        )
    if taken := sorted(OWN_ENTRIES & facts.keys()):
        raise InputError("facts", f"must not name entries of every row, got {taken}", "choose other names")
    try:
        json.dumps(facts, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(
            "facts", f"must be what JSON can hold, got {facts!r} ({error})", "use strings and finite numbers"
        ) from error

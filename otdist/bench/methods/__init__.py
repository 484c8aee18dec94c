"""Methods for W1 between two samples, of otdist and of other packages.

Each package has one adapter file. It imports numpy and its package, never otdist, so that it also runs in a
separate environment: the environment variable ``OTDIST_BENCH_<PACKAGE>`` names the Python to use. Its
function ``solve(name, samples, options)`` takes the :class:`~otdist.bench.worker.Samples` of a question,
and returns a dictionary with ``value``, and with ``lower`` and ``upper`` where the package proves bounds. The
whole call is timed, including the cost matrix; but not what ``prepare(name, samples, options)`` does before,
if there is such a function, nor entries that are functions, which are called afterwards.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from otdist.errors import InputError

if TYPE_CHECKING:
    from otdist.bench.questions.samples import Question

ADAPTERS_FOLDER = Path(__file__).parent

# Method name: adapter file, and the module that must be installed.
METHODS = {
    "otdist": ("ours", "otdist"),
    "otdist critic": ("ours", "torch"),
    "otdist sliced": ("ours", "otdist"),
    "otdist max-sliced": ("ours", "otdist"),
    "scipy assignment": ("of_scipy", "scipy"),
    "scipy linear programme": ("of_scipy", "scipy"),
    "scipy line": ("of_scipy", "scipy"),
    "POT emd2": ("of_pot", "ot"),
    "POT lazy": ("of_pot", "ot"),
    "POT sinkhorn": ("of_pot", "ot"),
    "POT sinkhorn_log": ("of_pot", "ot"),
    "POT sinkhorn_stabilized": ("of_pot", "ot"),
    "POT sliced": ("of_pot", "ot"),
    "GeomLoss": ("of_geomloss", "geomloss"),
    "GeomLoss debiased": ("of_geomloss", "geomloss"),
    "OTT-JAX": ("of_ott", "ott"),
    "wasserstein": ("of_wasserstein", "wasserstein"),
    "pyemd": ("of_pyemd", "pyemd"),
    "lapx": ("of_lapx", "lap"),
    "ortools": ("of_ortools", "ortools"),
    "deel-torchlip critic": ("of_torchlip", "deel"),
    "WGAN-GP critic": ("of_wgan", "torch"),
}

# Methods that estimate another quantity than W1 in two or more columns; all others estimate W1.
OTHER_QUANTITIES = {
    "otdist sliced": "sliced W1",
    "otdist max-sliced": "max-sliced W1",
    "POT sliced": "sliced W1",
}

# Questions that a method is not asked: others have a method that knows weights and all metrics.
ASSIGNMENTS = {"scipy assignment", "lapx"}
EQUAL_WEIGHTS_ONLY = {"deel-torchlip critic", "WGAN-GP critic"} | ASSIGNMENTS
OTHER_METRICS = {
    "otdist": ("cityblock", "chebyshev", "sqeuclidean"),
    "POT lazy": ("cityblock", "sqeuclidean"),
} | dict.fromkeys(
    ("scipy assignment", "lapx", "ortools", "wasserstein", "pyemd", "POT emd2"),
    ("cityblock", "chebyshev", "sqeuclidean"),
)

# Methods with the most information per second, run first on all questions; others train or iterate for long.
CHEAP_METHODS = {
    "otdist",
    "otdist sliced",
    "otdist max-sliced",
    "scipy assignment",
    "scipy line",
    "POT emd2",
    "lapx",
}
CHEAP_GAP = 0.05  # smallest relative gap at which otdist's "sinkhorn" is cheap


def parse_method(method: str) -> tuple[str, dict[str, float | str]]:
    """Parse a method such as ``"otdist sinkhorn tol=0.01"`` into its name and options.

    ``"otdist sparse"`` and similar names are the method "otdist" with the option ``method="sparse"``.
    """
    words = method.split()
    name = " ".join(word for word in words if "=" not in word)
    options: dict[str, float | str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if equals:
            options[key] = _parse_value(value)
    solver = name.removeprefix("otdist ")
    if name not in METHODS and solver != name and " " not in solver:
        name, options["method"] = "otdist", solver
    if name not in METHODS:
        problem = f"must be a method of otdist.bench.METHODS, got {method!r}"
        raise InputError("methods", problem, f"use some of {sorted(METHODS)}, with options")
    return name, options


def get_other_quantity(method: str, d: int) -> str | None:
    """Return the quantity that a method estimates instead of W1 in d columns; None if it estimates W1."""
    name = " ".join(word for word in method.split() if "=" not in word)
    return OTHER_QUANTITIES.get(name) if d > 1 else None


def is_cheap(method: str) -> bool:
    """Return whether a method is cheap enough to run before the others."""
    name, options = parse_method(method)
    if options.get("method") == "sinkhorn":
        tol = options.get("tol", 0.0)
        return isinstance(tol, float) and tol >= CHEAP_GAP
    return name in CHEAP_METHODS and options.get("method") != "critic"


def find_python(name: str) -> str | None:
    """Find a Python with the package of a method: from the environment variable, this one, or None."""
    file, module = METHODS[name]
    python = os.environ.get(f"OTDIST_BENCH_{file.removeprefix('of_').upper()}")
    if python:
        return python
    return sys.executable if find_spec(module) else None


def find_obstacle(name: str, question: Question) -> str | None:
    """Return why a method cannot be asked a question, or None."""
    n, m = len(question.x), len(question.y)
    weighted = question.a is not None or question.b is not None
    if weighted and name in EQUAL_WEIGHTS_ONLY:
        return "needs equal weights"
    if n != m and name in ASSIGNMENTS:
        return "needs equally many points in x and y"
    if question.metric not in ("euclidean", *OTHER_METRICS.get(name, ())):
        return f"does not know the metric {question.metric}"
    return None


def suggest_methods(n: int, d: int) -> list[str]:
    """Return the installed methods that are feasible for two samples of n points in d columns."""
    if d == 1:
        names = ["otdist", "scipy line", "otdist sinkhorn tol=0.01", "POT sinkhorn_log reg=0.01"]
        return [name for name in names if find_python(parse_method(name)[0])]
    names = ["otdist", "otdist tol=0.01", "otdist sinkhorn tol=0.1", "otdist sinkhorn tol=0.01"]
    names += ["otdist sliced", "otdist max-sliced"]
    if n <= 20_000:
        names += ["POT emd2", "scipy assignment", "lapx"]
    if n <= 5000:
        names += [
            "POT sinkhorn_log reg=0.01",
            "POT sinkhorn reg=0.01",
            "GeomLoss blur=0.05",
            "GeomLoss blur=0.01",
        ]
        names += ["ortools", "wasserstein", "OTT-JAX epsilon=0.01"]
    if n >= 1000:
        names += ["otdist critic", "WGAN-GP critic"]
    return [name for name in names if find_python(parse_method(name)[0])]


def _parse_value(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text

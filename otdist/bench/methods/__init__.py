"""Methods that can be asked for W1 between two samples: otdist's own, and those of other packages.

A file for each package. It imports numpy and its package, never otdist, so that it also runs in an
environment of its own: the environment variable ``OTDIST_BENCH_<PACKAGE>`` names the Python to use. Its
function ``solve`` takes two samples and options, and returns a dictionary with ``value``, and ``lower`` and
``upper`` where the package proves some. What it does before it returns is timed, a cost matrix included.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

from otdist.errors import InputError

FOLDER = Path(__file__).parent

# Name of a method: file, and the module that has to be there.
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
    "OTT-JAX": ("of_ott", "ott"),
    "wasserstein": ("of_wasserstein", "wasserstein"),
    "pyemd": ("of_pyemd", "pyemd"),
    "lapx": ("of_lapx", "lap"),
    "ortools": ("of_ortools", "ortools"),
    "deel-torchlip critic": ("of_torchlip", "deel"),
    "WGAN-GP critic": ("of_wgan", "torch"),
}

# Methods that answer another quantity in two columns and more; all others estimate W1.
QUANTITIES = {
    "otdist sliced": "sliced W1",
    "otdist max-sliced": "max-sliced W1",
    "POT sliced": "sliced W1",
}

# What tells most for its time. These are asked first, about all questions; others train, or iterate for long.
CHEAP = {
    "otdist",
    "otdist sliced",
    "otdist max-sliced",
    "scipy assignment",
    "scipy line",
    "POT emd2",
    "lapx",
}
TIGHT = 0.05  # gap below which otdist's "sinkhorn" is not cheap


def parsed(method: str) -> tuple[str, dict[str, float | str]]:
    """Name and options of a method, such as ``"otdist sinkhorn tol=0.01"``.

    ``"otdist sparse"`` and the like are the method "otdist" with the option ``method="sparse"``.
    """
    words = method.split()
    name = " ".join(word for word in words if "=" not in word)
    options: dict[str, float | str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if equals:
            options[key] = _number(value)
    own = name.removeprefix("otdist ")
    if name not in METHODS and own != name and " " not in own:
        name, options["method"] = "otdist", own
    if name not in METHODS:
        raise InputError("methods", f"{method!r} is unknown", f"use some of {sorted(METHODS)}, with options")
    return name, options


def other_quantity(method: str, d: int) -> str | None:
    """Name of what a method answers instead of W1 in d columns, None where it answers W1."""
    name = " ".join(word for word in method.split() if "=" not in word)
    return QUANTITIES.get(name) if d > 1 else None


def is_cheap(method: str) -> bool:
    """Whether a method is worth asking before others are."""
    name, options = parsed(method)
    if options.get("method") == "sinkhorn":
        tol = options.get("tol", 0.0)
        return isinstance(tol, float) and tol >= TIGHT
    return name in CHEAP and options.get("method") != "critic"


def python_of(name: str) -> str | None:
    """Python that has the package of a method: one that the environment names, this one, or None."""
    file, module = METHODS[name]
    other = os.environ.get(f"OTDIST_BENCH_{file.removeprefix('of_').upper()}")
    if other:
        return other
    return sys.executable if find_spec(module) else None


def suggested(n: int, d: int) -> list[str]:
    """Methods that are worth asking for two samples of n points, of those that are installed."""
    if d == 1:
        names = ["otdist", "scipy line", "otdist sinkhorn tol=0.01", "POT sinkhorn_log reg=0.01"]
        return [name for name in names if python_of(parsed(name)[0])]
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
    return [name for name in names if python_of(parsed(name)[0])]


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text

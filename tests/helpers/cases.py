"""Bad input: the public functions it is tried on, the numbered cases, and those that must wait."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import otdist

# The cases are numbered 1 to 44; a test says which it answers with @case(...).

# What waits for a function that does not exist yet: case -> (its name in otdist, what is missing).
LATER = {
    32: ("pairwise_w1", "an empty group names the group; empty samples are tested now"),
    44: ("pairwise_w1", "ragged lists of events are groups; ragged rows are tested now"),
}


def case(*numbers: int) -> Callable[[Any], Any]:
    """Say which cases a test answers; test_inputs.py reads these decorators."""
    return lambda test: test


@dataclass(frozen=True)
class Public:
    """A public function as a distance between two samples: ``f(x, y, a, b) -> float``."""

    name: str
    function: Callable[..., Any]
    read: Callable[[Any], float] = float
    options: dict[str, Any] = field(default_factory=dict)
    sides: tuple[str, ...] = ("x", "y")
    dims: tuple[int, ...] = (1, 2)
    p: float = 1
    takes: frozenset[str] = frozenset()  # of: weights, nan_policy, infinity, mass, batch

    def __call__(self, *given: Any, **options: Any) -> float:
        return self.read(self.function(*given, **self.options, **options))


ALL = frozenset({"weights", "nan_policy", "infinity", "mass"})
PLAIN = ALL - {"infinity"}
few = {"n_resamples": 9, "rng": 0}
few_lines = {"n_projections": 9, "rng": 0}


def _floor(x: Any, y: Any, **options: Any) -> Any:
    return otdist.stats.noise_floor(x, 2, 2, **options)


def _matrix_of(x: Any, y: Any, a: Any = None, b: Any = None, **options: Any) -> Any:
    u, v = (np.asarray(z).reshape(len(z), -1) for z in (x, y))
    return otdist.emd(np.abs(u[:, None] - v[None]).sum(axis=-1), a, b, **options)


def _first(w: Callable[..., Any], name: str, p: float = 1, **options: Any) -> Public:
    return Public(name, w, options=options, p=p, takes=ALL)


POINTS = [
    _first(otdist.w1, "w1"),
    _first(otdist.w1, "w1-dense", method="dense"),
    _first(otdist.w1, "w1-cityblock", metric="cityblock"),
    _first(otdist.w1, "w1-chebyshev-dense", metric="chebyshev", method="dense"),
    _first(partial(otdist.wasserstein, p=2), "wasserstein-2", p=2),
    _first(partial(otdist.wasserstein, p=2), "wasserstein-2-dense", p=2, method="dense"),
    Public(
        "wasserstein_1d",
        otdist.wasserstein_1d,
        lambda value: float(value.detach() if hasattr(value, "detach") else value),
        dims=(1,),
        takes=frozenset({"weights", "nan_policy"}),
    ),
    Public("sliced_w1", otdist.sliced_w1, options=few_lines, dims=(1,), takes=PLAIN),
    Public("sliced_w1-axis", otdist.sliced_w1, options={"directions": [[-3.0, 0.0]]}, dims=(2,), takes=PLAIN),
    Public("max_sliced_w1", otdist.max_sliced_w1, options={"rng": 0, "n_starts": 3}, takes=PLAIN),
    Public(
        "max_sliced_w1-2",
        partial(otdist.max_sliced_w1, p=2),
        options={"rng": 0, "n_starts": 3},
        p=2,
        takes=PLAIN,
    ),
    Public(
        "permutation_test",
        otdist.stats.permutation_test,
        lambda test: float(test.result),
        few,
        takes=frozenset({"nan_policy"}),
    ),
]
OTHERS = [  # answer with a cost, a part of one, or a divergence
    Public(
        "sinkhorn_divergence",
        otdist.sinkhorn_divergence,
        takes=frozenset({"weights", "nan_policy", "mass", "batch"}),
    ),
    *(
        Public(name, function, options=options, takes=frozenset({"weights", "nan_policy", "batch"}))
        for name, function, options in (
            ("unbalanced_w1", otdist.unbalanced_w1, {"reach": 2.0}),
            ("unbalanced_w1-kl", otdist.unbalanced_w1, {"reach": 8.0, "penalty": "kl"}),
            ("partial_w1", otdist.partial_w1, {}),
        )
    ),
]
FLOOR = Public("noise_floor", _floor, lambda floor: floor.mean, few, sides=("reference",))
TABLES = Public(
    "compare",
    otdist.compare,
    lambda report: sum(column.w1 for column in report.columns),
    {"n_resamples": 9, "joint": False},
    sides=("reference", "current"),
)
COST = Public("emd", _matrix_of, sides=(), takes=frozenset({"weights", "mass"}))

DISTANCES = [*POINTS, TABLES, COST]  # answer with a distance between x and y
STRICT = [*POINTS, *OTHERS, FLOOR]  # refuse what is not a finite number
PUBLIC = [*DISTANCES, *OTHERS, FLOOR]

COVERED = {
    *("w1", "wasserstein", "wasserstein_1d", "emd", "sliced_w1", "max_sliced_w1"),
    *("sinkhorn_divergence", "unbalanced_w1", "partial_w1"),
    *("compare", "permutation_test", "noise_floor"),
}
EXEMPT: dict[str, str] = {  # public function -> why no samples go in
    "recommend": "takes sizes; what it refuses is in test_recommend.py",
}


def each(functions: list[Public], *, takes: str | None = None, side: bool = False) -> pytest.MarkDecorator:
    """Parametrise over functions and dimensions, with ``side`` also over the argument at fault."""
    fit = [f for f in functions if takes is None or takes in f.takes]
    rows = [(f, d) for f in fit for d in f.dims]
    if not side:
        return pytest.mark.parametrize(("f", "d"), rows, ids=[f"{f.name}-{d}d" for f, d in rows])
    ends = [(f, d, k) for f, d in rows for k in range(len(f.sides))]
    return pytest.mark.parametrize(
        ("f", "d", "side"), ends, ids=[f"{f.name}-{d}d-{f.sides[k]}" for f, d, k in ends]
    )


each_weight = pytest.mark.parametrize("side", [0, 1], ids=["a", "b"])


def samples(d: int = 1) -> list[np.ndarray]:
    """Two small samples without ties, in quarters: fresh arrays (5,) and (4,), or (5, d) and (4, d)."""
    rng = np.random.default_rng(7)
    numbers = rng.permutation(np.arange(-40, 40))[: 9 * d] / 4.0
    x, y = numbers[: 5 * d], numbers[5 * d :]
    return [x.copy(), y.copy()] if d == 1 else [x.reshape(5, d).copy(), y.reshape(4, d).copy()]


def weights() -> list[np.ndarray]:
    """Weights for them."""
    return [np.array([0.5, 1.5, 0.25, 3.0, 1.0]), np.array([2.0, 0.125, 1.0, 0.75])]


def at(d: int, *values: float) -> np.ndarray:
    """Points at these places of the first axis: (n,) for d = 1, else (n, d)."""
    points = np.zeros((len(values), d))
    points[:, 0] = values
    return points[:, 0].copy() if d == 1 else points


def snapshot(value: Any) -> str:
    """Everything that could be modified, as text."""
    on_meta = str(getattr(value, "device", "")) == "meta"  # which holds no numbers
    plain = hasattr(value, "tolist") and not on_meta and not hasattr(value, "unit")  # astropy makes no lists
    return repr(value.tolist()) if plain else repr(value)


def refused(
    call: Callable[..., Any], argument: str, *given: Any, says: tuple[Any, ...] = (), **options: Any
) -> otdist.InputError:
    """Assert an InputError that names the argument, what is wrong and a remedy, and changes nothing."""
    before = [snapshot(value) for value in given]
    with pytest.raises(otdist.InputError) as caught:
        call(*given, **options)
    error = caught.value
    assert error.argument.split("[")[0] == argument, str(error)
    assert error.problem and error.remedy and str(error).startswith(error.argument)
    for part in says:
        assert re.search(rf"(?<![\w.]){re.escape(str(part))}(?!\w)", str(error)), (part, str(error))
    assert [snapshot(value) for value in given] == before
    return error


def exact_line(x: Any, y: Any, a: Any = None, b: Any = None) -> Fraction:
    """W1 on the line without any rounding: the area between the distribution functions."""
    mass: dict[Fraction, Fraction] = {}
    for points, w, sign in ((x, a, 1), (y, b, -1)):
        w = [Fraction(1)] * len(points) if w is None else [Fraction(float(v)) for v in w]
        for point, share in zip(points, w, strict=True):
            place = point if isinstance(point, Fraction) else Fraction(float(point))
            mass[place] = mass.get(place, Fraction(0)) + sign * share / sum(w)
    places = sorted(mass)
    height, area = Fraction(0), Fraction(0)
    for left, right in pairwise(places):
        height += mass[left]
        area += abs(height) * (right - left)
    return area

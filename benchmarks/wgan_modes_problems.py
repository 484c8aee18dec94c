"""What generators are trained on here, how their points are scored, and which rows there are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Row = dict[str, Any]
Points = NDArray[np.float64]

NEAR = 3.0  # standard deviations from the nearest mode within which a point is of high quality
METHODS: dict[str, dict[str, Any]] = {
    "otdist": {},
    "lp": {"constraint": "lp"},
    "gp": {"constraint": "gp"},
    "spectral": {"constraint": "spectral"},
    "clip": {"constraint": "clip"},
    "gan": {"objective": "gan", "constraint": "none"},
    "hinge": {"objective": "hinge", "constraint": "spectral"},
}


@dataclass(frozen=True)
class Task:
    """A law, and how long networks are trained on it.

    Attributes
    ----------
    draw : callable
        Fresh points from a random generator, and their number.
    given : int
        Points to train on.
    samples : int
        Points of the generator that modes are counted in.
    steps : int
        Of the generator, the same for every method.
    seeds : tuple of int
        Reported ones; settings were chosen on 100 and above.
    modes : callable or None
        Nearest mode of each point, and whether it is of high quality.
    count : int
        How many modes there are.
    """

    draw: Callable[[np.random.Generator, int], Points]
    given: int
    samples: int
    steps: int
    seeds: tuple[int, ...]
    modes: Callable[[Points], tuple[NDArray[np.intp], NDArray[np.bool_]]] | None
    count: int


def centres(name: str) -> tuple[Points, float]:
    """Means of the modes and their standard deviation: Lin et al. (2018), section 4.1."""
    if name == "ring":
        angles = 2 * np.pi * np.arange(8) / 8
        return np.stack([np.cos(angles), np.sin(angles)], 1), 0.01
    ticks = np.arange(-4.0, 5.0, 2.0)
    return np.stack(np.meshgrid(ticks, ticks), -1).reshape(-1, 2), 0.05


def mixture(name: str) -> Callable[[np.random.Generator, int], Points]:
    means, spread = centres(name)

    def draw(rng: np.random.Generator, n: int) -> Points:
        return means[rng.integers(len(means), size=n)] + spread * rng.standard_normal((n, 2))

    return draw


def nearest(name: str) -> Callable[[Points], tuple[NDArray[np.intp], NDArray[np.bool_]]]:
    means, spread = centres(name)

    def modes(points: Points) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        distances = np.linalg.norm(points[:, None] - means, axis=-1)
        return distances.argmin(1), distances.min(1) < NEAR * spread

    return modes


def swiss_roll(rng: np.random.Generator, n: int) -> Points:
    """A spiral in the plane, with noise: Gulrajani et al. (2017), figure 1, as scikit-learn draws it."""
    from sklearn.datasets import make_swiss_roll

    points, _ = make_swiss_roll(n, noise=0.25, random_state=int(rng.integers(2**31)))
    return np.asarray(points[:, [0, 2]] / 7.5)


@cache
def pixels() -> tuple[Points, NDArray[np.intp]]:
    """1,797 digits of 8 x 8 pixels, on [0, 1], with their labels."""
    from sklearn.datasets import load_digits

    values, labels = load_digits(return_X_y=True)
    return values / 16.0, labels


def digits(rng: np.random.Generator, n: int) -> Points:
    """Digits, drawn without replacement: in one order for each generator."""
    values, _ = pixels()
    return values[rng.permutation(len(values))[:n]].reshape(-1, 8, 8)


def stacked(rng: np.random.Generator, n: int) -> Points:
    """Three digits drawn at random as channels: 1,000 modes."""
    values, _ = pixels()
    return values[rng.integers(len(values), size=(n, 3))].reshape(n, 3, 8, 8)


@cache
def classifier() -> tuple[Any, float]:
    """Support vectors on four fifths of the digits, and the share of the others that they get right."""
    from sklearn.model_selection import train_test_split
    from sklearn.svm import SVC

    values, labels = pixels()
    x, held, y, held_labels = train_test_split(values, labels, test_size=0.2, random_state=0, stratify=labels)
    model = SVC(C=10.0, gamma=0.001 * 16.0**2).fit(x, y)
    return model, float(model.score(held, held_labels))


def classes(points: Points) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """The digit that each channel is taken for, read as one number; nothing is judged on its quality."""
    model, _ = classifier()
    channels = points.reshape(-1, 64)
    found = model.predict(channels).reshape(len(points), -1).astype(np.intp)
    return found @ 10 ** np.arange(found.shape[1])[::-1], np.ones(len(points), bool)


TASKS = {
    "ring": Task(mixture("ring"), 10_000, 2_500, 12_000, (0, 1, 2, 3, 4), nearest("ring"), 8),
    "grid": Task(mixture("grid"), 10_000, 2_500, 12_000, (0, 1, 2, 3, 4), nearest("grid"), 25),
    "swiss roll": Task(swiss_roll, 10_000, 2_500, 6_000, (0, 1, 2), None, 0),
    "digits": Task(digits, 1_437, 2_500, 6_000, (0, 1, 2), classes, 10),
    "stacked": Task(stacked, 25_600, 25_600, 12_000, (0, 1, 2), classes, 1_000),
}
BASELINES = {"ring": METHODS, "grid": METHODS, "swiss roll": METHODS, "digits": METHODS, "stacked": METHODS}


def key(row: Row) -> tuple[Any, ...]:
    """What makes a row another one."""
    return tuple(row[name] for name in ("task", "method", "seed"))


def named(row: Row) -> str:
    return f"{row['task']} {row['method']} seed={row['seed']}"


def rows() -> list[Row]:
    """All rows: real data and the defaults first, then the others, a seed at a time."""
    every = [(name, task, seed) for name, task in TASKS.items() for seed in task.seeds]
    ours = [(name, method, seed) for name, _, seed in every for method in ("real", "otdist")]
    others = [m for m in METHODS if m != "otdist"]
    ours += sorted(((n, m, s) for n, _, s in every for m in others), key=lambda cell: cell[2])
    return [{"task": name, "method": method, "seed": seed} for name, method, seed in ours]

"""Laws that generators are trained on here, and how their points are judged."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from sklearn.datasets import load_digits, make_swiss_roll
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC

NEAR = 3.0  # standard deviations from the nearest mode within which a point is of high quality
CLASSIC = {"objective": "gan", "constraint": "none"}
METHODS = {
    "otdist": {},
    "lp": {"constraint": "lp"},
    "gp": {"constraint": "gp"},
    "spectral": {"constraint": "spectral"},
    "clip": {"constraint": "clip"},
    "gan": CLASSIC,
    "hinge": {"objective": "hinge", "constraint": "spectral"},
}


@dataclass(frozen=True)
class Mixture:
    """Equally likely normal laws: Lin et al. (2018), section 4.1."""

    means: np.ndarray
    spread: float

    def __call__(self, rng, n):
        """Draw n points."""
        return self.means[rng.integers(len(self.means), size=n)] + self.spread * rng.standard_normal((n, 2))

    def judge(self, points):
        """Return the nearest mode of each point, and whether it is near."""
        distances = np.linalg.norm(points[:, None] - self.means, axis=-1)
        return distances.argmin(1), distances.min(1) < NEAR * self.spread


ANGLES = 2 * np.pi * np.arange(8) / 8
RING = Mixture(np.stack([np.cos(ANGLES), np.sin(ANGLES)], 1), 0.01)
GRID = Mixture(np.stack(np.meshgrid(*[np.arange(-4.0, 5.0, 2.0)] * 2), -1).reshape(-1, 2), 0.05)


def swiss_roll(rng, n):
    """A spiral in the plane, with noise: Gulrajani et al. (2017), figure 1, as scikit-learn draws it."""
    points, _ = make_swiss_roll(n, noise=0.25, random_state=int(rng.integers(2**31)))
    return points[:, [0, 2]] / 7.5


PIXELS, LABELS = load_digits(return_X_y=True)  # 1,797 digits of 8 x 8 pixels
PIXELS = PIXELS / 16.0  # on [0, 1]


def digits(rng, n):
    """Digits, drawn without replacement: in one order for each generator."""
    return PIXELS[rng.permutation(len(PIXELS))[:n]].reshape(-1, 8, 8)


def stacked(rng, n):
    """Three digits drawn at random as channels: 1,000 modes."""
    return PIXELS[rng.integers(len(PIXELS), size=(n, 3))].reshape(n, 3, 8, 8)


@cache
def classifier():
    """Support vectors on four fifths of the digits, and the share of the others that they get right."""
    parts = train_test_split(PIXELS, LABELS, test_size=0.2, random_state=0, stratify=LABELS)
    model = SVC(C=10.0, gamma=0.001 * 16.0**2).fit(*parts[::2])
    return model, model.score(*parts[1::2])


def classify(points):
    """The digit that each channel is taken for, read as one number; nothing is judged on its quality."""
    found = classifier()[0].predict(points.reshape(-1, 64)).reshape(len(points), -1)
    return found @ 10 ** np.arange(found.shape[1])[::-1], np.ones(len(points), bool)


@dataclass(frozen=True)
class Task:
    """A law, and how long networks are trained on it."""

    draw: Callable
    given: int  # points to train on
    samples: int  # points of the generator that modes are counted in
    steps: int  # of the generator, the same for every method
    seeds: range  # reported ones; settings were chosen on 100 and above
    count: int = 0  # of modes
    judge: Callable | None = None  # the nearest mode of each point, and whether it is near


TASKS = {
    "ring": Task(RING, 10_000, 2_500, 12_000, range(5), 8, RING.judge),
    "grid": Task(GRID, 10_000, 2_500, 12_000, range(5), 25, GRID.judge),
    "swiss roll": Task(swiss_roll, 10_000, 2_500, 6_000, range(3)),
    "digits": Task(digits, 1_437, 2_500, 6_000, range(3), 10, classify),
    "stacked": Task(stacked, 25_600, 25_600, 12_000, range(3), 1_000, classify),
}
STREAMS = ("given", "held out", "floor", "real")


def stream(task, seed, name):
    return np.random.default_rng([seed, list(TASKS).index(task), STREAMS.index(name)])


def draw_given(task, seed):
    return TASKS[task].draw(stream(task, seed, "given"), TASKS[task].given)

"""Hypothesis strategies: small weighted clouds, also with ties, and every way to solve them."""

from __future__ import annotations

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

# Coordinates on a coarse grid make ties and coincident points common.
coarse = st.integers(-4, 4).map(float)
fine = st.floats(-100, 100, allow_subnormal=False).map(lambda v: round(v, 6))


def examples(count):
    """Settings with ``count`` examples where an ordinary test has 60, and in proportion otherwise."""
    ordinary = settings.get_profile("fresh").max_examples
    return settings(max_examples=max(1, count * settings.default.max_examples // ordinary))


@st.composite
def clouds(draw, d=None, samples=2, max_size=8):
    """Draw samples of one dimension: arrays (n, d)."""
    d = draw(st.integers(1, 3)) if d is None else d
    numbers = draw(st.sampled_from([coarse, fine]))
    sizes = [draw(st.integers(1, max_size)) for _ in range(samples)]
    return [draw(hnp.arrays(np.float64, (n, d), elements=numbers)) for n in sizes]


@st.composite
def weights(draw, n):
    """Draw weights: none, counts with zeros, or shares."""
    kind = draw(st.sampled_from(["none", "counts", "shares"]))
    if kind == "none":
        return None
    elements = st.integers(0, 5).map(float) if kind == "counts" else st.floats(0.01, 1.0)
    w = draw(hnp.arrays(np.float64, n, elements=elements))
    w[draw(st.integers(0, n - 1))] = 1.0
    return w


@st.composite
def laws(draw, d=None, samples=2):
    """Draw weighted samples: a list of (points, weights)."""
    points = draw(clouds(d=d, samples=samples))
    return [(x, draw(weights(len(x)))) for x in points]


def diameter(*points):
    """Largest distance between any two points: the unit of every tolerance."""
    everything = np.concatenate([np.reshape(x, (len(x), -1)) for x in points])
    return float(np.linalg.norm(everything.max(axis=0) - everything.min(axis=0)))


def tolerance(*points):
    """Mass tolerance (1e-12) times diameter."""
    return 1e-12 * diameter(*points) + 1e-300


def shares(w, n):
    """Normalised weights."""
    w = np.ones(n) if w is None else np.asarray(w, dtype=float)
    return w / w.sum()

"""Weighted clouds for the exact comparison, by recipe and seed."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray
FIELDS = {"GRFrough": (0.25, 0.05), "GRFsmooth": (2.5, 0.3)}  # smoothness, range in sides of the image


Points = dict[str, Any]  # fields of a Question


def make_points(x: Array, y: Array, a: Array | None = None, b: Array | None = None, **fields: Any) -> Points:
    """Return the fields of a Question, with the largest range of a coordinate: the unit of tiny answers."""
    extent = float(np.ptp(np.concatenate([x, y]), axis=0).max())
    return {"x": x, "y": y, "a": a, "b": b, "facts": {"extent": extent}} | fields


def shrunk(n: int, scale: float) -> int:
    """Size in a trial."""
    return max(round(n * scale), 20)


def gauss(n: int, d: int, weighted: bool, scale: float) -> Points:
    """Normal samples, the second shifted by 0.3 in every coordinate; weights uniform on [0, 1] or equal."""
    n = shrunk(n, scale)
    rng = np.random.default_rng([n, d])
    x, y = rng.normal(size=(n, d)), rng.normal(size=(n, d)) + 0.3
    return make_points(x, y, rng.random(n), rng.random(n)) if weighted else make_points(x, y)


def images(recipe: str, side: int, metric: str, scale: float) -> Points:
    """Two images as weights on one grid of unit spacing.

    The random classes of DOTmark (Schrieber, Schuhmacher, Gottschlich 2017), made anew:

    - ``WhiteNoise``: pixels independent, uniform on [0, 1];
    - ``GRFrough``, ``GRFsmooth``: Gaussian fields of Matern covariance, with smoothness 0.25 and
      range 0.05, and with 2.5 and 0.3 of the side, moved up until their least pixel is 0;
    - ``CauchyDensity``: a bivariate Cauchy density with random centre, axes and angle.

    The parameters of the fields are ours. Weights keep all digits: DOTmark's are rounded to 256 greys.
    """
    side = max(round(side * scale**0.5), 6)
    rng = np.random.default_rng([side, sum(map(ord, recipe))])
    rows, cols = np.indices((side, side))
    grid = np.column_stack([rows.ravel(), cols.ravel()]).astype(float)
    first, second = (_image(recipe, side, rng).ravel() for _ in range(2))
    return make_points(grid, grid.copy(), first / first.sum(), second / second.sum(), metric=metric)


def _image(recipe: str, side: int, rng: np.random.Generator) -> Array:
    if recipe == "WhiteNoise":
        return rng.random((side, side))
    if recipe == "CauchyDensity":
        return _cauchy(side, rng)
    field = _matern(side, *FIELDS[recipe], rng)
    return field - field.min()


def _matern(side: int, smoothness: float, reach: float, rng: np.random.Generator) -> Array:
    """Gaussian field by its spectral density ``(2 nu / l^2 + |k|^2)^-(nu + 1)``.

    Made on a torus of twice the side, of which one quarter is kept: opposite edges are not neighbours.
    """
    wave = 2 * np.pi * np.fft.fftfreq(2 * side, d=1 / side)
    density = (2 * smoothness / reach**2 + wave[:, None] ** 2 + wave**2) ** -(smoothness + 1)
    noise = np.fft.fft2(rng.normal(size=(2 * side, 2 * side)))
    return np.fft.ifft2(noise * np.sqrt(density)).real[:side, :side]


def _cauchy(side: int, rng: np.random.Generator) -> Array:
    places = (np.indices((side, side)) + 0.5) / side - rng.uniform(0.2, 0.8, size=2)[:, None, None]
    angle, axes = rng.uniform(0, np.pi), rng.uniform(0.02, 0.2, size=2)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    scaled = np.tensordot(turn, places, axes=1) / axes[:, None, None]
    return (1 + (scaled**2).sum(axis=0)) ** -1.5


def cells(n: int, scale: float) -> Points:
    """Like cell embeddings: 20 clusters on random affine pieces of 6 dimensions in 60, a little noise.

    The second sample has other cluster weights, and is shifted slightly.
    """
    n = shrunk(n, scale)
    rng = np.random.default_rng([n, 60])
    centres = 0.5 * rng.normal(size=(20, 60))
    frames = rng.normal(size=(20, 6, 60)) / np.sqrt(60)
    shift = 0.2 * rng.normal(size=60) / np.sqrt(60)

    def sample() -> Array:
        label = rng.choice(20, size=n, p=rng.dirichlet(np.full(20, 5.0)))
        points = centres[label] + 0.05 * rng.normal(size=(n, 60))
        inner = rng.normal(size=(n, 6))
        for k in range(20):
            points[label == k] += inner[label == k] @ frames[k]
        return points

    x = sample()
    return make_points(x, sample() + shift)

"""Ascent on the sphere: directions along which two clouds lie far apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from otdist.problem import Problem
from otdist.solvers.sliced import distances_along, normalised
from otdist.solvers.slopes import rises

Array = NDArray[np.float64]

TRIED = 16  # random directions looked at for each start
AXES = 2  # main axes taken of a matrix
MANY_COLUMNS = 512  # beyond, eigenvectors take longer than the ascent
LONGEST = 4.0  # step; 1 takes the direction to the gradient itself
NEAR = 1e-2  # radians within which gradients are combined across a kink
FLAT = 0.03  # share of the gradient below which a combination of several leads nowhere
ENOUGH = 0.01  # share of the promised gain that a step must bring
HOPE = 300.0  # an ascent is given up where this many steps as good as its next do not reach the best
GAIN = 1e-9  # relative gain within reach below which an ascent is over


def climb(problem: Problem, starts: Array, max_iter: int) -> tuple[Array, NDArray[np.bool_], int]:
    """Ascend from all starts at once; no step lowers a distance.

    Returns
    -------
    directions : ndarray, shape (k, d)
        Where each ascent ended.
    settled : ndarray of bool, shape (k,)
        Whether it ended where no step gains a share of 1e-9 any more: a local maximum, up to
        kinks. True as well for those that were given up because they could not reach the best.
    rounds : int
        Rounds that were needed, at most ``max_iter``.

    Notes
    -----
    The distance is smooth but for kinks where two points of one sample change places. A step
    goes along the gradient, and is doubled when it succeeds and halved when it fails. Near a
    kink the gradients of both sides are combined into the shortest vector between them, which
    leads along it: the aggregate subgradient of Kiwiel (1983).
    """
    theta = starts.copy()
    height, rise = rises(problem, theta)
    heading, step = rise.copy(), np.ones(len(theta))
    settled = _length(rise) ** 2 < GAIN
    rounds = 0
    while rounds < max_iter and not settled.all():
        rounds += 1
        active = np.flatnonzero(~settled)
        far = step * _length(rise)
        ahead = heading[active] / _length(heading[active])[:, None]
        trial = normalised(theta[active] + far[active, None] * ahead)
        reached, slope = rises(problem, trial)
        promised = far[active] * (rise[active] * ahead).sum(axis=-1)
        better = reached > height[active] * (1 + ENOUGH * np.maximum(promised, 0.0))
        up, down = active[better], active[~better]
        theta[up], height[up], rise[up], heading[up] = (
            trial[better],
            reached[better],
            slope[better],
            slope[better],
        )
        step[up] = np.minimum(2 * step[up], LONGEST)
        joined = np.where(
            (far[down] < NEAR)[:, None], _shortest(heading[down], slope[~better]), heading[down]
        )
        flat = _length(joined) < FLAT * _length(rise[down])  # no way up at this range: look closer
        heading[down] = np.where(flat[:, None], rise[down], joined)
        step[down] /= np.where(flat, 8, 2)
        gain = step * _length(rise) ** 2
        settled = (gain < GAIN) | (height * (1 + HOPE * gain) < height.max())
    return theta, settled, rounds


def starting_directions(problem: Problem, count: int, rng: np.random.Generator) -> Array:
    """Directions to climb from: what means and covariances suggest, and the best of random ones."""
    informed = _suggested(problem)[:count]
    drawn = normalised(rng.normal(size=(TRIED * count, problem.d)))
    heights = distances_along(problem, drawn)[0]
    best = np.argsort(-heights, kind="stable")[: count - len(informed)]
    return np.concatenate([informed, drawn[best]])


def _suggested(problem: Problem) -> Array:
    """Difference of the means; main axes of the difference of the covariances, and of the pool."""
    a, b = problem.a / problem.mass, problem.b / problem.mass
    mean_x, mean_y = a @ problem.x, b @ problem.y
    vectors = [(mean_x - mean_y)[None]]
    if problem.d <= MANY_COLUMNS:
        x, y = problem.x - mean_x, problem.y - mean_y
        of_x, of_y = x.T @ (a[:, None] * x), y.T @ (b[:, None] * y)
        for matrix in (of_x - of_y, of_x + of_y):
            values, axes = np.linalg.eigh(matrix)
            vectors.append(axes.T[np.argsort(-np.abs(values), kind="stable")[:AXES]])
    found = np.concatenate(vectors)
    return normalised(found[found.any(axis=1)])


def _length(vectors: Array) -> Array:
    return np.asarray(np.linalg.norm(vectors, axis=-1))


def _shortest(u: Array, v: Array) -> Array:
    """Shortest vectors between u and v, row by row."""
    apart = u - v
    square = (apart * apart).sum(axis=-1, keepdims=True)
    share = (u * apart).sum(axis=-1, keepdims=True) / np.where(square > 0, square, 1.0)
    return np.asarray(u - np.clip(share, 0.0, 1.0) * apart)

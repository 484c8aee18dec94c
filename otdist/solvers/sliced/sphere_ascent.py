"""Gradient ascent on the sphere: directions along which two samples are far apart."""

from __future__ import annotations

import numpy as np

from otdist.problem import Problem
from otdist.solvers.sliced.gradients import log_gradients
from otdist.solvers.sliced.projections import distances_along, normalize
from otdist.typing import Array, Mask

RANDOM_PER_START = 16  # random directions evaluated for each start
AXES_PER_MATRIX = 2  # eigenvectors taken of each covariance matrix
MAX_COLUMNS_COVARIANCE = 512  # with more columns, eigenvectors take longer than the ascent
MAX_STEP = 4.0  # a step of 1 moves the direction to the gradient itself
KINK_RADIUS = 1e-2  # radians within which gradients are combined across a kink
MIN_TANGENT_SHARE = 1e-6  # a smaller tangential share of a gradient is rounding
MIN_COMBINED_SHARE = 0.03  # a combined gradient with a smaller share of the gradient's length is discarded
MIN_GAIN_SHARE = 0.01  # share of the expected gain that a step must reach
MAX_STEPS_TO_BEST = 300.0  # an ascent stops if so many steps like its next do not reach the best
MIN_RELATIVE_GAIN = 1e-9  # an ascent has converged if its next step gains a smaller share


def ascend(problem: Problem, starts: Array, max_iter: int) -> tuple[Array, Mask, int]:
    """Ascend from all starts at once; no step lowers a distance.

    Returns
    -------
    directions : ndarray, shape (k, d)
        Final direction of each ascent.
    converged : ndarray of bool, shape (k,)
        Whether no step gains a share of 1e-9 any more: a local maximum, up to kinks. True as well for
        ascents that were stopped because they could not reach the best.
    rounds : int
        Number of rounds, at most ``max_iter``.

    Notes
    -----
    The distance is smooth except for kinks where two points of one sample change their order. A step goes
    along the gradient; its length is doubled after a success and halved after a failure. Near a kink the
    gradients of both sides are combined into the shortest vector of their convex hull, which leads along
    the kink: the aggregate subgradient of Kiwiel (1983).

    A step is orthogonal to the direction it starts from, so their sum is never 0.
    """
    theta = starts.copy()
    objective, gradient = _tangent_gradients(problem, theta)
    search_direction, step = gradient.copy(), np.ones(len(theta))
    converged = _length(gradient) ** 2 < MIN_RELATIVE_GAIN
    rounds = 0
    while rounds < max_iter and not converged.all():
        rounds += 1
        active = np.flatnonzero(~converged)
        far = step * _length(gradient)
        ahead = search_direction[active] / _length(search_direction[active])[:, None]
        candidate = normalize(theta[active] + far[active, None] * ahead)
        candidate_objective, candidate_gradient = _tangent_gradients(problem, candidate)
        expected_gain = far[active] * (gradient[active] * ahead).sum(axis=-1)
        better = candidate_objective > objective[active] * (
            1 + MIN_GAIN_SHARE * np.maximum(expected_gain, 0.0)
        )
        up, down = active[better], active[~better]
        theta[up], objective[up], gradient[up], search_direction[up] = (
            candidate[better],
            candidate_objective[better],
            candidate_gradient[better],
            candidate_gradient[better],
        )
        step[up] = np.minimum(2 * step[up], MAX_STEP)
        combined = np.where(
            (far[down] < KINK_RADIUS)[:, None],
            _find_shortest(search_direction[down], candidate_gradient[~better]),
            search_direction[down],
        )
        combined = _tangent(combined, theta[down])
        flat = _length(combined) < MIN_COMBINED_SHARE * _length(
            gradient[down]
        )  # no ascent at this range: shorten the step
        search_direction[down] = np.where(flat[:, None], gradient[down], combined)
        step[down] /= np.where(flat, 8, 2)
        gain = step * _length(gradient) ** 2
        converged = (gain < MIN_RELATIVE_GAIN) | (
            objective * (1 + MAX_STEPS_TO_BEST * gain) < objective.max()
        )
    return theta, converged, rounds


def starting_directions(problem: Problem, count: int, rng: np.random.Generator) -> Array:
    """Return initial directions: from means and covariances, and the best of random ones."""
    informed = _moment_directions(problem)[:count]
    random = normalize(rng.normal(size=(RANDOM_PER_START * count, problem.d)))
    heights = distances_along(problem, random)[0]
    best = np.argsort(-heights, kind="stable")[: count - len(informed)]
    return np.concatenate([informed, random[best]])


def _moment_directions(problem: Problem) -> Array:
    """Difference of the means; main axes of the difference and of the sum of the covariances."""
    a, b = problem.a / problem.mass, problem.b / problem.mass
    mean_x, mean_y = a @ problem.x, b @ problem.y
    vectors = [(mean_x - mean_y)[None]]
    if problem.d <= MAX_COLUMNS_COVARIANCE:
        x, y = problem.x - mean_x, problem.y - mean_y
        of_x, of_y = x.T @ (a[:, None] * x), y.T @ (b[:, None] * y)
        for matrix in (of_x - of_y, of_x + of_y):
            values, axes = np.linalg.eigh(matrix)
            vectors.append(axes.T[np.argsort(-np.abs(values), kind="stable")[:AXES_PER_MATRIX]])
    candidates = np.concatenate(vectors)
    return normalize(candidates[candidates.any(axis=1)])


def _tangent_gradients(problem: Problem, theta: Array) -> tuple[Array, Array]:
    """Compute distances along directions, and their relative gradients on the sphere.

    In exact arithmetic the gradient is tangential. If the points coincide, a distance is 0 up to rounding
    and its gradient may point anywhere, also to the origin: it is then set to 0.
    """
    objective, gradient = log_gradients(problem, theta)
    tangent = _tangent(gradient, theta)
    tangent[_length(tangent) < MIN_TANGENT_SHARE * _length(gradient)] = 0.0
    return objective, tangent


def _tangent(vectors: Array, theta: Array) -> Array:
    """Project vectors onto the complement of ``theta``, row by row."""
    return np.asarray(vectors - (vectors * theta).sum(axis=-1, keepdims=True) * theta)


def _length(vectors: Array) -> Array:
    return np.asarray(np.linalg.norm(vectors, axis=-1))


def _find_shortest(u: Array, v: Array) -> Array:
    """Shortest vectors on the segments from u to v, row by row."""
    difference = u - v
    square = (difference * difference).sum(axis=-1, keepdims=True)
    share = (u * difference).sum(axis=-1, keepdims=True) / np.where(square > 0, square, 1.0)
    return np.asarray(u - np.clip(share, 0.0, 1.0) * difference)

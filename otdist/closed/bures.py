"""W2 between Gaussian distributions in any dimension: the Bures distance of their covariances."""

from __future__ import annotations

import math

import numpy as np

from otdist.bounds import FLOAT64_EPS
from otdist.closed.checks import compute_length, read_points, read_vector, require_finite
from otdist.errors import InputError
from otdist.result import Result
from otdist.runtime.errstate import isolate_errstate
from otdist.typing import Array, ArrayInput


@isolate_errstate
def gaussian(mean1: ArrayInput, cov1: ArrayInput, mean2: ArrayInput, cov2: ArrayInput) -> Result:
    """Compute W2 between two Gaussian distributions in any dimension.

    ``W2^2 = |mean1 - mean2|^2 + tr(A) + tr(B) - 2 tr((A^(1/2) B A^(1/2))^(1/2))`` with A, B the covariances.

    Parameters
    ----------
    mean1, mean2 : array_like, shape (d,) or a number when d = 1
        Means, in the units of the points.
    cov1, cov2 : array_like, shape (d, d) or a number (the variance) when d = 1
        Covariances, in squared units; symmetric, positive semidefinite, possibly singular.

    Returns
    -------
    Result
        The value with ``[lower, upper]`` widened by an estimate of the rounding error: relative
        ``d eps cond`` for nearby covariances, absolute ``d eps sqrt(tr)`` for distant ones, up to
        ``sqrt(d eps tr)`` for singular ones. Equal inputs give exactly 0.

    Raises
    ------
    InputError
        If shapes do not match, a value is not finite, or a covariance is not symmetric or has
        a negative eigenvalue, both beyond rounding (``16 d eps`` of its largest entry or eigenvalue).

    Notes
    -----
    O(d^3) time, O(d^2) memory. The trace formula (Dowson, Landau 1982; Givens, Shortt
    1984, Prop. 7) cancels: covariances that differ by 1e-9 would lose all digits. Two
    other forms do not cancel, and the one with the smaller rounding error is used: the residual
    ``|A^(1/2) - B^(1/2) U|_F`` with U the polar factor of ``B^(1/2) A^(1/2)`` (Bhatia, Jain, Lim
    2019, Theorem 1), and ``|A^(-1/2) X|_F`` where ``X = (A^(1/2) B A^(1/2))^(1/2) - A`` solves the
    Sylvester equation ``(A + X) X + X A = A^(1/2) (B - A) A^(1/2)``, linear in the difference.

    Examples
    --------
    >>> from otdist import closed
    >>> closed.gaussian([0, 0], [[1, 0], [0, 1]], [3, 0], [[25, 0], [0, 1]]).value
    5.0
    >>> r = closed.gaussian([0, 0], [[2, 1], [1, 2]], [0, 0], [[2, 1], [1, 2]])
    >>> r.value
    0.0
    """
    centre1, centre2 = read_vector(mean1, "mean1"), read_vector(mean2, "mean2")
    d = len(centre1)
    if len(centre2) != d:
        problem = f"must have {d} coordinates like mean1, got {len(centre2)}"
        raise InputError("mean2", problem, "use one dimension")
    first, second = _read_covariance(cov1, "cov1", d), _read_covariance(cov2, "cov2", d)
    with np.errstate(over="ignore"):  # reported by compute_length
        mean_distance = compute_length(centre1 - centre2, "mean1")
    bures, error, form = _compute_bures(first, second)
    value = require_finite(math.hypot(mean_distance, bures), "mean1")
    # d value / d bures = bures / value; a bures of 0 may still change the value by error^2 / (2 value).
    error = min(error, error * (bures + error) / value) if value > 0 else error
    info: dict[str, object] = {"form": form, "estimated_error": error}
    return Result(
        value, max(value - error, mean_distance, 0.0), value + error, "closed", name="W2", d=d, info=info
    )


def _read_covariance(cov: ArrayInput, name: str, d: int) -> Array:
    """Read a (d, d) symmetric positive semidefinite matrix, or raise InputError."""
    matrix = read_points(cov, name, (0, 2))
    matrix = matrix.reshape(1, 1) if matrix.ndim == 0 else matrix
    if matrix.shape != (d, d):
        raise InputError(
            name, f"must have shape ({d}, {d}), got {matrix.shape}", "pass (d, d); np.diag for variances"
        )
    tolerance = 16 * d * FLOAT64_EPS
    with np.errstate(over="ignore"):
        asymmetry = np.abs(matrix - matrix.T)
    if asymmetry.max() > tolerance * np.abs(matrix).max():
        row, column = (int(i) for i in np.unravel_index(int(asymmetry.argmax()), asymmetry.shape))
        raise InputError(
            name,
            f"is not symmetric: [{row}, {column}] differs from [{column}, {row}] by {asymmetry.max():g}",
            "pass (cov + cov.T) / 2 if this is rounding",
        )
    matrix = matrix / 2 + matrix.T / 2
    values = np.linalg.eigvalsh(matrix)
    if values[0] < -tolerance * np.abs(values).max():
        raise InputError(
            name,
            f"has the negative eigenvalue {values[0]:g} (largest {values[-1]:g})",
            "pass a covariance: positive semidefinite; add a multiple of the identity if this is rounding",
        )
    return matrix


def _compute_bures(first: Array, second: Array) -> tuple[float, float, str]:
    """Compute the Bures distance, an estimate of its rounding error, and the name of the form used."""
    if np.array_equal(first, second):
        return 0.0, 0.0, "equal"
    # An even power of two, so that scaling is exact and its root too.
    half_exponent = math.frexp(max(np.abs(first).max(), np.abs(second).max()))[1] // 2
    first, second = np.ldexp(first, -2 * half_exponent), np.ldexp(second, -2 * half_exponent)
    values1, vectors1 = _decompose(first)
    values2, vectors2 = _decompose(second)
    root1, root2 = (vectors1 * np.sqrt(values1)) @ vectors1.T, (vectors2 * np.sqrt(values2)) @ vectors2.T
    left, _, right = np.linalg.svd(root2 @ root1)
    distance = float(np.linalg.norm(root1 - root2 @ (left @ right)))
    root_error1, root_error2 = _estimate_root_error(values1), _estimate_root_error(values2)
    error, form = root_error1 + root_error2, "polar"
    if values1[0] * values2[-1] >= values2[0] * values1[-1]:  # invert the better conditioned covariance
        by_sylvester = _compute_by_sylvester(values1, vectors1, root2, root_error2, second - first)
    else:
        by_sylvester = _compute_by_sylvester(values2, vectors2, root1, root_error1, first - second)
    if by_sylvester[1] < error:
        (distance, error), form = by_sylvester, "sylvester"
    return math.ldexp(distance, half_exponent), math.ldexp(error, half_exponent), form


def _decompose(matrix: Array) -> tuple[Array, Array]:
    values, vectors = np.linalg.eigh(matrix)
    return np.maximum(values, 0.0), vectors  # negative values are rounding, see _read_covariance


def _estimate_root_error(values: Array) -> float:
    """Estimate the rounding of a matrix square root from the backward error of its eigenvalues."""
    backward_error = 4 * len(values) * FLOAT64_EPS * values[-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        squared_errors = np.fmin(
            backward_error, backward_error**2 / values
        )  # |sqrt(v + slip) - sqrt(v)|^2, at 0 and away from 0
    return float(np.sqrt(squared_errors.sum())) + len(values) * FLOAT64_EPS * math.sqrt(values[-1])


def _compute_by_sylvester(
    values: Array, vectors: Array, other_root: Array, other_error: float, difference: Array
) -> tuple[float, float]:
    """Compute ``|A^(-1/2) X|_F`` in the eigenbasis of A, and an estimate of its rounding error."""
    d, largest, smallest = len(values), values[-1], values[0]
    if smallest <= d * FLOAT64_EPS * largest:
        return math.inf, math.inf
    roots = np.sqrt(values)
    # Scaling of rows and columns, and an SVD of B^(1/2) A^(1/2) instead of an eigenvalue problem for
    # A^(1/2) B A^(1/2), keep the error proportional to cond(A), not to its square.
    right = roots[:, None] * (vectors.T @ difference @ vectors) * roots
    _, sigma, right_vectors = np.linalg.svd((other_root @ vectors) * roots)
    middle = right_vectors.T @ ((right_vectors @ right) / (sigma[:, None] + values))
    distance = float(np.linalg.norm(middle / roots[:, None]))
    relative = 8 * d * FLOAT64_EPS * largest / smallest
    if np.linalg.norm(difference) > smallest / 2:
        # For smaller differences B is at least A / 2. For larger ones B may be nearly singular, and the
        # rounding error of its root then affects sigma in any direction.
        relative += math.sqrt(largest) * other_error / smallest
    return distance, relative * distance

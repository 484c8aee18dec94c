"""Independent answers: the linear programme by HiGHS, and brute force."""

from __future__ import annotations

import itertools

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import eye_array, kron, vstack

# https://github.com/PythonOT/POT/issues/229: forbidden pairs at 1e32; the optimum is 57.5432.
FORBIDDEN = np.array(
    [
        [2.50275352e02, 3.74653218e02, 2.41352736e03, 1e32, 1.51751540e-03],
        [2.13082030e02, 3.28812836e02, 2.29487946e03, 1e32, 1.37109800e-01],
        [1.97333083e02, 3.09175848e02, 2.24250550e03, 1e32, 2.46506283e00],
        [1e32, 1e32, 1e32, 5.26223432e00, 2.5e31],
        [3.84690152e01, 8.09465684e01, 3.33064175e02, 2.5e31, 0.0],
    ]
)
FORBIDDEN_MASS = [0.125, 0.125, 0.125, 0.125, 0.5]


def highs(cost, a, b):
    """Optimal value of the transport problem by scipy's HiGHS, on a cost scaled to 1."""
    n, m = cost.shape
    scale = cost.max() or 1.0
    rows = kron(eye_array(n), np.ones((1, m)))
    cols = kron(np.ones((1, n)), eye_array(m))
    answer = linprog(
        (cost / scale).ravel(),
        A_eq=vstack([rows, cols]).tocsr(),
        b_eq=np.concatenate([a, b]),
        bounds=(0, None),
        method="highs-ds",
    )
    assert answer.success, answer.message
    return answer.fun * scale


def best_permutation(cost):
    """Optimal assignment of equal samples, by trying them all."""
    n = len(cost)
    return min(sum(cost[i, s[i]] for i in range(n)) for s in itertools.permutations(range(n))) / n

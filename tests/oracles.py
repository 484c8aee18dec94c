"""Independent answers: the linear programme by HiGHS, and brute force."""

from __future__ import annotations

import itertools

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import eye_array, kron, vstack


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

"""Independent answers: the linear programme by HiGHS, and brute force."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import coo_array, eye_array, kron, vstack
from scipy.special import logsumexp

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


def highs_on(rows, cols, cost, a, b):
    """Optimal value of a transport problem on some of its arcs, by HiGHS."""
    k = np.arange(len(rows))
    ends = np.concatenate([rows, len(a) + np.asarray(cols)])
    table = coo_array((np.ones(2 * len(k)), (ends, np.concatenate([k, k]))), (len(a) + len(b), len(k)))
    scale = cost.max() or 1.0
    answer = linprog(
        cost / scale, A_eq=table.tocsr(), b_eq=np.concatenate([a, b]), bounds=(0, None), method="highs-ds"
    )
    assert answer.success, answer.message
    return answer.fun * scale


def entropic(cost, a, b, eps, rho=None, rounds=20_000):
    """Optimum and potentials of entropic transport, by plain updates in float64 until nothing changes.

    ``rho``: marginals may be missed, at ``rho KL`` each; None: they are met.
    """
    rate = 1.0 if rho is None else rho / (rho + eps)
    f, g = np.zeros(len(a)), np.zeros(len(b))
    for _ in range(rounds):
        old = g
        if rho is not None:  # else the two sides take very long to agree on the mass
            s = rho / 2 * (logsumexp(-f / rho, b=a) - logsumexp(-g / rho, b=b))
            f, g = f + s, g - s
        f = -rate * eps * logsumexp((g - cost) / eps + np.log(b), axis=1)
        g = -rate * eps * logsumexp((f[:, None] - cost) / eps + np.log(a)[:, None], axis=0)
        if np.abs(g - old).max() <= 1e-12 * (1 + np.abs(g).max()):
            break
    carried = (a[:, None] * b * np.exp((f[:, None] + g - cost) / eps)).sum()
    gains = [q if rho is None else -rho * np.expm1(-q / rho) for q in (f, g)]
    return a @ gains[0] + b @ gains[1] - eps * (carried - a.sum() * b.sum()), f, g


def flat(cost, a, b, price):
    """Transport where what is left behind or created costs ``price`` a unit, by HiGHS; and what travels."""
    n, m = cost.shape
    sums = vstack([kron(eye_array(n), np.ones((1, m))), kron(np.ones((1, n)), eye_array(m))])
    answer = linprog(
        (cost - 2 * price).ravel(), A_ub=sums.tocsr(), b_ub=np.concatenate([a, b]), method="highs-ds"
    )
    assert answer.success, answer.message
    return answer.fun + price * (a.sum() + b.sum()), answer.x.reshape(n, m)


def least_of_mass(cost, a, b, mass):
    """Least cost at which a given mass travels, by HiGHS."""
    n, m = cost.shape
    sums = vstack([kron(eye_array(n), np.ones((1, m))), kron(np.ones((1, n)), eye_array(m))])
    answer = linprog(
        cost.ravel(),
        A_ub=sums.tocsr(),
        b_ub=np.concatenate([a, b]),
        A_eq=np.ones((1, n * m)),
        b_eq=[mass],
        method="highs-ds",
    )
    assert answer.success, answer.message
    return answer.fun


def exact_costs(x, y, metric):
    """Distances without any rounding, as rows of fractions; "cityblock" or "chebyshev"."""
    left, right = ([[Fraction(float(c)) for c in point] for point in z] for z in (x, y))
    join = {"cityblock": sum, "chebyshev": max}[metric]
    return [[join(abs(s - t) for s, t in zip(u, v, strict=True)) for v in right] for u in left]


def exact_assignment(cost):
    """Optimal assignment of equal samples without any rounding, from rows of numbers.

    The Hungarian method (Kuhn 1955, Munkres 1957) in whole numbers: O(n^3) operations of Python's.
    """
    table = [[Fraction(entry) for entry in row] for row in cost]
    unit = max(entry.denominator for row in table for entry in row)  # floats: all powers of two
    whole = [[int(entry * unit) for entry in row] for row in table]
    n = len(whole)
    f, g, match = [0] * n, [0] * (n + 1), [-1] * (n + 1)  # column n is where a new row starts
    for row in range(n):
        match[n], j = row, n
        least: list = [None] * n
        before, done = [n] * n, []
        while match[j] >= 0:
            done.append(j)
            i = match[j]
            free = [q for q in range(n) if q not in done]
            for q in free:
                reduced = whole[i][q] - f[i] - g[q]
                if least[q] is None or reduced < least[q]:
                    least[q], before[q] = reduced, j
            j = min(free, key=lambda q: least[q])
            step = least[j]
            for q in done:
                f[match[q]] += step
                g[q] -= step
            for q in free:
                least[q] -= step
        while j != n:
            match[j] = match[before[j]]
            j = before[j]
    return Fraction(sum(whole[match[q]][q] for q in range(n)), unit * n)

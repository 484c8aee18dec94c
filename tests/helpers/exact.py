"""Distances without rounding: fractions for points and masses, 60 digits for roots and angles."""

from __future__ import annotations

import itertools
from fractions import Fraction

import mpmath
import numpy as np

DIGITS = 60


def decimal(number):
    """A fraction, or a number that mpmath knows, to 60 digits."""
    with mpmath.workdps(DIGITS):
        if isinstance(number, Fraction):
            return mpmath.mpf(number.numerator) / number.denominator
        return mpmath.mpf(number)


def root_of_mean(costs, p):
    """``(sum_k mass_k distance_k**p)**(1/p)`` of pairs (mass, distance)."""
    with mpmath.workdps(DIGITS):
        total = sum((decimal(mass) * decimal(distance) ** p for mass, distance in costs), mpmath.mpf(0))
        return total ** (1 / mpmath.mpf(p))


def assignment(distances, p):
    """W_p between equal samples from their distances, by trying all permutations."""
    n = len(distances)
    with mpmath.workdps(DIGITS):
        powers = [[decimal(distance) ** p for distance in row] for row in distances]
        orders = itertools.permutations(range(n))
        best = min(sum(powers[i][order[i]] for i in range(n)) for order in orders)
        return (best / n) ** (1 / mpmath.mpf(p))


def norm(differences, power=2):
    """``(sum_k |difference_k|**power)**(1/power)`` of fractions."""
    with mpmath.workdps(DIGITS):
        total = sum((decimal(abs(difference)) ** power for difference in differences), mpmath.mpf(0))
        return total ** (1 / mpmath.mpf(power))


def differences(u, v):
    """Differences of two points of floats, as fractions."""
    return [Fraction(float(s)) - Fraction(float(t)) for s, t in zip(np.ravel(u), np.ravel(v), strict=True)]


def around(difference, length):
    """Length of a difference on a circle."""
    rest = difference % Fraction(length)
    return min(rest, Fraction(length) - rest)


def angle(u, v):
    """Angle between two vectors of floats: the inner product and Gram's determinant are exact."""
    left, right = ([Fraction(float(c)) for c in np.ravel(w)] for w in (u, v))
    inner = sum(s * t for s, t in zip(left, right, strict=True))
    gram = sum(s * s for s in left) * sum(t * t for t in right) - inner**2
    with mpmath.workdps(DIGITS):
        return mpmath.atan2(mpmath.sqrt(decimal(gram)), decimal(inner))


def _law(points, weights):
    """Points in order with their shares of the whole."""
    masses = [Fraction(float(w)) for w in weights]
    total = sum(masses)
    law = sorted((Fraction(x), mass / total) for x, mass in zip(points, masses, strict=True) if mass)
    return [x for x, _ in law], list(itertools.accumulate(mass for _, mass in law))


def _at(points, levels, u):
    """Quantile just above the level u."""
    return next(x for x, level in zip(points, levels, strict=True) if level > u)


def line(x, y, a, b, p):
    """W_p on the line: quantiles in order."""
    (left, rows), (right, cols) = _law(map(float, x), a), _law(map(float, y), b)
    cuts = sorted({Fraction(0), *rows, *cols})
    return root_of_mean(
        [
            (end - start, abs(_at(left, rows, start) - _at(right, cols, start)))
            for start, end in itertools.pairwise(cuts)
        ],
        p,
    )


def circle(x, y, a, b, length, p):
    """W_p on a circle: the best of all turns at which two levels meet."""
    length = Fraction(length)
    (left, rows), (right, cols) = (
        _law([Fraction(float(point)) % length for point in points], weights)
        for points, weights in ((x, a), (y, b))
    )
    turns = {row - col + lap for row in rows for col in cols for lap in (-1, 0, 1)}
    return min(root_of_mean(_turned(left, rows, right, cols, length, turn), p) for turn in turns)


def _turned(left, rows, right, cols, length, turn):
    """Masses and distances where level u of y meets level u + turn of x, laps included."""
    cuts = sorted({Fraction(0), Fraction(1), *cols, *((row - turn) % 1 for row in rows)})
    for start, end in itertools.pairwise(cuts):
        lap, level = divmod(start + turn, 1)
        yield end - start, abs(_at(left, rows, level) + lap * length - _at(right, cols, start))


def holds(result, truth):
    """Assert that a result's interval holds the truth and its value."""
    assert decimal(result.lower) <= truth <= decimal(result.upper), (result, truth)
    assert result.lower <= result.value <= result.upper

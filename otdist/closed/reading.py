"""Samples and frozen scipy distributions, checked and converted for the quadrature."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from otdist.closed.checks import read_points, read_weights
from otdist.closed.quantiles import (
    DYADIC,
    ContinuousDistribution,
    DiscreteDistribution,
    LineDistribution,
    Moments,
)
from otdist.closed.shapes import FAMILY_SHAPES
from otdist.errors import InputError
from otdist.typing import Array, ArrayInput, Distribution

MAX_ATOMS = 2**17
HOELDER_DEPTH = 80  # DYADIC[:80] ends at 2^-128
FAR_MASS = 1e-290  # mass beyond atoms with probabilities below 1e-300


def read_distribution(distribution: Distribution, name: str) -> LineDistribution:
    """Read a distribution from samples, (samples, weights) or a frozen distribution of scipy.stats."""
    if isinstance(distribution, tuple):
        if len(distribution) != 2:
            raise InputError(
                name, f"is a tuple of length {len(distribution)}", "pass (values, weights), or an array"
            )
        return _read_samples(distribution[0], distribution[1], name)
    if hasattr(distribution, "dist") and hasattr(distribution, "ppf") and hasattr(distribution, "kwds"):
        return _read_frozen(distribution, name)
    if hasattr(distribution, "freeze"):
        remedy = (
            f"call it with its parameters, such as scipy.stats.{getattr(distribution, 'name', 'norm')}(...)"
        )
        raise InputError(name, "is a family of distributions, not one distribution", remedy)
    if hasattr(distribution, "rvs") or hasattr(distribution, "resample") or hasattr(distribution, "icdf"):
        raise InputError(
            name,
            f"a {type(distribution).__name__} is not a frozen one-dimensional distribution of scipy.stats",
            "pass scipy.stats.norm(0, 1) or the like, or an array of samples",
        )
    return _read_samples(distribution, None, name)


def _read_samples(values: ArrayInput, mass: ArrayInput | None, name: str) -> DiscreteDistribution:
    x = read_points(values, name, (1,))
    if mass is None:
        atoms = np.sort(x)
        # k / n is correctly rounded, so that 1/3 and 2/6 are one edge, without a tiny cell between.
        below = np.arange(1, len(x) + 1) / len(x)
        return DiscreteDistribution(name, len(x), atoms, below, below)
    w = read_weights(mass, f"{name} weights", len(x))
    atoms, where = np.unique(x[w > 0], return_inverse=True)
    return _make_discrete(name, len(x), atoms, np.bincount(where, w[w > 0]).astype(np.float64))


def _make_discrete(
    name: str,
    size: int,
    atoms: Array,
    mass: Array,
    missing: tuple[float, float] = (0.0, 0.0),
    moments: Moments | None = None,
) -> DiscreteDistribution:
    """Make a distribution from atoms; masses are cumulated in extended precision from both ends."""
    extended = mass.astype(np.longdouble)
    extended *= (1 - np.longdouble(missing[0]) - np.longdouble(missing[1])) / extended.sum()
    below = (missing[0] + np.cumsum(extended)).astype(np.float64)
    above = (missing[1] + np.cumsum(extended[::-1])).astype(np.float64)
    return DiscreteDistribution(name, size, atoms, below, above, missing, moments)


def _read_frozen(frozen: Any, name: str) -> LineDistribution:
    support = frozen.support()
    if np.ndim(support[0]) or np.ndim(support[1]):
        raise InputError(
            name, f"holds {np.size(support[0])} distributions", "pass one distribution at a time"
        )
    low, high = float(support[0]), float(support[1])
    median = float(frozen.ppf(0.5))
    if not (low <= median <= high and math.isfinite(median)):
        raise InputError(
            name,
            f"scipy.stats.{frozen.dist.name} has median {median} on [{low}, {high}]",
            "check its parameters",
        )
    mean, variance, kurtosis = (float(k) for k in frozen.stats(moments="mvk"))
    if _get_family(frozen) not in FAMILY_SHAPES and (mean < low or mean > high or variance < 0):
        raise InputError(
            name,
            f"{frozen.dist.name} states mean {mean:g} and variance {variance:g} on [{low:g}, {high:g}]",
            "pass samples of it: its moments, which bound the tails, are wrong",
        )
    moments = Moments(mean, variance, kurtosis)
    if hasattr(frozen.dist, "xk"):
        _, loc, _ = _read_parameters(frozen)
        return _make_discrete(
            name, 0, np.asarray(frozen.dist.xk, dtype=float) + loc, np.asarray(frozen.dist.pk, dtype=float)
        )
    if hasattr(frozen.dist, "pmf"):
        return _read_discrete(frozen, name, (low, high), median, moments)
    return _make_continuous(frozen, name, (low, high), moments)


def is_same_distribution(mu: Any, nu: Any) -> bool:
    """Return whether both are one family of scipy.stats with the same parameters."""
    if not all(hasattr(distribution, "dist") and hasattr(distribution, "kwds") for distribution in (mu, nu)):
        return False
    family = _get_family(mu)
    return family is not None and family == _get_family(nu) and _read_parameters(mu) == _read_parameters(nu)


def _get_family(frozen: Any) -> str | None:
    """Return the name of a family of scipy.stats; None for custom distributions and histograms."""
    from scipy import stats  # already loaded by the caller of a frozen distribution

    name = str(frozen.dist.name)
    return name if type(getattr(stats, name, None)) is type(frozen.dist) else None


def _read_parameters(frozen: Any) -> tuple[tuple[float, ...], float, float]:
    """Read shape parameters, loc and scale of a frozen distribution, positional or by keyword."""
    names = [part.strip() for part in (frozen.dist.shapes or "").split(",") if part.strip()]
    parameters = dict(zip([*names, "loc", "scale"], frozen.args, strict=False)) | frozen.kwds
    shapes = tuple(float(parameters[key]) for key in names)
    return shapes, float(parameters.get("loc", 0.0)), float(parameters.get("scale", 1.0))


def _make_continuous(
    frozen: Any, name: str, support: tuple[float, float], moments: Moments
) -> ContinuousDistribution:
    shapes, loc, scale = _read_parameters(frozen)
    standard = frozen.dist(*shapes)
    iqr = abs(float(frozen.isf(0.25) - frozen.ppf(0.25)))
    shape = FAMILY_SHAPES.get(_get_family(frozen) or "")
    # Hoelder's inequality needs less depth than a power law, and unlisted families often fail far out.
    depth = len(DYADIC) if shape else HOELDER_DEPTH
    smallest_masses = (
        _find_smallest_mass(frozen.ppf, frozen.cdf, support[0], depth),
        _find_smallest_mass(frozen.isf, frozen.sf, support[1], depth),
    )
    if max(smallest_masses) > 0.125:
        raise InputError(
            name,
            f"scipy finds no quantiles of {frozen.dist.name} beyond mass {max(smallest_masses):g}",
            "pass samples of it",
        )
    return ContinuousDistribution(
        name,
        frozen,
        standard,
        loc,
        scale,
        support,
        smallest_masses,
        moments,
        iqr,
        shape,
        shapes,
    )


def _find_smallest_mass(
    quantile: Callable[[Array], ArrayLike], mass_beyond: Callable[[Array], ArrayLike], end: float, depth: int
) -> float:
    """Find the smallest power of two whose quantile scipy computes correctly; 0 on a bounded side.

    In the far tail scipy can return infinities, nan, or a wrong finite number: a quantile is accepted if the
    mass beyond it agrees with the requested one. Distributions without their own ``sf`` end near 1e-13, those
    with one near 1e-299.
    """
    if math.isfinite(end):
        return 0.0
    smallest = 0.5
    # In stages: the root searches of scipy may warn or hang at masses beyond their reach.
    for part in (DYADIC[:32], DYADIC[32:HOELDER_DEPTH], DYADIC[HOELDER_DEPTH:depth]):
        try:
            with np.errstate(all="ignore"):
                x = np.asarray(quantile(part))
                returned_mass = np.asarray(mass_beyond(x))
        except RuntimeError:  # scipy's root finder gave up
            break
        with np.errstate(all="ignore"):
            accurate = np.isfinite(x) & (
                np.abs(returned_mass - part) <= np.minimum(1e-6 * part + 1e-15, 1e-3 * part)
            )
        count = len(part) if accurate.all() else int(np.argmin(accurate))
        smallest = float(part[count - 1]) if count else smallest
        if count < len(part):
            break
    return smallest


def _read_discrete(
    frozen: Any, name: str, support: tuple[float, float], median: float, moments: Moments
) -> DiscreteDistribution:
    """Read the atoms between the two points where the probabilities fall below 1e-300."""
    last = _find_last_atom(frozen, median, support[1], 1)
    first = _find_last_atom(frozen, median, support[0], -1)
    atoms = np.arange(first, last + 1)
    mass = np.asarray(frozen.pmf(atoms), dtype=float)
    missing = (
        _compute_missing_mass(frozen.cdf(first - 1), mass[0], first, support[0]),
        _compute_missing_mass(frozen.sf(last), mass[-1], last, support[1]),
    )
    total = float(mass.sum()) + sum(missing)
    # With an infinite mean no atoms are needed: the distance is infinite or does not exist.
    if math.isfinite(moments.mean) and (abs(total - 1) > 1e-9 or max(missing) > 1e-6):
        raise InputError(
            name,
            f"{len(atoms)} atoms around the median hold mass {float(mass.sum()):.9g}",
            f"pass a discrete distribution with mass 1 on at most {MAX_ATOMS} integers (plus loc) or samples",
        )
    positive = mass > 0
    return _make_discrete(name, 0, atoms[positive], mass[positive], missing, moments)


def _find_last_atom(frozen: Any, median: float, end: float, direction: int) -> float:
    """Find an atom with negligible mass beyond it, the end of the support, or the last atom allowed."""
    steps = 2.0 ** np.arange(4, round(math.log2(MAX_ATOMS)))
    steps[-1] = MAX_ATOMS // 2
    candidates = median + direction * steps
    beyond = np.asarray(frozen.sf(candidates) if direction > 0 else frozen.cdf(candidates))
    empty = (np.asarray(frozen.pmf(candidates)) < 1e-300) & (beyond < 1e-15)
    far = float(candidates[int(np.argmax(empty))] if empty.any() else candidates[-1])
    return min(far, end) if direction > 0 else max(far, end)


def _compute_missing_mass(stated_mass: float, edge_mass: float, edge: float, end: float) -> float:
    """Compute the mass beyond the outermost atom from scipy's value, which may have rounded to 0."""
    if edge == end:
        return 0.0
    if edge_mass < 1e-300:
        return FAR_MASS
    return max(float(stated_mass), 2.0**-52)

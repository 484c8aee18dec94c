"""Samples and frozen scipy laws, checked once and made into ``Steps`` or ``Smooth``."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from otdist.arrays import Array
from otdist.closed.checks import points, weights
from otdist.closed.quantiles import DYADIC, Law, Moments, Smooth, Steps
from otdist.closed.shapes import SHAPES
from otdist.errors import InputError

MOST_ATOMS = 2**17
SHALLOW = 80  # DYADIC[:80] ends at 2^-128
FAR_MASS = 1e-290  # mass beyond atoms whose probabilities have fallen below 1e-300


def read_law(law: Any, name: str) -> Law:
    """Read a law on the line from samples, (samples, weights) or a frozen scipy.stats distribution."""
    if isinstance(law, tuple):
        if len(law) != 2:
            raise InputError(name, f"is a tuple of length {len(law)}", "pass (values, weights), or an array")
        return _samples(law[0], law[1], name)
    if hasattr(law, "dist") and hasattr(law, "ppf") and hasattr(law, "kwds"):
        return _frozen(law, name)
    if hasattr(law, "freeze"):
        remedy = f"call it with its parameters, such as scipy.stats.{getattr(law, 'name', 'norm')}(...)"
        raise InputError(name, "is a family of laws, not one law", remedy)
    if hasattr(law, "rvs") or hasattr(law, "resample") or hasattr(law, "icdf"):
        raise InputError(
            name,
            f"a {type(law).__name__} is not a frozen one-dimensional law of scipy.stats",
            "pass scipy.stats.norm(0, 1) or the like, or an array of samples",
        )
    return _samples(law, None, name)


def _samples(values: Any, mass: Any, name: str) -> Steps:
    x = points(values, name, (1,))
    if mass is None:
        atoms = np.sort(x)
        # k / n is correctly rounded, so that 1/3 and 2/6 are one edge: no slivers between n and 2n samples.
        below = np.arange(1, len(x) + 1) / len(x)
        return Steps(name, len(x), atoms, below, below)
    w = weights(mass, f"{name} weights", len(x))
    atoms, where = np.unique(x[w > 0], return_inverse=True)
    return _steps(name, len(x), atoms, np.bincount(where, w[w > 0]).astype(np.float64))


def _steps(
    name: str,
    size: int,
    atoms: Array,
    mass: Array,
    missing: tuple[float, float] = (0.0, 0.0),
    moments: Moments | None = None,
) -> Steps:
    """Cumulate in extended precision from both ends, so that small tails keep their digits."""
    wide = mass.astype(np.longdouble)
    wide *= (1 - np.longdouble(missing[0]) - np.longdouble(missing[1])) / wide.sum()
    below = (missing[0] + np.cumsum(wide)).astype(np.float64)
    above = (missing[1] + np.cumsum(wide[::-1])).astype(np.float64)
    return Steps(name, size, atoms, below, above, missing, moments)


def _frozen(law: Any, name: str) -> Law:
    support = law.support()
    if np.ndim(support[0]) or np.ndim(support[1]):
        raise InputError(name, f"holds {np.size(support[0])} laws", "pass one law at a time")
    low, high = float(support[0]), float(support[1])
    median = float(law.ppf(0.5))
    if not (low <= median <= high and math.isfinite(median)):
        raise InputError(
            name,
            f"scipy.stats.{law.dist.name} has median {median} on [{low}, {high}]",
            "check its parameters",
        )
    mean, variance, kurtosis = (float(k) for k in law.stats(moments="mvk"))
    if _family(law) not in SHAPES and (mean < low or mean > high or variance < 0):
        raise InputError(
            name,
            f"{law.dist.name} states mean {mean:g} and variance {variance:g} on [{low:g}, {high:g}]",
            "pass samples of it: its moments, which bound the tails, are wrong",
        )
    moments = Moments(mean, variance, kurtosis)
    if hasattr(law.dist, "xk"):
        _, loc, _ = _arguments(law)
        return _steps(
            name, 0, np.asarray(law.dist.xk, dtype=float) + loc, np.asarray(law.dist.pk, dtype=float)
        )
    if hasattr(law.dist, "pmf"):
        return _discrete(law, name, (low, high), median, moments)
    return _smooth(law, name, (low, high), moments)


def same_law(mu: Any, nu: Any) -> bool:
    """Whether both are one family of scipy.stats with the same parameters."""
    if not all(hasattr(law, "dist") and hasattr(law, "kwds") for law in (mu, nu)):
        return False
    family = _family(mu)
    return family is not None and family == _family(nu) and _arguments(mu) == _arguments(nu)


def _family(law: Any) -> str | None:
    """Name of the family, if it is scipy's own: a custom law or a histogram may carry any name."""
    from scipy import stats  # loaded already: the law comes from there

    name = str(law.dist.name)
    return name if type(getattr(stats, name, None)) is type(law.dist) else None


def _arguments(law: Any) -> tuple[tuple[float, ...], float, float]:
    """Shape parameters, loc and scale of a frozen law, whether given by place or by name."""
    names = [part.strip() for part in (law.dist.shapes or "").split(",") if part.strip()]
    given = dict(zip([*names, "loc", "scale"], law.args, strict=False)) | law.kwds
    shapes = tuple(float(given[key]) for key in names)
    return shapes, float(given.get("loc", 0.0)), float(given.get("scale", 1.0))


def _smooth(law: Any, name: str, support: tuple[float, float], moments: Moments) -> Smooth:
    shapes, loc, scale = _arguments(law)
    standard = law.dist(*shapes)
    spread = abs(float(law.isf(0.25) - law.ppf(0.25)))
    shape = SHAPES.get(_family(law) or "")
    # Hoelder's inequality needs less depth than a power law, and unlisted families often fail further out.
    depth = len(DYADIC) if shape else SHALLOW
    floors = (_floor(law.ppf, law.cdf, support[0], depth), _floor(law.isf, law.sf, support[1], depth))
    if max(floors) > 0.125:
        raise InputError(
            name,
            f"scipy finds no quantiles of {law.dist.name} beyond mass {max(floors):g}",
            "pass samples of it",
        )
    return Smooth(name, law, standard, loc, scale, support, floors, moments, spread, shape, shapes)


def _floor(quantile: Any, mass_beyond: Any, end: float, depth: int) -> float:
    """Smallest power of two whose quantile scipy finds; 0 on a bounded side.

    Far out scipy can return infinities, nan, or a finite number that is wrong: a quantile counts if its
    own mass comes back. Laws without a ``sf`` of their own end near 1e-13, those with one near 1e-299.
    """
    if math.isfinite(end):
        return 0.0
    floor = 0.5
    # In stages, because the searches inside scipy may warn or hang at masses that they cannot reach.
    for part in (DYADIC[:32], DYADIC[32:SHALLOW], DYADIC[SHALLOW:depth]):
        try:
            with np.errstate(all="ignore"):
                x = np.asarray(quantile(part))
                back = np.asarray(mass_beyond(x))
        except RuntimeError:  # scipy's root finder gave up
            break
        with np.errstate(all="ignore"):
            good = np.isfinite(x) & (np.abs(back - part) <= np.minimum(1e-6 * part + 1e-15, 1e-3 * part))
        known = len(part) if good.all() else int(np.argmin(good))
        floor = float(part[known - 1]) if known else floor
        if known < len(part):
            break
    return floor


def _discrete(law: Any, name: str, support: tuple[float, float], median: float, moments: Moments) -> Steps:
    """Atoms between the two points where the probabilities have fallen below 1e-300."""
    last = _reach(law, median, support[1], 1)
    first = _reach(law, median, support[0], -1)
    atoms = np.arange(first, last + 1)
    mass = np.asarray(law.pmf(atoms), dtype=float)
    missing = (
        _beyond(law.cdf(first - 1), mass[0], first, support[0]),
        _beyond(law.sf(last), mass[-1], last, support[1]),
    )
    total = float(mass.sum()) + sum(missing)
    # With an infinite mean no atoms are needed: the distance is infinite or does not exist.
    if math.isfinite(moments.mean) and (abs(total - 1) > 1e-9 or max(missing) > 1e-6):
        raise InputError(
            name,
            f"{len(atoms)} atoms around the median hold mass {float(mass.sum()):.9g}",
            f"pass a discrete law with mass 1 on at most {MOST_ATOMS} integers (plus loc), or samples of it",
        )
    kept = mass > 0
    return _steps(name, 0, atoms[kept], mass[kept], missing, moments)


def _reach(law: Any, median: float, end: float, direction: int) -> float:
    """Find an atom with next to no mass beyond it, the end of the support, or the last one allowed."""
    steps = 2.0 ** np.arange(4, round(math.log2(MOST_ATOMS)))
    steps[-1] = MOST_ATOMS // 2
    trial = median + direction * steps
    beyond = np.asarray(law.sf(trial) if direction > 0 else law.cdf(trial))
    empty = (np.asarray(law.pmf(trial)) < 1e-300) & (beyond < 1e-15)
    far = float(trial[int(np.argmax(empty))] if empty.any() else trial[-1])
    return min(far, end) if direction > 0 else max(far, end)


def _beyond(stated: float, edge_mass: float, edge: float, end: float) -> float:
    """Mass beyond the outermost atom, as scipy states it, with care where its 1 - cdf has rounded to 0."""
    if edge == end:
        return 0.0
    if edge_mass < 1e-300:
        return FAR_MASS
    return max(float(stated), 2.0**-52)

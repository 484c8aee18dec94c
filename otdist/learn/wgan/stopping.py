"""When a run has learned what it will learn."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from otdist.learn.evaluation.neighbours import all_squared, clouds
from otdist.learn.wgan.check import Check
from otdist.learn.wgan.schedule import Schedule
from otdist.stats.null import add_one

PATIENCE = 5  # checks that are held against as many before
RELABELLINGS = 200
SHORT = 32  # numbers of a point
TESTED = 1024  # points of either kind in a test, at most: its matrix grows with their square
LEAST = 0.01  # of the distance between samples: what falls by less is flat
ALIKE = 0.35  # mean p-value of as many checks: 0.5, give or take 0.13, where fakes are real points
NEAR = 0.1  # of the floor
TOLD = 0.05  # p-value of one check from which fakes are not told from real points


def following(schedule: Schedule, history: Sequence[Check], seconds: float) -> Schedule:
    """The schedule after a check: rates begin to fall where nothing more is gained, and then the run ends.

    Flat at full rates says little: the critic may oscillate, and distances fall once the rates do. Flat while
    rates fall ends the run.
    """
    share = schedule.share(history[-1].step, seconds)
    if share > schedule.start:
        history = [c for c in history if schedule.share(c.step, c.seconds) > schedule.start]
    return schedule.settle(share) if stalled(history) else schedule


def stalled(history: Sequence[Check]) -> bool:
    """Whether nothing more is gained that a check could show."""
    return no_progress(history) or indistinguishable(history)


def no_progress(history: Sequence[Check]) -> bool:
    """Whether the distance to held-out data was no smaller of late than before, but for noise.

    All checks of a run hold the same points against the generator, so noise is what the generator makes.
    """
    if len(history) < 2 * PATIENCE:
        return False
    values = np.array([check.debiased for check in history[-2 * PATIENCE :]])
    before, late = np.split(values, 2)
    noise = math.sqrt((before.var(ddof=1) + late.var(ddof=1)) / PATIENCE)
    return bool(before.mean() - late.mean() <= max(noise, LEAST * history[-1].estimate))


def indistinguishable(history: Sequence[Check]) -> bool:
    """Whether fakes cannot be told from held-out points, by the test and by W1 above the floor."""
    last = history[-PATIENCE:]
    if len(last) < PATIENCE:
        return False
    above = float(np.mean([check.debiased for check in last]))
    pvalue = float(np.mean([check.pvalue for check in last]))
    return above <= NEAR * history[-1].floor and pvalue >= ALIKE


def ended(history: Sequence[Check], settled: bool) -> str:
    """Why a run is over, in words."""
    last = history[-1]
    why = "no more progress" if settled else "the budget is used"
    test = f"held-out points at n = {min(last.n, TESTED)} (permutation p = {last.pvalue:.2g})"
    alike = "not told from" if last.pvalue >= TOLD else "told from"
    return f"{why}; fakes are {alike} {test}"


def energy_pvalue(x: NDArray[np.float64], y: NDArray[np.float64], seed: int) -> float:
    r"""p-value of the permutation test by energy distance, on one matrix of distances.

    .. math:: \mathcal{E} = \tfrac{2}{nm} \sum |x_i - y_j| - \tfrac{1}{n^2} \sum |x_i - x_j|
              - \tfrac{1}{m^2} \sum |y_i - y_j| = -s^\top D s, \quad s = (\tfrac1n, \dots, -\tfrac1m, \dots)

    Parameters
    ----------
    x, y : ndarray, shape (n, d), (m, d)
        Points of two laws.
    seed : int
        Of 200 relabellings.

    Returns
    -------
    float
        At least 1 / 201. It is small by chance as often as it says, whatever the law.

    Notes
    -----
    The test sees any difference of laws, given enough points (Szekely, Rizzo 2004). All relabellings are one
    product of matrices. Cost: O((n + m)^2 d) time and 8 (n + m)^2 bytes.
    """
    pool = np.concatenate([x, y])
    # Products of matrices are quicker where points are long.
    distances = cdist(pool, pool) if pool.shape[1] <= SHORT else np.sqrt(all_squared(clouds(pool)[0][0]))
    # Signs add up to 0, so means of rows and columns fall out; without them float32 is enough, and quicker.
    distances -= distances.mean(axis=0)
    distances -= distances.mean(axis=1, keepdims=True)
    signs = np.repeat(np.array([1 / len(x), -1 / len(y)], np.float32), [len(x), len(y)])
    random = np.random.default_rng(seed)
    labels = np.concatenate([signs[None], random.permuted(np.tile(signs, (RELABELLINGS, 1)), axis=1)])
    energies = -np.einsum("ij,ij->i", labels @ distances.astype(np.float32), labels, dtype=np.float64)
    return add_one(float(energies[0]), energies[1:])

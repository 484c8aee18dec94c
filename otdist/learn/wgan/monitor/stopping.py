"""Early stopping: tests for progress and for the difference between fakes and real points."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.spatial.distance import cdist

from otdist.learn.evaluation.neighbours import all_squared_distances, make_clouds
from otdist.learn.wgan.monitor.check import Check
from otdist.learn.wgan.schedule import Schedule
from otdist.stats.null import compute_pvalue
from otdist.typing import Array

PATIENCE_CHECKS = 5  # checks that are compared with as many before
N_RELABELLINGS = 200
SHORT_POINTS = 32  # entries of a point up to which distances are computed directly
MAX_TEST_POINTS = 1024  # real and fake points in a test, each, since its matrix grows with their square
MIN_PROGRESS = 0.01  # smallest decrease that counts, as a share of the distance between samples
MIN_MEAN_PVALUE = 0.35  # of PATIENCE_CHECKS checks; for real points the mean is 0.5 with standard error 0.13
NEAR_FLOORS = 0.1  # debiased distance, in floors, up to which fakes may be indistinguishable
TEST_LEVEL = 0.05  # p-value of one check from which fakes are called indistinguishable


def update_schedule(schedule: Schedule, history: Sequence[Check], seconds: float) -> Schedule:
    """Update the schedule after a check: without progress the rates start to fall, and then the run ends.

    A flat distance at full rates is not the end: the critic may oscillate, and the distance falls with the
    rates. A flat distance while the rates fall ends the run.
    """
    share = schedule.share(history[-1].step, seconds)
    if share > schedule.start:
        history = [c for c in history if schedule.share(c.step, c.seconds) > schedule.start]
    return schedule.start_decay(share) if has_stalled(history) else schedule


def has_stalled(history: Sequence[Check]) -> bool:
    """Return True if there is no progress that a check could show."""
    return has_no_progress(history) or is_indistinguishable(history)


def has_no_progress(history: Sequence[Check]) -> bool:
    """Return True if the distance to held-out data has not decreased significantly.

    All checks of a run use the same held-out points, so the noise is due to the generator alone.
    """
    if len(history) < 2 * PATIENCE_CHECKS:
        return False
    values = np.array([check.debiased for check in history[-2 * PATIENCE_CHECKS :]])
    earlier, recent = np.split(values, 2)
    noise = math.sqrt((earlier.var(ddof=1) + recent.var(ddof=1)) / PATIENCE_CHECKS)
    return bool(earlier.mean() - recent.mean() <= max(noise, MIN_PROGRESS * history[-1].estimate))


def is_indistinguishable(history: Sequence[Check]) -> bool:
    """Return True if fakes are indistinguishable from held-out points, by the test and by W1."""
    last = history[-PATIENCE_CHECKS:]
    if len(last) < PATIENCE_CHECKS:
        return False
    mean_debiased = float(np.mean([check.debiased for check in last]))
    pvalue = float(np.mean([check.pvalue for check in last]))
    return mean_debiased <= NEAR_FLOORS * history[-1].floor and pvalue >= MIN_MEAN_PVALUE


def end_message(
    history: Sequence[Check], rates_have_fallen: bool, best: Check | None = None, *, by_clock: bool = False
) -> str:
    """Describe why a run has ended, and whether points of its best check differ from real ones."""
    check = history[-1] if best is None else best
    budget_text = "the time is up" if by_clock else "all steps are done"
    reason = "no more progress" if rates_have_fallen else budget_text
    test = f"held-out points at n = {min(check.n, MAX_TEST_POINTS)} (permutation p = {check.pvalue:.2g})"
    can = "cannot" if check.pvalue >= TEST_LEVEL else "can"
    which = "" if check.step == history[-1].step else f" of step {check.step:,}, the best check,"
    return f"{reason}; generated points{which} {can} be told from {test}"


def energy_pvalue(x: Array, y: Array, seed: int) -> float:
    r"""Compute the p-value of the permutation test by energy distance.

    .. math:: \mathcal{E} = \tfrac{2}{nm} \sum |x_i - y_j| - \tfrac{1}{n^2} \sum |x_i - x_j|
              - \tfrac{1}{m^2} \sum |y_i - y_j| = -s^\top D s, \quad s = (\tfrac1n, \dots, -\tfrac1m, \dots)

    Parameters
    ----------
    x, y : ndarray, shape (n, d), (m, d)
        Points of two distributions.
    seed : int
        Seed of the 200 relabellings.

    Returns
    -------
    float
        p-value, at least 1 / 201; exact for all distributions.

    Notes
    -----
    The test is consistent against all alternatives (Szekely, Rizzo 2004). All relabellings are computed by
    one matrix product. Cost: O((n + m)^2 d) time and 8 (n + m)^2 bytes.
    """
    pool = np.concatenate([x, y])
    # Matrix products are faster for long points.
    distances = (
        cdist(pool, pool)
        if pool.shape[1] <= SHORT_POINTS
        else np.sqrt(all_squared_distances(make_clouds(pool)[0][0]))
    )
    # Signs sum to 0, so means of rows and columns cancel; without them float32 is accurate enough.
    distances -= distances.mean(axis=0)
    distances -= distances.mean(axis=1, keepdims=True)
    signs = np.repeat(np.array([1 / len(x), -1 / len(y)], np.float32), [len(x), len(y)])
    random = np.random.default_rng(seed)
    labels = np.concatenate([signs[None], random.permuted(np.tile(signs, (N_RELABELLINGS, 1)), axis=1)])
    energies = -np.einsum("ij,ij->i", labels @ distances.astype(np.float32), labels, dtype=np.float64)
    return compute_pvalue(float(energies[0]), energies[1:])

"""Copies: fakes that repeat each other or the training rows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import mannwhitneyu

from otdist.inputs.arguments import Rng, check_count, check_number, check_rng
from otdist.learn.evaluation.inputs import read_samples
from otdist.learn.evaluation.neighbours import (
    count_close_pairs,
    kth_nearest_distances,
    make_clouds,
    nearest_neighbours,
)
from otdist.stats.null import compute_pvalue
from otdist.typing import Array, ArrayInput


@dataclass(frozen=True)
class Duplicates:
    """Shares of near duplicates among fakes and among real rows.

    Attributes
    ----------
    share : float
        Share of the fakes that have another fake within ``threshold``.
    expected : float
        Share of real rows that have another real row within it, among equally many.
    threshold : float
        Largest distance of duplicates, in the units of the rows.
    support : float
        Number of equally likely points that would give as many close pairs; infinite if there are no close
        pairs.
    """

    share: float
    expected: float
    threshold: float
    support: float

    def __float__(self) -> float:
        return self.share


def duplicate_share(
    fake: ArrayInput, real: ArrayInput, *, quantile: float = 0.01, rng: Rng = 0
) -> Duplicates:
    r"""Compute the share of fakes with a near duplicate, at a threshold that 1 % of the real rows meet.

    .. math:: \frac1n \#\{j : \min_{j' \ne j} |y_j - y_{j'}| \le \tau\}, \qquad
              \text{support} = \frac{n (n - 1)}{2 \, \#\{j < j' : |y_j - y_{j'}| \le \tau\}}

    with :math:`\tau` the ``quantile`` of the distances of real rows to their nearest other real row.

    Parameters
    ----------
    fake, real : array_like, shape (m, ...) and (n, ...)
        Rows, at least two of each. The longer sample is subsampled to the size of the shorter one, since
        nearest distances depend on the number of rows.
    quantile : float
        Share of real rows that have a duplicate, in (0, 1).
    rng : int or Generator
        Seed of the subsample.

    Returns
    -------
    Duplicates
        Shares of fakes and of real rows, the threshold, and the support size by the birthday paradox.

    Raises
    ------
    InputError
        If columns differ, there are fewer than two rows, or ``quantile`` is not between 0 and 1.

    Notes
    -----
    ``support`` is an effective number, 1 / sum of squared probabilities: at most the number of points that
    the generator can make, and informative only if it is well below the value for real rows. Cost: O(n^2 d)
    time. Source: Arora, Zhang (2017), who conclude on a support of about s^2 from duplicates in a sample of
    s rows. Differs in that duplicates are defined by a distance, not by inspection, and that all pairs are
    counted.

    Examples
    --------
    >>> import numpy as np
    >>> from otdist.learn import duplicate_share
    >>> rng = np.random.default_rng(0)
    >>> real, modes = rng.normal(size=(400, 8)), rng.normal(size=(20, 8))
    >>> found = duplicate_share(modes[rng.integers(20, size=400)], real)
    >>> found.share, round(found.expected, 2), round(found.support)
    (1.0, 0.01, 20)
    """
    quantile = check_number(quantile, "quantile", above=0, below=1, remedy="use a number such as 0.01")
    fake_rows, real_rows = read_samples(2, fake=fake, real=real)
    generator, n = check_rng(rng), min(len(fake_rows), len(real_rows))
    fake_rows, real_rows = (
        z if len(z) == n else z[generator.choice(len(z), n, replace=False)] for z in (fake_rows, real_rows)
    )
    (x, y), unit = make_clouds(real_rows, fake_rows)
    distances = kth_nearest_distances(x, x)
    # One of the distances, not a mean of two, so that ties with it are counted.
    threshold = float(np.quantile(distances, quantile, method="higher"))
    pairs = count_close_pairs(y, threshold)
    return Duplicates(
        share=float((kth_nearest_distances(y, y) <= threshold).mean()),
        expected=float((distances <= threshold).mean()),
        threshold=math.sqrt(threshold) * unit,
        support=n * (n - 1) / (2 * pairs) if pairs else math.inf,
    )


@dataclass(frozen=True)
class Memorisation:
    """Closeness of fakes to the training rows, compared with held-out rows.

    Attributes
    ----------
    pvalue : float
        Exact permutation p-value, small if fakes are nearest to training rows more often than by chance.
    share : float
        Share of the fakes whose nearest real row is a training row.
    expected : float
        Expected share, the share of training rows among the real rows.
    closer : float
        Probability that a fake is nearer to the training rows than a held-out row is, with ties counted half;
        0.5 for a perfect generator.
    closer_pvalue : float
        p-value of ``closer`` by the one-sided Mann-Whitney test; small also for fakes that avoid the tails.
    ratio : float
        Median distance of the fakes to their nearest training row, divided by the same for held-out rows.
    """

    pvalue: float
    share: float
    expected: float
    closer: float
    closer_pvalue: float
    ratio: float


def memorisation(
    fake: ArrayInput, train: ArrayInput, heldout: ArrayInput, *, n_resamples: int = 199, rng: Rng = 0
) -> Memorisation:
    """Test whether fakes are nearer to the training rows than expected of unseen real rows.

    There are two tests: whether the nearest real row of a fake is a training row more often than by chance,
    and whether fakes are nearer to the training rows than held-out rows are.

    Parameters
    ----------
    fake : array_like, shape (m, ...)
        Generated rows.
    train : array_like, shape (t, ...)
        Rows that the generator was trained on.
    heldout : array_like, shape (h, ...)
        Unseen real rows of the same distribution. They must not be among the training rows.
    n_resamples : int
        Number of relabellings; the smallest possible ``pvalue`` is 1 / (1 + n_resamples).
    rng : int or Generator
        Seed of the relabellings.

    Returns
    -------
    Memorisation
        Results of both tests, and the ratio of the median distances.

    Raises
    ------
    InputError
        If columns differ or a value is not finite.

    Notes
    -----
    If the fakes do not depend on the split of the real rows, all labels "training" and "held out" are equally
    likely, so ``pvalue`` is exact for any generator and number of rows. The second test, the global form of
    the test of Meehan, Chaudhuri, Dasgupta (2020), compares fakes with held-out rows: a generator that avoids
    the tails fails it without copies. Neither test detects a few copies among many good fakes. Cost:
    O((m + h) (t + h) d) time.

    Examples
    --------
    >>> import numpy as np
    >>> from otdist.learn import memorisation
    >>> rng = np.random.default_rng(0)
    >>> train, heldout, fresh = (rng.normal(size=(300, 4)) for _ in range(3))
    >>> copied = memorisation(train + 0.01, train, heldout)
    >>> copied.pvalue, copied.share, copied.expected
    (0.005, 1.0, 0.5)
    >>> memorisation(fresh, train, heldout).pvalue > 0.05
    True
    """
    fake_rows, train_rows, heldout_rows = read_samples(fake=fake, train=train, heldout=heldout)
    check_count(n_resamples)
    (x, y, z), _ = make_clouds(train_rows, fake_rows, heldout_rows)
    to_train, rows_train = nearest_neighbours(y, x)
    to_heldout, rows_heldout = nearest_neighbours(y, z)
    # At equal distances each part counts half a fake, so a row in both parts has no effect.
    counts = np.zeros(len(x) + len(z))
    for rows, is_nearest in (
        (rows_train, to_train <= to_heldout),
        (rows_heldout + len(x), to_heldout <= to_train),
    ):
        np.add.at(counts, rows[is_nearest], np.where((to_train == to_heldout)[is_nearest], 0.5, 1.0))
    n_preferred = float(counts[: len(x)].sum())
    null = _relabel(counts, len(x), n_resamples, check_rng(rng))
    fake_distances, heldout_distances = np.sqrt(to_train), np.sqrt(kth_nearest_distances(z, x))
    statistic, closer_pvalue = mannwhitneyu(
        fake_distances, heldout_distances, alternative="less", method="asymptotic"
    )
    fake_median, heldout_median = float(np.median(fake_distances)), float(np.median(heldout_distances))
    return Memorisation(
        pvalue=compute_pvalue(n_preferred, null),
        share=n_preferred / len(y),
        expected=len(x) / len(counts),
        closer=1.0 - float(statistic) / (len(y) * len(z)),
        # If all distances are equal the test statistic has no variance.
        closer_pvalue=1.0 if math.isnan(closer_pvalue) else float(closer_pvalue),
        ratio=fake_median / heldout_median if heldout_median > 0 else (1.0 if fake_median == 0 else math.inf),
    )


def _relabel(counts: Array, labelled: int, n_resamples: int, generator: np.random.Generator) -> Array:
    """Return sums of the counts over random sets of ``labelled`` rows."""
    nonzero = counts[counts > 0]  # few of many rows, so it suffices to draw how many of them are chosen
    hits = generator.hypergeometric(len(nonzero), len(counts) - len(nonzero), labelled, size=n_resamples)
    return np.array([generator.permutation(nonzero)[:k].sum() for k in hits])

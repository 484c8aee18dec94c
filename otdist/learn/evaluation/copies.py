"""Copies: fakes that repeat each other, and fakes that repeat the training rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import mannwhitneyu

from otdist.errors import InputError
from otdist.learn.evaluation.inputs import Array, samples
from otdist.learn.evaluation.neighbours import close_pairs, clouds, nearest, neighbours
from otdist.stats.null import Rng, add_one, generator, require_count


@dataclass(frozen=True)
class Duplicates:
    """Fakes that nearly coincide, against real rows that do.

    Attributes
    ----------
    share : float
        Share of the fakes with another fake within ``threshold``.
    expected : float
        Share of the real rows with another real row within it, among as many.
    threshold : float
        Distance below which two rows count as duplicates, in their units.
    support : float
        Number of equally likely points that would give as many close pairs of fakes; infinite if there
        are none.
    """

    share: float
    expected: float
    threshold: float
    support: float

    def __float__(self) -> float:
        return self.share


def duplicate_share(fake: Any, real: Any, *, quantile: float = 0.01, rng: Rng = 0) -> Duplicates:
    r"""Share of fakes that have a near duplicate among the fakes, where 1 % of the real rows have one.

    .. math:: \frac1n \#\{j : \min_{j' \ne j} |y_j - y_{j'}| \le \tau\}, \qquad
              \text{support} = \frac{n (n - 1)}{2 \, \#\{j < j' : |y_j - y_{j'}| \le \tau\}}

    with :math:`\tau` the ``quantile`` of the distances of real rows to their nearest other real row.

    Parameters
    ----------
    fake, real : array_like, shape (m, ...) and (n, ...)
        Rows, at least two of each. Of the longer one, as many as of the shorter are taken at random:
        nearest distances depend on the number of rows.
    quantile : float
        Share of real rows that should have a duplicate, in (0, 1).
    rng : int or Generator
        Seed of that choice.

    Returns
    -------
    Duplicates
        The share, what real rows give, the threshold, and the size of the support by the birthday paradox.

    Raises
    ------
    InputError
        If columns differ, there are fewer than two rows, or ``quantile`` is not between 0 and 1.

    Notes
    -----
    ``support`` is an effective number, 1 / sum of squared probabilities: at most the number of points that
    the generator can make, and of any use only where it is well below that of real rows. Cost: O(n^2 d)
    time. Source: Arora, Zhang (2017), who find duplicates in a sample of s rows and conclude on a support
    of about s^2. Differs in that a distance decides what a duplicate is, not an eye, and that all pairs are
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
    if not 0 < quantile < 1:
        raise InputError("quantile", f"{quantile!r} is not between 0 and 1", "use a number such as 0.01")
    made, given = samples(2, fake=fake, real=real)
    random, n = generator(rng), min(len(made), len(given))
    made, given = (z if len(z) == n else z[random.choice(len(z), n, replace=False)] for z in (made, given))
    (x, y), unit = clouds(given, made)
    apart = nearest(x, x)
    # One of the distances, not a mean of two: ties with it are counted.
    limit = float(np.quantile(apart, quantile, method="higher"))
    pairs = close_pairs(y, limit)
    return Duplicates(
        share=float((nearest(y, y) <= limit).mean()),
        expected=float((apart <= limit).mean()),
        threshold=math.sqrt(limit) * unit,
        support=n * (n - 1) / (2 * pairs) if pairs else math.inf,
    )


@dataclass(frozen=True)
class Memorisation:
    """How near fakes are to the training rows, against unseen real rows.

    Attributes
    ----------
    pvalue : float
        Exact, by relabelling: small if fakes prefer training rows to held-out ones.
    share : float
        Share of the fakes whose nearest real row is a training row.
    expected : float
        That share by chance: of training rows among the real rows.
    closer : float
        Chance that a fake is nearer to the training rows than a held-out row is, ties half: 0.5 for a perfect
        generator.
    closer_pvalue : float
        Of ``closer``, by the one-sided Mann-Whitney test; small also for fakes that avoid the tails.
    ratio : float
        Median distance of the fakes to their nearest training row, divided by that of the held-out rows.
    """

    pvalue: float
    share: float
    expected: float
    closer: float
    closer_pvalue: float
    ratio: float


def memorisation(
    fake: Any, train: Any, heldout: Any, *, n_resamples: int = 199, rng: Rng = 0
) -> Memorisation:
    """Test whether fakes are nearer to the training rows than unseen real rows would have it.

    Two questions to the nearest rows. Is the nearest real row of a fake a training row more often than
    chance has it? And are fakes nearer to the training rows than held-out rows are?

    Parameters
    ----------
    fake : array_like, shape (m, ...)
        Generated rows.
    train : array_like, shape (t, ...)
        Rows that the generator was trained on.
    heldout : array_like, shape (h, ...)
        Real rows of the same law that it has not seen. They must not be among the training rows.
    n_resamples : int
        Relabellings; the smallest possible ``pvalue`` is 1 / (1 + n_resamples).
    rng : int or Generator
        Seed of the relabellings.

    Returns
    -------
    Memorisation
        Both answers with their p-values, and the ratio of the median distances.

    Raises
    ------
    InputError
        If columns differ or a value is not finite.

    Notes
    -----
    If the generator has not looked at which rows were for training, all labels "training" and "held out" of
    the real rows are equally likely: ``pvalue`` holds for any generator, and for any number of rows. The
    second test, the global form of the one by Meehan, Chaudhuri, Dasgupta (2020), compares fakes with
    held-out rows, so a generator that stays where training rows are dense fails it without copying anything.
    A few copies among many good fakes move neither. Cost: O((m + h) (t + h) d) time.

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
    made, seen, unseen = samples(fake=fake, train=train, heldout=heldout)
    require_count(n_resamples)
    (x, y, z), _ = clouds(seen, made, unseen)
    to_train, rows_train = neighbours(y, x)
    to_heldout, rows_heldout = neighbours(y, z)
    # At equal distances half a fake falls to each: a row that is in both parts says nothing.
    counts = np.zeros(len(x) + len(z))
    for rows, near in ((rows_train, to_train <= to_heldout), (rows_heldout + len(x), to_heldout <= to_train)):
        np.add.at(counts, rows[near], np.where((to_train == to_heldout)[near], 0.5, 1.0))
    preferred = float(counts[: len(x)].sum())
    null = _relabelled(counts, len(x), n_resamples, generator(rng))
    of_fake, of_heldout = np.sqrt(to_train), np.sqrt(nearest(z, x))
    statistic, closer_pvalue = mannwhitneyu(of_fake, of_heldout, alternative="less", method="asymptotic")
    ours, theirs = float(np.median(of_fake)), float(np.median(of_heldout))
    return Memorisation(
        pvalue=add_one(preferred, null),
        share=preferred / len(y),
        expected=len(x) / len(counts),
        closer=1.0 - float(statistic) / (len(y) * len(z)),
        # Where all distances are equal the test has no spread, and nothing to say.
        closer_pvalue=1.0 if math.isnan(closer_pvalue) else float(closer_pvalue),
        ratio=ours / theirs if theirs > 0 else (1.0 if ours == 0 else math.inf),
    )


def _relabelled(counts: Array, labelled: int, times: int, random: np.random.Generator) -> Array:
    """Sums of the counts of as many random rows as are ``labelled``."""
    met = counts[counts > 0]  # few of many: it suffices to know how many of them are chosen
    chosen = random.hypergeometric(len(met), len(counts) - len(met), labelled, size=times)
    return np.array([random.permutation(met)[:k].sum() for k in chosen])

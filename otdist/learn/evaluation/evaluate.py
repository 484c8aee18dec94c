"""All measures of a generated sample at once, each beside its value for real rows."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

import otdist
from otdist.arrays import caller_level
from otdist.errors import InputError
from otdist.learn.evaluation.copies import duplicate_share, memorisation
from otdist.learn.evaluation.inputs import Array, Features, featured, samples, whole
from otdist.learn.evaluation.kernels import kernel_distance, median_distance, vendi_score
from otdist.learn.evaluation.manifold import neighbourhoods
from otdist.learn.evaluation.moments import frechet
from otdist.learn.evaluation.report import Evaluation
from otdist.stats import noise_floor, permutation_test
from otdist.stats.null import Rng, generator, require_count

POOLED = 4  # times as many real rows as a sample of W1 has: the noise floor is drawn from these
FLOOR_DRAWS = 99
KERNEL_ROWS = 3  # the fewest of which the kernel distance has an error


def evaluate(
    fake: Any,
    real: Any,
    features: Features | None = None,
    *,
    train: Any = None,
    k: int = 5,
    max_rows: int = 512,
    n_resamples: int = 99,
    rng: Rng = 0,
) -> Evaluation:
    """Evaluate a generated sample against real rows: distance, quality, diversity, copies.

    No measure means much alone, and all depend on the number of rows. So the real rows are split in two at
    random: one half is what the fakes are compared with, the other is put in the place of the fakes, and
    shows what a perfect generator would get at the same size.

    Parameters
    ----------
    fake : array_like or tensor, shape (m, ...)
        Generated rows; all axes but the first are one row. Whole numbers are read as float64, and a note says
        so.
    real : array_like or tensor, shape (N, ...)
        Real rows that the generator was not trained on; best 2 m of them.
    features : callable or torch.nn.Module, optional
        Map from a batch of rows to features (b, ...), applied to 512 rows at a time, without gradient; a
        module in eval mode gets tensors like its parameters. None: the rows themselves. Distances are
        Euclidean, so for images the choice decides what the numbers mean.
    train : array_like or tensor, shape (t, ...), optional
        Rows that the generator was trained on, for the test of memorisation.
    k : int
        Neighbours for precision, recall, density and coverage.
    max_rows : int
        Rows a side for exact W1, its floor and its test; the other measures take all.
    n_resamples : int
        Permutations of the test; up to 99 of them for the floor as well.
    rng : int or Generator
        Seed of the split, of the directions and of the permutations.

    Returns
    -------
    Evaluation
        The measures, those of real rows, and a table of both when printed.

    Raises
    ------
    InputError
        If columns differ, a value is not finite, there are fewer than k + 1 fakes or 2 (k + 1) real rows,
        labels are given for samples, or ``features`` does not give one row of features for each row.

    Warns
    -----
    UserWarning
        If there are no more rows than columns, where the Fréchet distance is far too large.

    Notes
    -----
    Cost: O(n^2 d) time in blocks, and about ``2 n_resamples`` exact solves at ``max_rows``: 4 s by default.
    Sources with each measure: :func:`otdist.w1`, :func:`otdist.sliced_w1`,
    :func:`otdist.stats.permutation_test`, :func:`frechet_distance`, :func:`kernel_distance`,
    :func:`neighbourhoods`, :func:`duplicate_share`, :func:`vendi_score`, :func:`memorisation`.

    Examples
    --------
    >>> import numpy as np
    >>> from otdist.learn import evaluate
    >>> rng = np.random.default_rng(0)
    >>> real, fake = rng.normal(size=(400, 2)), rng.normal(size=(200, 2)) * [1.0, 0.1]
    >>> e = evaluate(fake, real)
    >>> e.precision > 0.9, e.recall < 0.3, e.pvalue
    (True, True, 0.01)
    """
    for name, count in (("k", k), ("max_rows", max_rows), ("n_resamples", n_resamples)):
        require_count(count, name)
    random = generator(rng)
    rows, notes = _read({"fake": fake, "real": real} | ({} if train is None else {"train": train}), features)
    made, given, spare = _split(rows[0], rows[1], k, random, notes)
    directions = int(random.integers(2**31))
    baseline = {name: float(value) for name, value in _measures(spare, given, k, directions).items()}
    size = min(len(given), max_rows)
    test = permutation_test(made[:size], given[:size], n_resamples=n_resamples, rng=random)
    pool = np.concatenate([given, spare])[-POOLED * size :]  # has both halves unless they are long
    floor = noise_floor(pool, size, size, n_resamples=min(n_resamples, FLOOR_DRAWS), rng=random)
    return Evaluation(
        w1=test.result,
        floor=floor,
        pvalue=test.pvalue,
        **_measures(made, given, k, directions),
        memorisation=None if train is None else memorisation(rows[0], rows[2], rows[1]),
        baseline=baseline,
        n=len(given),
        n_transport=size,
        d=given.shape[1],
        k=k,
        features=_name(features),
        notes=tuple(notes),
    )


def _read(values: dict[str, Any], features: Features | None) -> tuple[list[Array], list[str]]:
    """Samples, or their features, as rows of one space, and notes on what was read."""
    cast = [name for name, given in values.items() if features is None and whole(given)]
    if features is not None:
        values = {name: featured(given, features, name) for name, given in values.items()}
    rows = samples(**values)
    return rows, [f"{' and '.join(cast)}: whole numbers, read as float64"] if cast else []


def _split(
    fake: Array, real: Array, k: int, random: np.random.Generator, notes: list[str]
) -> tuple[Array, Array, Array]:
    """As many fakes as real rows to compare with, and as many real rows besides: at random, of equal size."""
    n, least = min(len(fake), len(real) // 2), max(k + 1, KERNEL_ROWS)
    for name, rows, needed in (("fake", fake, least), ("real", real, 2 * least)):
        if len(rows) < needed:
            what = f"has {len(rows)} rows, and k = {k} neighbours need {needed}"
            raise InputError(name, what, "give more rows, or a smaller k")
    if n < len(fake):
        notes.append(f"{n:,} of {len(fake):,} fakes, taken at random: twice as many real rows are needed")
    d = fake.shape[1]
    if n <= d:
        what = (
            f"{n} rows a side in {d} columns: covariances are singular, the Fréchet distance is far too large"
        )
        warnings.warn(f"{what}; give more rows, or fewer features", UserWarning, stacklevel=caller_level())
        notes.append(what)
    order = random.permutation(len(real))
    return fake[random.permutation(len(fake))[:n]], real[order[:n]], real[order[n : 2 * n]]


def _measures(fake: Array, real: Array, k: int, directions: int) -> dict[str, Any]:
    """Measures of the fakes by name; where chance enters, as for any other sample of that seed."""
    return {
        "sliced": otdist.sliced_w1(fake, real, rng=directions),
        "frechet": frechet(real, fake),
        "kernel": kernel_distance(real, fake),
        **neighbourhoods(real, fake, k)._asdict(),
        "duplicates": duplicate_share(fake, real),
        "vendi": vendi_score(fake, bandwidth=median_distance(real)),
    }


def _name(features: Features | None) -> str:
    if features is None:
        return ""
    return getattr(features, "__name__", type(features).__name__)

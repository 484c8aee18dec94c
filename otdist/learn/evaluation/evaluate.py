"""Evaluation of a generated sample by all measures, each beside its value for real rows."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from otdist.api.sliced import sliced_w1
from otdist.errors import InputError
from otdist.inputs.arguments import Rng, check_count, check_rng
from otdist.inputs.arrays import caller_level
from otdist.learn.evaluation.copies import duplicate_share, memorisation
from otdist.learn.evaluation.inputs import Features, compute_features, has_integers, read_samples
from otdist.learn.evaluation.kernels import kernel_distance, median_distance, vendi_score
from otdist.learn.evaluation.manifold import neighbourhoods
from otdist.learn.evaluation.moments import frechet_of_rows
from otdist.learn.evaluation.report import Evaluation
from otdist.stats import noise_floor, permutation_test
from otdist.typing import Array, ArrayInput

FLOOR_POOL_RATIO = 4  # real rows for the noise floor, relative to the rows of W1
MAX_FLOOR_RESAMPLES = 99
MIN_KERNEL_ROWS = 3  # fewest rows for a standard error of the kernel distance


def evaluate(
    fake: ArrayInput,
    real: ArrayInput,
    features: Features | None = None,
    *,
    train: ArrayInput | None = None,
    k: int = 5,
    max_rows: int = 512,
    n_resamples: int = 99,
    rng: Rng = 0,
) -> Evaluation:
    """Evaluate a generated sample against real rows: distance, quality, diversity, copies.

    No measure is informative alone, and all depend on the number of rows. So the real rows are split in two
    random halves: the fakes are compared with one half, and the other half takes the place of the fakes to
    give the values of a perfect generator at the same size.

    Parameters
    ----------
    fake : array_like or tensor, shape (m, ...)
        Generated rows; all axes but the first are one row. Integers are read as float64, with a note.
    real : array_like or tensor, shape (N, ...)
        Real rows that the generator was not trained on, preferably 2 m of them.
    features : callable or torch.nn.Module, optional
        Map from a batch of rows to features (b, ...), applied to 512 rows at a time, without gradient; a
        module is called in eval mode, on tensors like its parameters. None: the rows themselves. Distances
        are Euclidean, so for images the values depend on this choice.
    train : array_like or tensor, shape (t, ...), optional
        Training rows of the generator, for the test of memorisation.
    k : int
        Number of neighbours for precision, recall, density and coverage.
    max_rows : int
        Rows of each sample for exact W1, its floor and its test; the other measures use all rows.
    n_resamples : int
        Permutations of the test, and up to 99 resamples for the floor.
    rng : int or Generator
        Seed of the split, of the directions and of the permutations.

    Returns
    -------
    Evaluation
        Measures of fakes and of real rows; printed as a table.

    Raises
    ------
    InputError
        If columns differ, a value is not finite, there are fewer than k + 1 fakes or 2 (k + 1) real rows,
        samples are labels, or ``features`` does not return one row per row.

    Warns
    -----
    UserWarning
        If there are no more rows than columns, so that the Fréchet distance is far too large.

    Notes
    -----
    Cost: O(n^2 d) time in blocks, and about ``2 n_resamples`` exact solves at ``max_rows``: 4 s by default.
    For sources see :func:`otdist.w1`, :func:`otdist.sliced_w1`,
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
        check_count(count, name)
    generator = check_rng(rng)
    rows, notes = _read({"fake": fake, "real": real} | ({} if train is None else {"train": train}), features)
    fake_rows, real_rows, baseline_rows = _split_samples(rows[0], rows[1], k, generator, notes)
    directions = int(generator.integers(2**31))
    baseline = {
        name: float(value) for name, value in _measures(baseline_rows, real_rows, k, directions).items()
    }
    n_transport = min(len(real_rows), max_rows)
    test = permutation_test(
        fake_rows[:n_transport], real_rows[:n_transport], n_resamples=n_resamples, rng=generator
    )
    pool = np.concatenate([real_rows, baseline_rows])[
        -FLOOR_POOL_RATIO * n_transport :
    ]  # has rows of both halves unless they are long
    floor = noise_floor(
        pool, n_transport, n_transport, n_resamples=min(n_resamples, MAX_FLOOR_RESAMPLES), rng=generator
    )
    return Evaluation(
        w1=test.result,
        floor=floor,
        pvalue=test.pvalue,
        **_measures(fake_rows, real_rows, k, directions),
        memorisation=None if train is None else memorisation(rows[0], rows[2], rows[1]),
        baseline=baseline,
        n=len(real_rows),
        n_transport=n_transport,
        d=real_rows.shape[1],
        k=k,
        features=_feature_name(features),
        notes=tuple(notes),
    )


def _read(values: dict[str, ArrayInput], features: Features | None) -> tuple[list[Array], list[str]]:
    """Read samples, or compute their features, and return rows and notes."""
    integer_samples = [
        name for name, real_rows in values.items() if features is None and has_integers(real_rows)
    ]
    if features is not None:
        values = {name: compute_features(real_rows, features, name) for name, real_rows in values.items()}
    rows = read_samples(**values)
    return rows, [
        f"{' and '.join(integer_samples)}: whole numbers, read as float64"
    ] if integer_samples else []


def _split_samples(
    fake: Array, real: Array, k: int, generator: np.random.Generator, notes: list[str]
) -> tuple[Array, Array, Array]:
    """Draw fakes, real rows and further real rows at random, equally many of each."""
    n, min_rows = min(len(fake), len(real) // 2), max(k + 1, MIN_KERNEL_ROWS)
    for name, rows, required in (("fake", fake, min_rows), ("real", real, 2 * min_rows)):
        if len(rows) < required:
            problem = f"must have {required} rows or more for k = {k} neighbours, got {len(rows)}"
            raise InputError(name, problem, "give more rows, or a smaller k")
    if n < len(fake):
        notes.append(f"{n:,} of {len(fake):,} fakes, taken at random: twice as many real rows are needed")
    d = fake.shape[1]
    if n <= d:
        problem = (
            f"{n} rows a side in {d} columns: covariances are singular, the Fréchet distance is far too large"
        )
        warnings.warn(f"{problem}; give more rows, or fewer features", UserWarning, stacklevel=caller_level())
        notes.append(problem)
    order = generator.permutation(len(real))
    return fake[generator.permutation(len(fake))[:n]], real[order[:n]], real[order[n : 2 * n]]


def _measures(fake: Array, real: Array, k: int, directions: int) -> dict[str, Any]:
    """Compute the measures of fakes by name, with the same random directions for all samples."""
    return {
        "sliced": sliced_w1(fake, real, rng=directions),
        "frechet": frechet_of_rows(real, fake),
        "kernel": kernel_distance(real, fake),
        **neighbourhoods(real, fake, k)._asdict(),
        "duplicates": duplicate_share(fake, real),
        "vendi": vendi_score(fake, bandwidth=median_distance(real)),
    }


def _feature_name(features: Features | None) -> str:
    if features is None:
        return ""
    return getattr(features, "__name__", type(features).__name__)

"""Neighbourhoods and copies: against brute force, closed cases, and planted copies."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from strategies import clouds

from otdist.errors import InputError

pytest.importorskip("torch")
from otdist.learn import (
    density_coverage,
    duplicate_share,
    memorisation,
    neighbourhoods,
    precision_recall,
)


def brute(real, fake, k):
    """The four definitions, one pair at a time; squared distances, so that ties on a grid are exact."""

    def apart(u, v):
        return ((u[:, None] - v[None]) ** 2).sum(axis=-1)

    def radii(points):
        own = apart(points, points)
        np.fill_diagonal(own, np.inf)
        return np.sort(own, axis=1)[:, k - 1]

    in_real = apart(real, fake) <= radii(real)[:, None]
    in_fake = apart(real, fake) <= radii(fake)[None]
    return (
        in_real.any(axis=0).mean(),
        in_fake.any(axis=1).mean(),
        in_real.sum(axis=0).mean() / k,
        in_real.any(axis=1).mean(),
    )


@given(pair=clouds(samples=2, max_size=12), k=st.integers(1, 3))
def test_the_four_shares_are_their_definitions_also_among_ties(pair, k):
    real, fake = pair
    if min(len(real), len(fake)) <= k:
        with pytest.raises(InputError, match="neighbours"):
            neighbourhoods(real, fake, k)
        return
    np.testing.assert_allclose(neighbourhoods(real, fake, k), brute(real, fake, k), rtol=1e-14)


@pytest.mark.slow
@pytest.mark.parametrize("d", [2, 40])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_blocks_and_products_change_nothing(d, offset):
    rng = np.random.default_rng(d)
    # Whole numbers in few columns: thousands of ties, at a centre where products of coordinates cancel.
    real, fake = (np.round(2 * rng.normal(size=(n, d))) + offset for n in (700, 450))
    np.testing.assert_allclose(neighbourhoods(real, fake, 4), brute(real, fake, 4), rtol=1e-14)


def test_a_sample_against_itself_is_perfect():
    x = np.random.default_rng(0).normal(size=(60, 3))
    both = neighbourhoods(x, x, 3)
    assert (both.precision, both.recall, both.coverage) == (1.0, 1.0, 1.0)
    # Besides itself, each point is in the balls of those whose k nearest it is among: k on average.
    assert both.density == pytest.approx(4 / 3)


def test_closed_cases():
    two = np.array([[0.0], [1.0]])
    assert neighbourhoods(two, two + 1.0, 1) == (1.0, 1.0, 1.5, 1.0)
    assert neighbourhoods(two, two + 1.5, 1) == (0.5, 0.5, 0.5, 0.5)
    assert neighbourhoods(two, two + 2.5, 1) == (0.0, 0.0, 0.0, 0.0)
    same = np.zeros((5, 2))
    assert neighbourhoods(same, same, 2) == (1.0, 1.0, 2.5, 1.0)


def test_of_one_law_density_and_coverage_have_known_means():
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=(1500, 3)), rng.normal(size=(1500, 3))
    density, coverage = density_coverage(real, fake, 3)
    # Naeem et al. (2020): the mean of coverage tends to 1 - 2^-k
    assert density == pytest.approx(1.0, abs=0.05) and coverage == pytest.approx(1 - 2**-3, abs=0.03)


def test_collapse_keeps_precision_and_loses_recall():
    rng = np.random.default_rng(0)
    centres = np.array([[5.0, 0.0], [-5.0, 0.0]])
    real = np.concatenate([c + rng.normal(size=(200, 2)) for c in centres])
    fake = centres[0] + rng.normal(size=(400, 2))
    precision, recall = precision_recall(real, fake)
    density, coverage = density_coverage(real, fake)
    assert precision > 0.9 and recall < 0.6 and density > 0.9 and coverage < 0.6
    swapped = precision_recall(fake, real)
    assert swapped == pytest.approx((recall, precision))


def test_two_outliers_spoil_recall_but_not_coverage():
    rng = np.random.default_rng(1)
    real = rng.normal(size=(300, 2))
    fake = np.concatenate(
        [np.zeros((294, 2)) + 0.01 * rng.normal(size=(294, 2)), 9 * rng.normal(size=(6, 2))]
    )
    both = neighbourhoods(real, fake)
    assert both.recall > 0.9 and both.coverage < 0.3


@pytest.mark.slow
def test_large_samples_take_no_square_of_memory():
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=(6000, 2)), rng.normal(size=(6000, 2))
    tracemalloc.start()
    neighbourhoods(real, fake)
    duplicate_share(fake, real)
    memorisation(fake, real, fake + 1.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6000 * 6000 * 8 / 10


@pytest.mark.parametrize("k", [0, 2.0, True, None])
def test_what_is_no_number_of_neighbours_is_refused(k):
    with pytest.raises(InputError, match="k:"):
        precision_recall(np.zeros((9, 2)), np.zeros((9, 2)), k)


# duplicates


def test_duplicates_are_their_definition():
    rng = np.random.default_rng(3)
    real, fake = rng.normal(size=(80, 3)), 0.2 * rng.normal(size=(80, 3))
    found = duplicate_share(fake, real, quantile=0.25)
    nearest = [np.sort(cdist(z, z), axis=1)[:, 1] for z in (fake, real)]
    assert found.threshold == pytest.approx(np.quantile(nearest[1], 0.25, method="higher"), rel=1e-12)
    assert found.share == (nearest[0] <= found.threshold * (1 + 1e-12)).mean()
    assert found.expected == (nearest[1] <= found.threshold * (1 + 1e-12)).mean() >= 0.25
    pairs = (cdist(fake, fake)[np.triu_indices(80, 1)] <= found.threshold * (1 + 1e-12)).sum()
    assert found.support == 80 * 79 / 2 / pairs


def test_duplicates_of_equal_groups_have_their_number_as_support():
    rng = np.random.default_rng(0)
    modes, real = rng.normal(size=(10, 6)), rng.normal(size=(500, 6))
    found = duplicate_share(np.repeat(modes, 50, axis=0), real)
    assert found.share == 1.0
    assert found.support == pytest.approx((500 * 499) / (10 * 50 * 49))
    assert duplicate_share(100 * rng.normal(size=(500, 6)), real).share == 0.0
    assert duplicate_share(100 * rng.normal(size=(500, 6)), real).support == np.inf


def test_of_one_law_as_many_fakes_as_real_rows_are_duplicates():
    rng = np.random.default_rng(0)
    found = duplicate_share(rng.normal(size=(3000, 4)), rng.normal(size=(2000, 4)), quantile=0.1)
    assert found.expected == pytest.approx(0.1, abs=0.002) and found.share == pytest.approx(0.1, abs=0.03)


def test_real_rows_that_repeat_make_copies_of_fakes_ordinary():
    grid = np.repeat(np.arange(20.0)[:, None], 3, axis=0)
    found = duplicate_share(grid, grid)
    assert (found.share, found.expected, found.threshold) == (1.0, 1.0, 0.0)


# memorisation


def test_copies_are_found_and_fresh_rows_are_not():
    rng = np.random.default_rng(0)
    train, heldout = rng.normal(size=(600, 8)), rng.normal(size=(200, 8))
    copied = memorisation(train[rng.integers(600, size=150)] + 0.01, train, heldout)
    assert copied.pvalue == 0.005 and copied.share == 1.0 and copied.expected == 0.75
    assert copied.closer == 1.0 and copied.closer_pvalue < 1e-20 and copied.ratio < 0.05
    fresh = memorisation(rng.normal(size=(150, 8)), train, heldout)
    assert fresh.pvalue > 0.05 and 0.4 < fresh.closer < 0.6 and 0.9 < fresh.ratio < 1.1


@pytest.mark.slow
def test_the_pvalue_is_uniform_at_most_also_for_a_generator_that_avoids_the_tails():
    rng = np.random.default_rng(0)
    pvalues, others = [], []
    for _ in range(300):
        train, heldout = rng.normal(size=(40, 2)), rng.normal(size=(30, 2))
        found = memorisation(0.3 * rng.normal(size=(60, 2)), train, heldout, n_resamples=99, rng=rng)
        pvalues.append(found.pvalue)
        others.append(found.closer_pvalue)
    for level in (0.05, 0.2, 0.5):
        assert np.mean(np.array(pvalues) <= level) <= level + 3 * (level * (1 - level) / 300) ** 0.5
    assert np.mean(pvalues) < 0.6  # and it is not idle
    assert np.mean(np.array(others) < 0.05) > 0.5  # nearness alone mistakes such a generator for a copier


def test_heldout_rows_that_are_training_rows_show_nothing():
    x = np.random.default_rng(0).normal(size=(100, 3))
    found = memorisation(x + 0.1, x, x)
    assert found.share == 0.5 and found.pvalue > 0.3


def test_nearest_rows_by_brute_force():
    rng = np.random.default_rng(4)
    fake, train, heldout = (rng.normal(size=(n, 5)) for n in (90, 70, 50))
    found = memorisation(fake, train, heldout)
    ours, theirs = cdist(fake, train).min(axis=1), cdist(heldout, train).min(axis=1)
    assert found.share == (ours < cdist(fake, heldout).min(axis=1)).mean()
    assert found.closer == pytest.approx((ours[:, None] < theirs[None]).mean())
    assert found.ratio == pytest.approx(np.median(ours) / np.median(theirs))

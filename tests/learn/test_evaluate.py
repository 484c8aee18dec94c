"""evaluate: what the table says of good, bad and impossible samples, with and without features."""

import json
import math
import warnings

import numpy as np
import pytest

import otdist
from otdist.errors import InputError

torch = pytest.importorskip("torch")
from otdist.learn import (  # noqa: E402
    duplicate_share,
    evaluate,
    frechet_distance,
    kernel_distance,
    memorisation,
    neighbourhoods,
    vendi_score,
)

QUICK = {"max_rows": 60, "n_resamples": 19}


def ring(n, seed, modes=8):
    """Normal noise about ``modes`` of eight points on a circle."""
    rng = np.random.default_rng(seed)
    angles = 2 * np.pi * rng.integers(modes, size=n) / 8
    return np.stack([np.cos(angles), np.sin(angles)], axis=1) + 0.05 * rng.normal(size=(n, 2))


@pytest.fixture(scope="module")
def real():
    return ring(600, 0)


def test_a_perfect_generator_gets_what_real_rows_get(real):
    e = evaluate(ring(300, 1), real, max_rows=100, n_resamples=39)
    assert (e.n, e.n_transport, e.d, e.k) == (300, 100, 2, 5)
    assert e.pvalue > 0.05 and float(e.w1) < e.floor.quantile(0.99) * 1.2 and abs(e.excess) < e.floor.mean
    for name in ("precision", "recall", "density", "coverage", "vendi"):
        assert getattr(e, name) == pytest.approx(e.baseline[name], rel=0.12), name
    assert abs(e.kernel.value) < 3 * e.kernel.stderr
    assert e.duplicates.share < 0.05 and e.duplicates.support > 1000
    assert e.memorisation is None and e.notes == ()


def test_a_collapsed_generator_is_seen_by_what_measures_diversity(real):
    e = evaluate(ring(300, 1, modes=2), real, **QUICK)
    assert e.pvalue == 0.05 and e.excess > 2 * e.floor.mean
    assert e.precision > 0.9 * e.baseline["precision"]
    assert e.recall < 0.5 * e.baseline["recall"] and e.coverage < 0.5 * e.baseline["coverage"]
    assert e.vendi < 0.7 * e.baseline["vendi"]
    assert e.frechet > 10 * e.baseline["frechet"]
    assert float(e.sliced) > 5 * e.baseline["sliced"]


@pytest.mark.slow
def test_noise_is_seen_by_what_measures_quality(real):
    fake = np.random.default_rng(0).uniform(-1.2, 1.2, size=(300, 2))
    e = evaluate(fake, real, max_rows=200, n_resamples=19)
    assert e.precision < 0.6 * e.baseline["precision"] and e.recall > 0.9 and e.pvalue == 0.05


def test_copies_are_seen_with_the_training_rows(real):
    rng = np.random.default_rng(0)
    train = ring(300, 5)
    copied = evaluate(train + 1e-3 * rng.normal(size=(300, 2)), real, train=train, **QUICK)
    assert copied.memorisation.pvalue == 0.005 and copied.pvalue > 0.05
    fresh = evaluate(ring(300, 6), real, train=train, **QUICK)
    assert fresh.memorisation.pvalue > 0.05


def test_the_numbers_are_those_of_the_single_measures():
    rng = np.random.default_rng(0)
    fake, real = rng.normal(size=(40, 3)), np.repeat(rng.normal(size=(1, 3)), 80, axis=0)
    real[::2] += 1.0  # two points, so that which half is taken changes shares only
    e = evaluate(fake, real, k=3, max_rows=40, n_resamples=9)
    assert e.n == 40 and e.w1.n == e.w1.m == 40
    assert e.w1.lower <= float(e.w1) <= e.w1.upper
    direct = neighbourhoods(real[:40], fake, 3)
    assert e.precision == direct.precision and e.coverage == direct.coverage
    assert e.duplicates == duplicate_share(fake, real[:40])
    assert e.vendi == pytest.approx(vendi_score(fake, bandwidth=3**0.5), rel=1e-6)


def test_a_seed_makes_it_repeatable_and_inputs_stay(real):
    fake = ring(100, 3)
    before = fake.copy(), real.copy()
    first, second = (evaluate(fake, real, rng=7, **QUICK) for _ in range(2))
    assert first.to_dict() == second.to_dict()
    assert evaluate(fake, real, rng=8, **QUICK).to_dict() != first.to_dict()
    np.testing.assert_array_equal(fake, before[0])
    np.testing.assert_array_equal(real, before[1])


def test_the_table_and_the_dictionary_hold_all_of_it(real):
    e = evaluate(ring(100, 3), real, train=ring(100, 4), **QUICK)
    text = str(e)
    assert "100 rows a side, 60 for W1" in text
    assert repr(e).startswith(f"<Evaluation: W1 {float(e.w1):.4g}, p = ") and "\n" not in repr(e)
    for word in ("W1", "sliced", "Fréchet", "kernel", "precision", "recall", "density", "coverage"):
        assert word in text
    assert f"{float(e.w1):.4g}" in text and f"p of W1{e.pvalue:>22.4g}" in text
    assert "memorisation p" in text
    rows = list(e)
    assert len(e) == len(rows) == 12 and rows[0].name == "W1" and rows[0].fake == float(e.w1)
    assert rows[0].real == e.floor.mean and math.isnan(rows[1].real) and all(row.name in text for row in rows)
    assert e._repr_html_().count("<tr>") == 13
    frame = pytest.importorskip("pandas") and e.to_frame()
    assert list(frame["name"]) == [row.name for row in rows] and frame["real"].isna().sum() == 2
    found = json.loads(json.dumps(e.to_dict(), allow_nan=False))
    assert found["w1"]["value"] == float(e.w1) and found["floor"]["mean"] == e.floor.mean
    assert found["precision"] == e.precision and found["kernel"]["stderr"] == e.kernel.stderr
    assert found["baseline"].keys() == e.baseline.keys()
    with pytest.raises(AttributeError):
        e.precision = 1.0


def test_one_column_and_constant_samples(real):
    line = evaluate(
        np.random.default_rng(0).normal(size=50), np.random.default_rng(1).normal(size=100), **QUICK
    )
    assert line.d == 1 and 0 <= line.precision <= 1
    same = evaluate(np.ones((20, 2)), np.ones((40, 2)), **QUICK)
    assert float(same.w1) == 0 and same.pvalue == 1 and same.precision == 1 and same.vendi == pytest.approx(1)


def test_few_rows_for_the_columns_are_said():
    rng = np.random.default_rng(0)
    with pytest.warns(UserWarning, match="30 rows a side in 40 columns"):
        e = evaluate(rng.normal(size=(30, 40)), rng.normal(size=(60, 40)), **QUICK)
    assert any("40 columns" in note for note in e.notes)


def test_fakes_without_their_number_of_real_rows_are_left_out_and_said():
    rng = np.random.default_rng(0)
    e = evaluate(rng.normal(size=(100, 2)), rng.normal(size=(100, 2)), **QUICK)
    assert e.n == 50 and "50 of 100 fakes" in e.notes[0]


# features


def embed(batch):
    """Two features of a batch of arrays."""
    return np.stack([batch.sum(axis=(1, 2)), batch[:, 0, 0]], axis=1)


@pytest.mark.slow
def test_features_are_those_of_all_rows_at_once():
    rng = np.random.default_rng(0)
    fake, real = rng.normal(size=(700, 4, 3)), rng.normal(size=(1500, 4, 3))
    by_map = evaluate(fake, real, embed, **QUICK)
    before = evaluate(embed(fake), embed(real), **QUICK)
    assert by_map.features == "embed" and by_map.d == 2
    assert by_map.to_dict() == before.to_dict() | {"features": "embed"}


def test_a_module_sees_tensors_in_eval_mode_without_gradient():
    seen = []

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(6, 3)
            self.drop = torch.nn.Dropout(0.5)

        def forward(self, x):
            seen.append((x.dtype, len(x), torch.is_grad_enabled(), self.drop.training))
            return self.drop(self.layer(x)).to(torch.float16)

    net = Net()
    x = torch.randn(1100, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    e = evaluate(x[:500].requires_grad_(), x[500:].numpy(), net, **QUICK)
    assert e.d == 3 and e.features == "Net"
    assert {entry[0] for entry in seen} == {torch.float32}
    assert max(entry[1] for entry in seen) <= 512 and len(seen) == 3
    assert not any(entry[2] or entry[3] for entry in seen)
    assert net.training and net.drop.training
    assert all(p.grad is None for p in net.parameters())


@pytest.mark.parametrize(
    ("features", "said"),
    [
        ("net", "must be callable"),
        (lambda b: b[:-1], r"got shape \(19, 2\) for 20 rows of fake"),
        (lambda b: np.array(1.0), r"got shape \(\)"),
        (lambda b: list(b), "got list"),
        (lambda b: b * np.nan, "row 0 of fake is not"),
    ],
)
def test_features_that_are_none_are_refused(features, said):
    x = np.random.default_rng(0).normal(size=(60, 2))
    with pytest.raises(InputError, match=said):
        evaluate(x[:20], x[20:], features, **QUICK)


# inputs


def test_tensors_arrays_lists_and_images_are_the_same_rows():
    rng = np.random.default_rng(0)
    fake, real = rng.normal(size=(30, 4)), rng.normal(size=(60, 4))
    expected = evaluate(fake, real, **QUICK).to_dict()
    others = [(torch.tensor(fake), real), (fake.tolist(), real), (fake.reshape(30, 2, 2), torch.tensor(real))]
    for given in others:
        assert evaluate(*given, **QUICK).to_dict() == expected
    assert evaluate(torch.tensor(fake).bfloat16(), real, **QUICK).d == 4


def test_whole_numbers_are_read_as_float_and_said():
    rng = np.random.default_rng(0)
    fake, real = rng.integers(0, 9, size=(30, 2)), rng.integers(0, 9, size=(60, 2))
    e = evaluate(torch.tensor(fake), real.astype(np.uint8), **QUICK)
    assert e.notes == ("fake and real: whole numbers, read as float64",)
    assert float(e.w1) == float(evaluate(fake.astype(float), real.astype(float), **QUICK).w1)


GOOD = np.random.default_rng(0).normal(size=(40, 3))
SPOILT = GOOD.copy()
SPOILT[7, 1] = np.nan


@pytest.mark.parametrize(
    ("fake", "real", "said"),
    [
        (GOOD, GOOD[:, :2], "real: must have 3 columns like fake, got 2"),
        (SPOILT, GOOD, "fake: must be finite, row 7 is not"),
        (GOOD, np.where(np.isnan(SPOILT), np.inf, SPOILT), "real: must be finite, row 7 is not"),
        (GOOD[:5], GOOD, "fake: must have 6 rows or more for k = 5 neighbours, got 5"),
        (GOOD, GOOD[:11], "real: must have 12 rows or more for k = 5 neighbours, got 11"),
        (np.arange(40) % 10, GOOD, "fake: must be samples, .* labels"),
        (torch.arange(40), GOOD, "fake: must be samples, .* labels"),
        (list(range(40)), GOOD, "fake: must be samples, .* labels"),
        (GOOD[:0], GOOD, r"fake: must have shape \(n, d\), got \(0, 3\)"),
        (np.array(["a"] * 40), GOOD, "fake: dtype"),
        (GOOD + 1j, GOOD, "complex"),
    ],
)
def test_bad_samples_are_refused_by_name(fake, real, said):
    with pytest.raises(InputError, match=said):
        evaluate(fake, real, **QUICK)


def test_bad_training_rows_and_options_are_refused():
    with pytest.raises(InputError, match="train: must have 3 columns like fake, got 2"):
        evaluate(GOOD, GOOD, train=GOOD[:, :2], **QUICK)
    for option in ("k", "max_rows", "n_resamples"):
        with pytest.raises(InputError, match=option):
            evaluate(GOOD, GOOD, **{option: 0})
    with pytest.raises(InputError, match="rng"):
        evaluate(GOOD, GOOD, rng="seed")


@pytest.mark.parametrize("measure", [neighbourhoods, frechet_distance, kernel_distance, duplicate_share])
def test_each_measure_checks_its_samples(measure):
    for fake, real in ((GOOD, GOOD[:, :2]), (SPOILT, GOOD), (GOOD, SPOILT), (np.arange(40), GOOD[:, 0])):
        with pytest.raises(InputError):
            measure(fake, real)
    with pytest.raises(InputError, match="row"):
        measure(GOOD[:1], GOOD)


def test_the_measures_of_one_or_three_samples_check_them_as_well():
    with pytest.raises(InputError, match="points: must be finite, row 7"):
        vendi_score(SPOILT)
    with pytest.raises(InputError, match="heldout: must have 3 columns like fake, got 2"):
        memorisation(GOOD, GOOD, GOOD[:, :2])
    with pytest.raises(InputError, match="quantile"):
        duplicate_share(GOOD, GOOD, quantile=1.0)


def test_no_measure_warns_where_there_is_nothing_to_say():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluate(GOOD, GOOD + 1e6, **QUICK)


def test_the_distance_is_the_one_of_the_front_door():
    rng = np.random.default_rng(0)
    fake = rng.normal(size=(40, 2))
    real = np.repeat(rng.normal(size=(1, 2)), 80, axis=0)  # all halves are equal
    e = evaluate(fake, real, max_rows=40, n_resamples=9)
    assert float(e.w1) == pytest.approx(float(otdist.w1(fake, real[:40])), rel=1e-12)
    assert e.floor.mean == 0.0

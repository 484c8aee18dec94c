"""Data that are large: what they take on the host, and where they stay."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch
from fake_mps import MPS, FakeMps
from wgan_worker import SMALL, cloud

from otdist.learn import fit_wgan
from otdist.learn.wgan import real as module
from otdist.learn.wgan.real import RealData

SIZES = {"held_out": 0.2, "scale": "auto", "seed": 0}


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(module, "BLOCK_ENTRIES", 2**10)


def images(n=100, dtype=np.float32):
    values = np.random.default_rng(0).integers(0, 255, size=(n, 8, 8))
    return values.astype(dtype) if dtype == np.uint8 else (values / 7).astype(dtype)


def same_data(one, other):
    assert torch.equal(one.train, other.train) and torch.equal(one.heldout, other.heldout)
    assert np.array_equal(one.scale.centre, other.scale.centre) and one.sha256 == other.sha256
    assert np.array_equal(one.scale.unit, other.scale.unit) and one.notes == other.notes
    return True


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
@pytest.mark.parametrize("scale", ["common", "columns"])
def test_precision_of_the_caller_means_the_same_data(dtype, scale, small_blocks):
    data, options = images(dtype=dtype), SIZES | {"scale": scale}
    wide = RealData.of(data.astype(np.float64), **options)
    for given in (data, torch.from_numpy(data), list(data)):
        assert same_data(RealData.of(given, **options), wide)


@pytest.mark.parametrize("shape", [(70, 3), (90, 40), (40, 5, 5)])
def test_blocks_mean_the_same_data(shape, monkeypatch):
    data = np.random.default_rng(0).normal(size=shape) * 2.0**40
    whole = RealData.of(data, **SIZES)
    monkeypatch.setattr(module, "BLOCK_ENTRIES", 500)
    assert same_data(RealData.of(data, **SIZES), whole)


def test_rows_that_are_repeated_are_counted_in_large_data(small_blocks):
    data = np.random.default_rng(0).normal(size=(200, 20))
    data[100:150] = data[:50]
    data[150, 0], data[151] = 0.0, data[150]
    data[150, 0], data[151, 0] = 0.0, -0.0
    assert module._count_distinct(data) == len(np.unique(data, axis=0)) == 149
    assert any("26% of the rows are repeated" in note.cause for note in RealData.of(data, **SIZES).notes)
    assert module._are_integers(np.round(data)) and not module._are_integers(data)


def test_bytes_of_few_values_are_noted():
    data = np.random.default_rng(0).integers(252, 256, size=(200, 30)).astype(np.uint8)
    assert any("few distinct integers" in note.cause for note in RealData.of(data, **SIZES).notes)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_found(bad):
    data = images()
    data[7, 3, 3] = bad
    with pytest.raises(ValueError, match="row 7 is not"):
        RealData.of(data, **SIZES)


def test_images_in_float32_take_a_small_multiple_of_themselves(small_blocks):
    data = np.random.default_rng(0).normal(size=(2000, 32, 32)).astype(np.float32)
    tracemalloc.start()
    RealData.of(data, **SIZES)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2.5 * data.nbytes


def test_points_too_large_for_a_device_stay_on_the_host(monkeypatch):
    real = RealData.of(cloud(), **SIZES)
    needed = real.train.nbytes + real.heldout.nbytes
    with FakeMps():
        monkeypatch.setattr(module, "free_bytes", lambda device: 2 * needed)
        assert real.to(MPS).train.device == MPS
        monkeypatch.setattr(module, "free_bytes", lambda device: 2 * needed - 1)
        assert real.to(MPS).train.device == real.to(MPS).heldout.device == torch.device("cpu")


@pytest.mark.parametrize("constraint", ["orthogonal", pytest.param("gp", marks=pytest.mark.slow)])
def test_a_run_with_points_on_the_host_is_the_same_run(constraint, monkeypatch):
    options = SMALL | {"steps": 4, "check_every": 2, "constraint": constraint, "device": "mps"}
    with FakeMps():
        plain = fit_wgan(cloud(), **options)
        monkeypatch.setattr(module, "free_bytes", lambda device: 0.0)
        hosted = fit_wgan(cloud(), **options)
        assert hosted.real.train.device == torch.device("cpu")
        assert np.array_equal(hosted.sample(20), plain.sample(20))
        assert [c.to_dict() | {"seconds": 0} for c in hosted.history] == [
            c.to_dict() | {"seconds": 0} for c in plain.history
        ]

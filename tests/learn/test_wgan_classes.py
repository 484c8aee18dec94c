"""Classes: points of a given class, their shares, and labels that are refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset
from wgan_worker import SMALL

from otdist.errors import InputError
from otdist.learn import WGAN, fit_wgan
from otdist.learn.wgan.real import RealData

RNG = np.random.default_rng(0)
CODES = RNG.choice(3, size=200, p=[0.5, 0.3, 0.2])
POINTS = RNG.normal(size=(200, 2)) + 8.0 * np.eye(3)[CODES][:, :2]
TABLE = pd.DataFrame({"x": POINTS[:, 0], "kind": np.array(["a", "b", "c"])[CODES], "z": POINTS[:, 1]})


def small(data=POINTS, y=CODES, **more):
    return fit_wgan(data, y=y, **(SMALL | {"steps": 10} | more))


def find_mean(code):
    return POINTS[code == CODES].mean(0)


class TestArrays:
    @pytest.mark.slow
    def test_points_have_the_class_that_is_asked_for(self):
        run = fit_wgan(POINTS, y=CODES, steps=300, batch_size=64, width=32, check_every=150, check_points=40)
        for code in range(3):
            assert np.abs(run.sample(500, y=code).mean(0) - find_mean(code)).max() < 2.0
        labels = run.sample_labels(60)
        mixed = run.sample(60, y=labels)
        assert mixed.shape == (60, 2)
        for code in range(3):
            assert np.abs(mixed[labels == code].mean(0) - find_mean(code)).max() < 3.0

    def test_labels_have_their_shares_and_their_type(self):
        run = small()
        labels = run.sample_labels(4000, rng=1)
        shares = np.bincount(CODES) / len(CODES)
        assert labels.dtype == CODES.dtype and np.allclose(np.bincount(labels) / 4000, shares, atol=0.04)
        assert set(small(y=np.array(["u", "v", "w"])[CODES]).sample_labels(50)) == {"u", "v", "w"}
        assert isinstance(small(y=pd.Series(CODES)).sample_labels(5), pd.Series)
        assert isinstance(small(y=pl.Series(CODES)).sample_labels(5), pl.Series)
        assert small(y=torch.from_numpy(CODES)).sample_labels(5).shape == (5,)
        assert small(y=CODES.tolist()).sample_labels(5).shape == (5,)

    def test_fakes_in_training_have_the_shares_of_the_classes(self):
        run = small()
        fakes = run.state.fakes(4000)[:, 2:]
        assert np.allclose((fakes > 0).float().mean(0), np.bincount(CODES) / len(CODES), atol=0.05)
        assert run.classes is not None
        assert torch.allclose(fakes.max(1).values, torch.tensor(run.classes.scale).float())

    def test_held_out_points_have_the_shares_of_the_classes(self):
        real = RealData.of(POINTS, held_out=0.2, scale="auto", seed=0, y=CODES)
        assert real.train.shape[1] == 5 and len(real.heldout) == 40
        counts = (real.heldout[:, 2:] > 0).sum(0)
        assert np.abs(counts.numpy() - 40 * np.bincount(CODES) / 200).max() <= 1

    def test_a_rare_class_is_trained_on(self):
        y = np.where(np.arange(200) < 2, 5, CODES)
        assert small(y=y).sample(3, y=5).shape == (3, 2)

    def test_the_critic_is_certified_on_points_and_classes(self):
        run = small()
        assert run.state.d == 5 and abs(run.state.constant() - 1) < 1e-5

    def test_a_run_from_its_file(self, tmp_path):
        run = small(folder=tmp_path)
        loaded = WGAN.load(tmp_path)
        assert np.array_equal(loaded.sample(9, y=2), run.sample(9, y=2))
        assert np.array_equal(loaded.sample_labels(9), run.sample_labels(9))
        assert fit_wgan(POINTS, y=CODES, folder=tmp_path, resume=True, steps=20).steps == 20
        with pytest.raises(InputError, match="y: must be given, since the run has classes"):
            fit_wgan(POINTS, folder=tmp_path, resume=True, steps=30)

    @pytest.mark.parametrize("shape", [(13, 12), (3, 6, 5)])
    def test_images(self, shape, tmp_path):
        images = RNG.random((60, *shape))
        run = fit_wgan(images, y=np.arange(60) % 2, **(SMALL | {"steps": 2}))
        assert run.sample(4, y=1).shape == (4, *shape)
        assert "2 classes" in run.report(tmp_path / "page.html").read_text()

    def test_bytes_are_the_same_images_as_floats(self):
        images, labels = RNG.integers(0, 256, size=(60, 4, 5), dtype=np.uint8), np.arange(60) % 2
        runs = [fit_wgan(data, y=labels, **(SMALL | {"steps": 2})) for data in (images, images.astype(float))]
        assert np.array_equal(runs[0].sample(6), runs[1].sample(6))

    def test_modules_of_the_caller(self):
        generator = nn.Sequential(nn.Linear(4 + 3, 16), nn.ReLU(), nn.Linear(16, 2))
        critic = nn.Sequential(nn.Linear(2 + 3, 16), nn.LeakyReLU(), nn.Linear(16, 1))
        run = small(generator=generator, critic=critic, latent=4)
        assert run.sample(5, y=1).shape == (5, 2)

    @pytest.mark.parametrize("constraint", ["gp", "spectral"])
    @pytest.mark.slow
    def test_other_constraints_and_packing(self, constraint):
        assert small(constraint=constraint, packing=2).sample(5, y=1).shape == (5, 2)


class TestTables:
    def test_a_column_of_the_table(self):
        run = small(TABLE, "kind")
        out = run.sample(300)
        assert out.columns.equals(TABLE.columns) and out.dtypes.equals(TABLE.dtypes)
        assert set(out["kind"]) == {"a", "b", "c"}
        assert (run.sample(7, y="b")["kind"] == "b").all()
        labels = ["a", "b", "c", "a"]
        assert run.sample(4, y=labels)["kind"].tolist() == labels

    def test_a_column_survives_the_file_and_the_report(self, tmp_path):
        run = small(TABLE.assign(extra=["u", "v"] * 100), "kind", folder=tmp_path / "run")
        loaded = WGAN.load(tmp_path / "run")
        pd.testing.assert_frame_equal(loaded.sample(9, y="c"), run.sample(9, y="c"))
        loaded.report(tmp_path / "page.html", TABLE.assign(extra=["u", "v"] * 100))
        assert (
            fit_wgan(
                TABLE.assign(extra=["u", "v"] * 100), folder=tmp_path / "run", resume=True, steps=12
            ).steps
            == 12
        )

    def test_labels_beside_a_table(self):
        run = small(TABLE.drop(columns="kind"), TABLE["kind"])
        assert list(run.sample(3, y="a")) == ["x", "z"]


class TestRefusals:
    @pytest.mark.parametrize(
        ("y", "said"),
        [
            (CODES[:50], "y: must have one label a row, got 50 for 200"),
            (np.zeros(200), "y: must have two classes, got '0' alone"),
            (np.where(np.arange(200) == 7, 9, CODES), "y: must have 2 rows a class, '9' has one"),
            (np.where(np.arange(200) == 7, np.nan, CODES), "y: must have no gaps, row 7 has one"),
            (POINTS[:, 0], "y: must be labels, got numbers with fractions"),
            (np.eye(3)[CODES], r"y: must have shape \(n,\), got \(200, 3\); .*argmax"),
            (np.arange(200), "y: has 200 labels in 200 rows"),
            ("kind", "y: 'kind' names a column, but data is an array"),
        ],
    )
    def test_labels_that_are_none(self, y, said):
        with pytest.raises(InputError, match=said):
            small(y=y)

    def test_columns_that_are_none(self):
        with pytest.raises(InputError, match="y: names 'sort', which is not a column"):
            small(TABLE, "sort")
        with pytest.raises(InputError, match="y: names 'kind', the only column"):
            small(TABLE[["kind"]], "kind")
        with pytest.raises(InputError, match=r"data\['x'\]: must be labels"):
            small(TABLE, "x")

    def test_samples_of_no_class(self):
        run = small()
        with pytest.raises(InputError, match="y: must be one of '0', '1', '2', got '3' in row 0"):
            run.sample(2, y=3)
        with pytest.raises(InputError, match="y: must have n=2 labels, got 3"):
            run.sample(2, y=[0, 1, 2])
        plain = fit_wgan(POINTS, **(SMALL | {"steps": 2}))
        for call in (lambda: plain.sample(2, y=1), lambda: plain.sample_labels(2)):
            with pytest.raises(InputError, match=r"^y: .*train with fit_wgan\(data, y=labels\)"):
                call()

    @pytest.mark.parametrize(
        "data", [(POINTS, CODES), TensorDataset(torch.from_numpy(POINTS), torch.from_numpy(CODES))]
    )
    def test_points_and_labels_in_one_argument(self, data):
        with pytest.raises(InputError, match=r"^data: must be .*; pass points and labels.*fit_wgan\(.*y="):
            fit_wgan(data, **SMALL)

"""Arguments of otdist.learn and otdist.bench: numpy's numbers, generators, scales and containers."""

import json

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Subset, TensorDataset

import otdist
from otdist import bench
from otdist.learn import WGAN, Critic, SinkhornLoss, W1Loss, fit_wgan, spectral_norm
from otdist.learn.wgan.real import RealData

ROWS = np.random.default_rng(0).normal(size=(64, 2)) + np.array([3.0, 0.0])
X = torch.tensor(ROWS[:30], dtype=torch.float32)
Y = torch.tensor(ROWS[30:], dtype=torch.float32) + 1.0
SMALL = {"steps": 1, "check_every": 1, "check_points": 16, "batch_size": 16, "width": 8}


def generator():
    return np.random.default_rng(3)


class TestNumbersOfNumpy:
    def test_critics_and_their_files(self, tmp_path):
        options = {"rng": 1, "steps": 3, "batch": 16, "anchors": 8}
        critic = Critic(
            family="anchors", level=np.float32(0.9), **{k: np.int64(v) for k, v in options.items()}
        )
        critic.fit(ROWS[:30], ROWS[30:])
        expected = Critic(family="anchors", level=0.9, **options).fit(ROWS[:30], ROWS[30:])
        assert critic.gaps == expected.gaps and critic.settings.rng == 1
        critic.save(tmp_path)
        assert Critic.load(tmp_path).gaps == critic.gaps

    def test_losses(self):
        options = {"inner_steps": 2, "rng": 3, "anchors": 8}
        one = W1Loss(family="anchors", **options)(X, Y)
        assert one == W1Loss(family="anchors", **{k: np.int32(v) for k, v in options.items()})(X, Y)
        loss = SinkhornLoss(p=np.int64(2), eps=np.float32(0.125), n_iter=np.int64(50), block=np.int64(1000))
        assert loss(X, Y) == SinkhornLoss(p=2, eps=0.125, n_iter=50, block=1000)(X, Y)
        assert spectral_norm(torch.nn.Linear(2, 1), steps=np.int64(2)).parametrizations.weight[0].steps == 2

    @pytest.mark.slow
    def test_runs_and_their_files(self, tmp_path):
        numbers = {k: np.int64(v) for k, v in SMALL.items()}
        run = fit_wgan(ROWS, seed=np.int64(1), penalty=np.float32(1.0), held_out=np.float32(0.25), **numbers)
        expected = fit_wgan(ROWS, seed=1, penalty=1.0, held_out=0.25, **SMALL)
        run.save(tmp_path)
        points = expected.sample(3, rng=2)
        for one in (run, WGAN.load(tmp_path)):
            assert np.array_equal(one.sample(np.int64(3), rng=np.uint8(2)), points)
        json.dumps(run.card)

    def test_bench(self):
        name = "shift n=20 d=2"
        assert np.array_equal(bench.question(name, rng=np.int64(3)).x, bench.question(name, rng=3).x)
        runs = bench.run(name, ["scipy assignment"], budget=np.float32(20.0), seeds=[])
        assert runs.rows == []

    @pytest.mark.parametrize(
        ("argument", "call"),
        [
            ("n_iter", lambda: SinkhornLoss(n_iter=True)),
            ("block", lambda: SinkhornLoss(block=2.0)),
            ("inner_steps", lambda: W1Loss(inner_steps=0)),
            ("rng", lambda: W1Loss(rng=1.5)),
            ("rng", lambda: Critic(rng="0")),
            ("steps", lambda: Critic(steps=np.int64(1))),
            ("level", lambda: Critic(level=0.5)),
            ("seed", lambda: fit_wgan(ROWS, seed=2**60)),
            ("seed", lambda: fit_wgan(ROWS, seed=-1)),
            ("check_every", lambda: fit_wgan(ROWS, check_every=2.0)),
            ("steps", lambda: fit_wgan(ROWS, steps=True)),
            ("on_check", lambda: fit_wgan(ROWS, on_check="print")),
            ("budget", lambda: bench.run("shift n=20 d=2", [], budget=np.nan)),
            ("rng", lambda: bench.question("shift n=20 d=2", rng=-1)),
        ],
    )
    def test_others_are_refused(self, argument, call):
        with pytest.raises(otdist.InputError, match=f"^{argument}: must be"):
            call()


class TestGenerators:
    """A Generator is a seed: the same stream gives the same, and each use takes its next number."""

    def test_critics_and_losses(self):
        assert Critic(rng=generator()).settings.rng == Critic(rng=generator()).settings.rng
        stream = generator()
        assert Critic(rng=stream).settings.rng != Critic(rng=stream).settings.rng
        values = [W1Loss("sliced", rng=generator(), n_projections=4)(X, Y) for _ in range(2)]
        assert values[0] == values[1] != W1Loss("sliced", rng=0, n_projections=4)(X, Y)

    @pytest.mark.slow
    def test_runs(self):
        one, other = (fit_wgan(ROWS, seed=generator(), **SMALL) for _ in range(2))
        assert np.array_equal(one.sample(3, rng=generator()), other.sample(3, rng=generator()))
        stream = generator()
        assert not np.array_equal(one.sample(3, rng=stream), one.sample(3, rng=stream))

    def test_questions(self):
        for name in ("shift n=20 d=2", "moved grid n=20 d=2"):
            points = [bench.question(name, rng=generator()).x for _ in range(2)]
            assert np.array_equal(*points)


class TestScale:
    """Runs do not depend on the unit: data and samples are those of another unit, to the bit."""

    def placed(self, data, scale):
        return RealData.of(data, held_out=0.25, scale=scale, seed=0)

    @pytest.mark.parametrize("scale", ["common", "columns"])
    @pytest.mark.parametrize("exponent", [-1000, -565, -300, 300, 532, 1019])
    def test_data_on_the_scale_of_networks(self, scale, exponent):
        one, other = self.placed(ROWS, scale), self.placed(np.ldexp(ROWS, exponent), scale)
        assert torch.equal(one.train, other.train) and torch.equal(one.heldout, other.heldout)
        z = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
        assert np.array_equal(
            np.ldexp(one.scale.inverse_transform(z), exponent), other.scale.inverse_transform(z)
        )
        assert one.notes == other.notes

    def test_columns_of_very_different_units(self):
        one, other = self.placed(ROWS, "columns"), self.placed(ROWS * [2.0**530, 2.0**-560], "columns")
        assert torch.equal(one.train, other.train)

    @pytest.mark.slow
    @pytest.mark.parametrize("unit", [1e160, 1e-170])
    def test_runs(self, unit, tmp_path):
        expected = fit_wgan(ROWS, **SMALL)
        run = fit_wgan(ROWS * unit, **SMALL)
        assert run.sample(200) / unit == pytest.approx(expected.sample(200), rel=1e-3, abs=1e-2)
        assert run.w1.upper / unit == pytest.approx(expected.w1.upper, rel=1e-3)
        run.report(tmp_path / "run.html", ROWS * unit)

    def test_a_column_that_does_not_vary(self):
        data = np.column_stack([ROWS[:, 0], np.full(64, 0.1)])  # whose mean is rounded
        assert torch.count_nonzero(self.placed(data, "columns").train[:, 1]) == 0
        with pytest.raises(otdist.InputError, match="data: must have two distinct points"):
            self.placed(np.full((64, 3), 0.1), "common")


class TestContainers:
    @pytest.mark.parametrize(
        "data",
        [
            TensorDataset(torch.tensor(ROWS)),
            list(torch.tensor(ROWS)),
            list(ROWS),
            tuple(ROWS),
            ROWS.tolist(),
        ],
    )
    def test_points_of_other_containers(self, data):
        assert (
            RealData.of(data, held_out=0.25, scale="auto", seed=0).sha256
            == TestScale().placed(ROWS, "auto").sha256
        )

    def test_a_list_of_images(self):
        images = np.random.default_rng(0).random((40, 4, 4))
        assert RealData.of(list(images), held_out=0.25, scale="auto", seed=0).shape == (4, 4)

    @pytest.mark.slow
    def test_an_iterator(self):
        assert fit_wgan((row for row in ROWS.tolist()), **SMALL).sample(2).shape == (2, 2)

    @pytest.mark.parametrize(
        ("data", "said"),
        [
            (TensorDataset(X, X), "must be points, got a TensorDataset of 2 tensors"),
            (DataLoader(TensorDataset(X)), "must be points, got a DataLoader"),
            (Subset(TensorDataset(X), [0, 1]), "must be points, got a Subset"),
            (
                (X, torch.zeros(30)),
                r"must be one array of points, got a tuple of 2 arrays, \(30, 2\) and \(30,\)",
            ),
            ((ROWS, ROWS), r"must be .* a tuple of 2 arrays, \(64, 2\)"),
            ([ROWS, np.zeros(64)], "must be .* a list of 2 arrays"),
        ],
    )
    def test_others_in_one_sentence(self, data, said):
        with pytest.raises(otdist.InputError, match=f"^data: {said}.*; pass points and labels.*fit_wgan"):
            fit_wgan(data, **SMALL)

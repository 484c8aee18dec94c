"""Critics on disk: what is read is what was written, and nothing else is read."""

from __future__ import annotations

import errno
import json
import pathlib

import numpy as np
import pytest
import torch
from cases import refused
from critics import FEW, KINDS, OWN, clouds

import otdist
from otdist.learn import Critic
from otdist.metrics import Metric


class TestFiles:
    @pytest.mark.slow
    @pytest.mark.parametrize(("family", "metric"), KINDS)
    def test_a_critic_that_is_read_is_the_one_that_was_written(self, family, metric, tmp_path):
        x, y = clouds(11)
        critic = Critic(family=family, metric=metric, rng=np.int64(3), **FEW).fit(x, y)
        before = torch.get_rng_state()
        read = Critic.load(critic.save(tmp_path / "new" / "folder"), device="cpu")
        assert torch.equal(before, torch.get_rng_state())
        assert read(x).tobytes() == critic(x).tobytes() and read.name == critic.name
        for name in ("gaps", "history", "converged", "message", "lipschitz"):
            assert getattr(read, name) == getattr(critic, name)
        assert repr(read.confidence) == repr(critic.confidence)
        assert read.fit(x, y, resume=True).gaps["validation"] >= critic.gaps["validation"] - 1e-5

    @pytest.mark.slow
    def test_a_critic_of_few_directions_is_found_and_read(self, tmp_path, rng):
        # A zigzag along one of eight columns: mass is uneven within teeth of width 2, and even in the other.
        x, y = rng.normal(size=(2, 4000, 8))
        x[:, 2] = 2 * rng.integers(0, 4, 4000) + rng.beta(1, 4, 4000)
        y[:, 2] = rng.uniform(0, 8, 4000)
        critic = Critic(family="anchors", steps=600, anchors=32, batch=256, rng=0).fit(x, y)
        assert critic.name.endswith("in 1 directions")
        read = Critic.load(critic.save(tmp_path), device="cpu")
        assert read(x).tobytes() == critic(x).tobytes() and read.lipschitz == critic.lipschitz
        assert otdist.w1(x, y).upper > critic.gaps["train"] > 0
        assert read.fit(x, y, resume=True).name == critic.name

    def test_metrics_without_a_name_are_refused(self, tmp_path):
        x, y = clouds(11)
        named = Metric("angular", OWN.matrix, triangle=True)  # a name that gives another metric
        for metric in (OWN, named, "gower"):
            critic = Critic(metric=metric, **FEW).fit(x, y)
            refused(critic.save, "metric", tmp_path / "no")
        assert not (tmp_path / "no").exists()

    def test_damaged_foreign_and_missing_files_are_refused(self, tmp_path):
        x, y = clouds(11)
        critic = Critic(family="anchors", **FEW).fit(x, y)
        refused(Critic.load, "folder", tmp_path / "nowhere", says=("critic.json",))
        tensors, facts = ((critic.save(tmp_path) / f"critic.{end}") for end in ("safetensors", "json"))
        whole, text = tensors.read_bytes(), facts.read_bytes()
        tensors.write_bytes(whole[:-9])
        refused(Critic.load, "folder", tmp_path, says=("critic.safetensors",))
        tensors.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        refused(Critic.load, "folder", tmp_path, says=("critic.safetensors",))
        tensors.unlink()
        refused(Critic.load, "folder", tmp_path, says=("critic.safetensors",))
        tensors.write_bytes(whole)
        good = json.loads(text)
        for bad in (b"", b"{", b"[]", b'{"format": "else"}', b"\xff"):
            facts.write_bytes(bad)
            refused(Critic.load, "folder", tmp_path)
        for name in good.keys() - {"activation", "constraint"}:  # of other kinds
            facts.write_text(json.dumps({key: value for key, value in good.items() if key != name}))
            refused(Critic.load, "folder", tmp_path)
        facts.write_bytes(text)
        assert Critic.load(tmp_path)(x).tobytes() == critic(x).tobytes()
        refused(Critic.load, "device", tmp_path, device="no such")

    @pytest.mark.slow
    @pytest.mark.parametrize("end", ["safetensors", "json"])
    def test_a_failed_save_leaves_the_old_files(self, end, tmp_path, monkeypatch):
        x, y = clouds(11)
        critic = Critic(**FEW).fit(x, y)
        critic.save(tmp_path)
        old = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
        start = pathlib.Path.open

        def full(path, mode="r", **options):
            file = start(path, mode, **options)
            if f".{end}" in path.name and "w" in mode:
                with file:
                    file.write(b"half")
                raise OSError(errno.ENOSPC, "disk full")
            return file

        monkeypatch.setattr(pathlib.Path, "open", full)
        with pytest.raises(otdist.InputError, match="disk full"):
            Critic(rng=5, **FEW).fit(x, y).save(tmp_path)
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == old

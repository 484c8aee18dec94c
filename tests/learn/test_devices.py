"""Names of devices, wherever learn takes one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from wgan_worker import SMALL, cloud

from otdist.errors import InputError
from otdist.learn import WGAN, Critic, fit_wgan
from otdist.learn.devices import resolve_device

X = np.random.default_rng(0).normal(size=(40, 2))
ABSENT = [
    pytest.param("cuda", marks=pytest.mark.skipif(torch.cuda.is_available(), reason="has CUDA")),
    pytest.param("mps", marks=pytest.mark.skipif(torch.backends.mps.is_available(), reason="has MPS")),
    "cuda:77",
    "gpu",
    "meta",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    fit_wgan(cloud(), **(SMALL | {"steps": 1})).save(folder / "wgan")
    Critic(family="anchors", steps=2, batch=8, anchors=4, device="cpu").fit(X, X + 1).save(folder / "critic")
    return folder


@pytest.mark.parametrize("device", ABSENT)
def test_one_that_is_not_there_is_refused_everywhere(device, folder):
    calls = [
        lambda: resolve_device(device),
        lambda: fit_wgan(cloud(), **(SMALL | {"steps": 1, "device": device})),
        lambda: WGAN.load(folder / "wgan", device=device),
        lambda: Critic(family="anchors", steps=2, device=device).fit(X, X),
        lambda: Critic.load(folder / "critic", device=device),
    ]
    for call in calls:
        with pytest.raises(InputError, match=f"device: must be an available device, got '{device}'"):
            call()


@pytest.mark.parametrize("device", [0, None, b"cpu"])
def test_what_is_no_name_is_refused(device):
    with pytest.raises(InputError, match="device: must be the name of a device"):
        resolve_device(device)


def test_names():
    assert resolve_device("cpu") == resolve_device(torch.device("cpu")) == torch.device("cpu")
    assert resolve_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_a_run_is_loaded_where_there_is_a_device(folder):
    assert WGAN.load(folder / "wgan", device="auto").sample(2).shape == (2, 3)

"""Training that goes wrong on purpose, and training that does not: the runs of wgan_alarms.py."""

from __future__ import annotations

import warnings
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from otdist.errors import ConvergenceWarning
from otdist.learn import fit_wgan
from otdist.learn.wgan.real import RealData

DATA = ("ring", "grid", "swiss", "moons", "table")
POINTS = 10_000
STEPS, EVERY = 1_000, 50  # of the generator
LATENT = 16

# Names of the alarms of which one must be raised.
EXPECTED = {
    "critic does not move": {"critic under-trained"},
    "one slow step of the critic": {"critic under-trained"},
    "critic's rate x 100": {"critic under-trained", "exploding"},
    "gradient penalty x 1e-6": {"slopes", "exploding"},
    "clipped weights": {"slopes"},
    "constant generator": {"collapse"},
    "generator of two points": {"collapse"},
    "generator's rate x 100": {"collapse", "exploding", "critic under-trained"},
    "linear generator": {"generator-limited"},
    "generator of training rows": {"memorisation"},
    "generator with tanh, data beyond": {"data"},
    "generator that gives NaN": {"exploding"},
    "60 points, a quick critic": {"critic over-fitted", "memorisation"},
    "data cast to integers": {"data"},
}


class Planted(nn.Module):
    """A generator with a fault."""

    def __init__(self, kind: str, real: Tensor, seed: int) -> None:
        super().__init__()
        source = torch.Generator().manual_seed(seed)
        d = real.shape[1]
        self.kind, self.calls = kind, 0
        self.register_buffer("rows", real.clone())
        hidden = 128
        sizes = [LATENT, d] if kind == "linear generator" else [LATENT, hidden, hidden, d]
        layers: list[nn.Module] = []
        for rows, cols in pairwise(sizes):
            layer = nn.utils.skip_init(nn.Linear, rows, cols)
            with torch.no_grad():
                layer.weight.uniform_(-(rows**-0.5), rows**-0.5, generator=source)
                layer.bias.zero_()
            layers += [layer, nn.ReLU()]
        self.body = nn.Sequential(*layers[:-1])

    def forward(self, z: Tensor) -> Tensor:
        """Points on the scale of networks."""
        if self.kind == "constant generator":
            return self.body(torch.zeros_like(z)) + 1e-3 * z[:, : self.rows.shape[1]]
        if self.kind == "generator of two points":
            side = torch.where(z[:, :1] > 0, 1.0, -1.0).expand_as(z)
            return self.body(side) + 1e-2 * z[:, 1 : 1 + self.rows.shape[1]]
        if self.kind == "generator of training rows":
            share = torch.special.ndtr(z[:, 0].double())
            row = (share * len(self.rows)).long().clamp(max=len(self.rows) - 1)
            return self.rows[row] + 1e-5 * torch.tanh(self.body(z))  # bounded: it cannot be unlearned
        if self.kind == "generator with tanh, data beyond":
            return torch.tanh(self.body(z))
        points = self.body(z)
        if self.kind == "generator that gives NaN" and self.training and torch.is_grad_enabled():
            self.calls += 1
            if self.calls % 200 == 0:
                return points * float("nan")
        return points


OPTIONS: dict[str, dict[str, Any]] = {
    "critic does not move": {"critic_rate": 1e-9},
    "one slow step of the critic": {"critic_rate": 1e-5, "n_critic": 1},
    "critic's rate x 100": {"critic_rate": 0.4},
    "gradient penalty x 1e-6": {"constraint": "gp", "penalty": 1e-6},
    "clipped weights": {"constraint": "clip"},
    "generator's rate x 100": {"learning_rate": 0.4},
    "60 points, a quick critic": {"held_out": 0.8, "n_critic": 10},
    "healthy gp": {"constraint": "gp"},
    "healthy lp": {"constraint": "lp"},
    "healthy spectral": {"constraint": "spectral"},
}
PLANTED = {name for name in EXPECTED if "generator" in name and "rate" not in name}


def points(name: str, n: int, seed: int, law: int | None = None) -> np.ndarray:
    """Points of a law, drawn anew for every seed; tables of every seed have a law of their own.

    ``law``: the seed of a table of POINTS rows of whose law these are.
    """
    rng = np.random.default_rng([seed, DATA.index(name)])
    noise = rng.standard_normal((n, 2))
    if name == "ring":
        turn = 2 * np.pi * rng.integers(8, size=n) / 8
        return np.c_[np.cos(turn), np.sin(turn)] + 0.01 * noise
    if name == "grid":
        return 2.0 * rng.integers(-2, 3, size=(n, 2)) + 0.05 * noise
    if name == "swiss":
        turn = 1.5 * np.pi * (1 + 2 * rng.random(n))
        return np.c_[turn * np.cos(turn), turn * np.sin(turn)] / 7.5 + 0.05 * noise
    if name == "moons":
        turn, side = np.pi * rng.random(n), rng.integers(2, size=n)
        sign = 1.0 - 2.0 * side
        return np.c_[sign * np.cos(turn) + side, sign * np.sin(turn) + 0.5 * side] + 0.05 * noise
    rows, mixing = rng.standard_normal((n, 5)), rng.standard_normal((5, 5))
    if law is None:
        table = bent(rows @ mixing)
        return table / table.std(0)
    again = np.random.default_rng([law, DATA.index(name)])
    again.standard_normal((POINTS, 2))
    others, mixing = again.standard_normal((POINTS, 5)), again.standard_normal((5, 5))
    return bent(rows @ mixing) / bent(others @ mixing).std(0)


def bent(rows: np.ndarray) -> np.ndarray:
    """A skew column, and one without negative numbers."""
    return np.c_[np.exp(rows[:, 0] / 3), np.abs(rows[:, 1]), rows[:, 2:]]


def trained(fault: str, name: str, seed: int, steps: int = STEPS) -> Any:
    """A run with a fault, or a healthy one if ``fault`` is empty."""
    data = points(name, 300 if fault == "60 points, a quick critic" else POINTS, seed)
    if fault == "data cast to integers":
        data = np.trunc(data)
    options: dict[str, Any] = {"steps": steps, "check_every": EVERY, "stop": False, "seed": seed}
    options |= OPTIONS.get(fault, {})
    if fault in PLANTED:
        real = RealData.of(data, held_out=0.2, scale="auto", seed=seed)
        options |= {"generator": Planted(fault, real.train, seed), "latent": LATENT}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return fit_wgan(data, device="cpu", **options)

"""Do the alarms of the WGAN trainer find what is wrong, and only that? Faults are planted on purpose.

Each fault is planted in four runs of seconds, on four kinds of points in the plane and in five columns; 26
healthy runs go beside them, 20 with the default critic. A fault is found if one of the alarms that fit it is
raised; latency is the generator's step at which it is. A healthy run with any alarm is a false one. The
thresholds were chosen on runs with seeds from 100 on. Run with ``python -m benchmarks.wgan.alarms``.
"""

from itertools import pairwise

import numpy as np
import torch
from torch import nn

from benchmarks.wgan.laws import GRID, RING
from benchmarks.wgan.rows import Study, grid, run
from otdist.learn import fit_wgan
from otdist.learn.wgan.real import RealData

DATA = ("ring", "grid", "swiss", "moons", "table")
POINTS = 10_000
STEPS, EVERY, LATENT = 1_000, 50, 16

# Alarms of which one must be raised, and settings; what is named after a generator is a Planted one.
FAULTS = {
    "critic does not move": ({"critic under-trained"}, {"critic_rate": 1e-9}),
    "one slow step of the critic": ({"critic under-trained"}, {"critic_rate": 1e-5, "n_critic": 1}),
    "critic's rate x 100": ({"critic under-trained", "exploding"}, {"critic_rate": 0.4}),
    "gradient penalty x 1e-6": ({"slopes", "exploding"}, {"constraint": "gp", "penalty": 1e-6}),
    "clipped weights": ({"slopes"}, {"constraint": "clip"}),
    "constant generator": ({"collapse"}, {}),
    "generator of two points": ({"collapse"}, {}),
    "generator's rate x 100": ({"collapse", "exploding", "critic under-trained"}, {"learning_rate": 0.4}),
    "linear generator": ({"generator-limited"}, {}),
    "generator of training rows": ({"memorisation"}, {}),
    "generator with tanh, data beyond": ({"data"}, {}),
    "generator that gives NaN": ({"exploding"}, {}),
    "60 points, a quick critic": ({"critic over-fitted", "memorisation"}, {"held_out": 0.8, "n_critic": 10}),
    "data cast to integers": ({"data"}, {}),
}
HEALTHY = {f"healthy {name}": {"constraint": name} for name in ("gp", "lp", "spectral")}
SEEDS = range(4)
# Faults go round the kinds of points, so that each meets four of the five.
RUNS = [(fault, DATA[(k + s) % len(DATA)], s) for k, fault in enumerate(FAULTS) for s in SEEDS]
RUNS += [("", data, seed) for data in DATA for seed in SEEDS]
RUNS += [(name, DATA[k + seed], seed) for k, name in enumerate(HEALTHY) for seed in (0, 1)]
ROWS = [{"fault": fault, "data": data, "seed": seed} for fault, data, seed in RUNS]


class Planted(nn.Module):
    """A generator with a fault, on the scale of networks."""

    def __init__(self, kind, real, seed):
        super().__init__()
        source, d = torch.Generator().manual_seed(seed), real.shape[1]
        self.kind, self.calls = kind, 0
        self.register_buffer("rows", real.clone())
        sizes = [LATENT, d] if kind == "linear generator" else [LATENT, 128, 128, d]
        layers = []
        for rows, cols in pairwise(sizes):
            layer = nn.utils.skip_init(nn.Linear, rows, cols)
            nn.init.uniform_(layer.weight, -(rows**-0.5), rows**-0.5, generator=source)
            nn.init.zeros_(layer.bias)
            layers += [layer, nn.ReLU()]
        self.body = nn.Sequential(*layers[:-1])

    def forward(self, z):  # noqa: D102
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
        if self.kind == "generator that gives NaN" and self.training and torch.is_grad_enabled():
            self.calls += 1
            if self.calls % 200 == 0:
                return self.body(z) * float("nan")
        return self.body(z)


def draw_points(name, n, seed, law=None):
    """Points of a law, drawn anew for every seed; tables of every seed have a law of their own.

    ``law``: the seed of a table of POINTS rows of whose law these are.
    """
    if name == "table":
        rows, mixing = draw_columns(n, seed)
        others, mixing = draw_columns(n, seed) if law is None else draw_columns(POINTS, law)
        return bend(rows @ mixing) / bend(others @ mixing).std(0)
    rng = np.random.default_rng([seed, DATA.index(name)])
    noise = rng.standard_normal((n, 2))
    if name == "ring":
        return RING.means[rng.integers(8, size=n)] + RING.spread * noise
    if name == "grid":
        return 2.0 * rng.integers(-2, 3, size=(n, 2)) + GRID.spread * noise
    if name == "swiss":
        turn = 1.5 * np.pi * (1 + 2 * rng.random(n))
        return np.c_[turn * np.cos(turn), turn * np.sin(turn)] / 7.5 + 0.05 * noise
    turn, side = np.pi * rng.random(n), rng.integers(2, size=n)
    sign = 1.0 - 2.0 * side
    return np.c_[sign * np.cos(turn) + side, sign * np.sin(turn) + 0.5 * side] + 0.05 * noise


def draw_columns(n, seed):
    """Independent columns of a table, and the matrix that mixes them."""
    rng = np.random.default_rng([seed, DATA.index("table")])
    rng.standard_normal((n, 2))  # the noise of the other laws: published tables were drawn after it
    return rng.standard_normal((n, 5)), rng.standard_normal((5, 5))


def bend(rows):
    """A skew column, and one without negative numbers."""
    return np.c_[np.exp(rows[:, 0] / 3), np.abs(rows[:, 1]), rows[:, 2:]]


def train(fault, name, seed, steps=STEPS):
    """A run with a fault, or a healthy one if ``fault`` is empty."""
    data = draw_points(name, 300 if fault == "60 points, a quick critic" else POINTS, seed)
    if fault == "data cast to integers":
        data = np.trunc(data)
    settings = {"steps": steps, "check_every": EVERY, "stop": False, "seed": seed}
    settings |= HEALTHY.get(fault) or FAULTS.get(fault, ({}, {}))[1]
    if "generator" in fault and "rate" not in fault:
        real = RealData.of(data, held_out=0.2, scale="auto", seed=seed)
        settings |= {"generator": Planted(fault, real.train, seed), "latent": LATENT}
    return fit_wgan(data, device="cpu", **settings)


def measure(row):
    trained = train(row["fault"], row["data"], row["seed"])
    alarms = [[alarm.step, alarm.name, alarm.cause] for alarm in trained.alarms]
    fitting = [step for step, name, _ in alarms if name in FAULTS.get(row["fault"], ((),))[0]]
    last = trained.history[-1] if trained.history else None
    return {
        "healthy": row["fault"] not in FAULTS,
        "found": bool(fitting),
        "latency": min(fitting, default=None),
        "alarms": alarms,
        "steps": trained.steps,
        "debiased": last and last.debiased,
        "floor": last and last.floor,
    }


def table(rows):
    """What was found, and what was told for nothing."""
    lines, latency = [], []
    for fault, (expected, _) in FAULTS.items():
        own = [row for row in rows if row["fault"] == fault]
        steps = [row["latency"] for row in own if row.get("found")]
        others = {name for row in own for _, name, _ in row.get("alarms", ())} - expected
        told = [fault, len(steps), len(own), ", ".join(map(str, steps)), ", ".join(sorted(others))]
        lines.append(" | ".join(map(str, told)))
        latency += steps
    planted = sum(row["fault"] in FAULTS for row in rows)
    healthy = [row for row in rows if row.get("healthy")]
    false = [row for row in healthy if row["alarms"]]
    parts = [grid("planted | found | of | steps until then | also told", lines, "lrrrl")]
    if planted and healthy:
        share, median = len(latency) / planted, np.median(latency)
        parts.append(f"\nFound: {share:.0%} of {planted}, after {median:.0f} steps (median).")
        share = len(false) / len(healthy)
        parts.append(f"Alarms in {len(false)} of {len(healthy)} healthy runs ({share:.0%}).")
        parts += [f"- {row['data']}, seed {row['seed']}: {row['alarms']}" for row in false]
    return "\n".join(parts)


if __name__ == "__main__":
    run(Study("wgan_alarms", ("fault", "data", "seed"), ROWS, measure, table))

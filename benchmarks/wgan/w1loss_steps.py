"""How long a call of W1Loss with its gradient takes, beside the critic of a WGAN-GP and beside GeomLoss.

Run with ``python -m benchmarks.wgan.w1loss_steps``. Seconds are those of the process on one core.
"""

import importlib.util
import time
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from benchmarks.common.harness import summary
from benchmarks.wgan.rows import Study, cross, run
from otdist.learn import W1Loss

KEYS = ("n", "d", "method")  # points a side, columns
SHAPES = [{"n": 256, "d": 64}, {"n": 256, "d": 784}, {"n": 256, "d": 3072}, {"n": 1024, "d": 64}]
FAMILIES = ("orthogonal", "anchors", "spectral", "gp")
METHODS = (*FAMILIES, "exact", "sinkhorn", "sliced", "GeomLoss")
ROWS = [shape | method for shape in SHAPES for method in cross(method=METHODS)]
REFERENCE = "WGAN-GP"
STEPS, WIDTH, PENALTY = 5, 256, 10.0  # of the reference, a perceptron of three hidden layers
SECONDS = 10.0  # of a row, about
ROUNDS = (5, 40)  # at least, at most


def draw_batches(row):
    rng = torch.Generator().manual_seed(0)
    fake, real = (torch.randn(row["n"], row["d"], generator=rng) for _ in range(2))
    return fake.requires_grad_(), real + 0.3


def make_wgan_gp(fake, real):
    """Steps of a bare critic with a gradient penalty, and the gradient of its value."""
    sizes = [fake.shape[1], WIDTH, WIDTH, WIDTH]
    hidden = [layer for a, b in pairwise(sizes) for layer in (nn.Linear(a, b), nn.ReLU())]
    critic = nn.Sequential(*hidden, nn.Linear(WIDTH, 1))
    optimiser = torch.optim.Adam(critic.parameters(), lr=1e-4, betas=(0.0, 0.9))

    def call():
        x = fake.detach()
        for _ in range(STEPS):
            optimiser.zero_grad()
            t = torch.rand(len(x), 1)
            z = (t * x + (1 - t) * real).requires_grad_()
            (slopes,) = torch.autograd.grad(critic(z).sum(), z, create_graph=True)
            penalty = PENALTY * (slopes.norm(dim=1) - 1).square().mean()
            (critic(x).mean() - critic(real).mean() + penalty).backward()
            optimiser.step()
        fake.grad = None
        (critic(real).mean() - critic(fake).mean()).backward()

    return call


def make_call(method, fake, real):
    """A call of a loss with its gradient."""
    if method == "GeomLoss":
        from geomloss import SamplesLoss

        loss = SamplesLoss("sinkhorn", p=1, blur=0.05)
    else:
        loss = W1Loss(family=method, inner_steps=STEPS) if method in FAMILIES else W1Loss(method)

    def call():
        fake.grad = None
        loss(fake, real).backward()

    return call


def time_in_turn(contestants):
    """Seconds of the process for each contestant, round by round, and of how many rounds."""
    times = {name: [] for name in contestants}
    for call in contestants.values():  # builds critics, loads code
        call()
    start = time.process_time()
    while len(times[REFERENCE]) < ROUNDS[0] or (
        time.process_time() - start < SECONDS and len(times[REFERENCE]) < ROUNDS[1]
    ):
        for name, call in contestants.items():
            before = time.process_time()
            call()
            times[name].append(time.process_time() - before)
    return times


def measure(row):
    """Seconds, and their ratio to those of the reference, round by round."""
    torch.manual_seed(0)
    method = row["method"]
    if method == "GeomLoss" and importlib.util.find_spec("geomloss") is None:
        return {"status": "not installed"}
    batches = draw_batches(row)
    times = time_in_turn({method: make_call(method, *batches), REFERENCE: make_wgan_gp(*batches)})
    found = summary(times, REFERENCE)
    return found[method] | {
        "reference_seconds": found[REFERENCE]["seconds"],
        "rounds": len(times[method]),
        "ratio_of_least": float(np.min(times[method]) / np.min(times[REFERENCE])),
    }


def table(rows):
    told = []
    for row in rows:
        name = f"n = {row['n']:4} d = {row['d']:4} {row['method']:10}"
        if row.get("status", "ok") != "ok":
            told.append(f"{name} {row['status']}")
            continue
        ms = f"{1e3 * row['seconds']:7.1f} ms"
        told.append(f"{name} {ms}, {row['ratio']:.2f} of {STEPS} steps of a WGAN-GP")
    return "\n".join(told)


if __name__ == "__main__":
    run(Study("w1loss_steps", KEYS, ROWS, measure, table, timed=True))

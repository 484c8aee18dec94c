"""How long a training step of a critic takes under each constraint of its slopes, beside one with a penalty.

Run with ``python -m benchmarks.wgan.constraint_steps``.
"""

import torch
from torch import nn

from benchmarks.common.harness import paired, summary
from benchmarks.wgan.rows import Study, cross, format_rows, run
from otdist.learn import Orthogonal, clip_weights, gradient_penalty, spectral_norm

KEYS = ("d", "width", "n", "constraint")  # columns, units of the two hidden layers, points a side
SHAPES = [{"d": 16, "width": 128, "n": 256}, {"d": 64, "width": 256, "n": 256}]
CONSTRAINTS = cross(constraint=("none", "clip", "spectral", "orthogonal", "penalty"))
ROWS = [shape | constraint for shape in SHAPES for constraint in CONSTRAINTS]
RUNS = 60


def make_step(row, constraint):
    """A function that takes one step on fixed points."""
    d, width = row["d"], row["width"]
    layers = [nn.Linear(d, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1)]
    critic = Orthogonal(d, width=width, depth=2) if constraint == "orthogonal" else nn.Sequential(*layers)
    if constraint == "spectral":
        spectral_norm(critic)
    optimiser = torch.optim.Adam(critic.parameters(), lr=1e-4, betas=(0.0, 0.9))
    x, y = torch.randn(row["n"], d) + 1.0, torch.randn(row["n"], d)

    def step():
        optimiser.zero_grad()
        loss = critic(y).mean() - critic(x).mean()
        if constraint == "penalty":
            loss = loss + gradient_penalty(critic, x, y)
        loss.backward()
        optimiser.step()
        if constraint == "clip":
            clip_weights(critic, 0.01)
        if constraint == "orthogonal":
            critic.retract()

    return step


def measure(row):
    """Seconds, and their ratio to those with a penalty, round by round."""
    torch.manual_seed(0)
    contestants = {name: make_step(row, name) for name in (row["constraint"], "penalty")}
    return summary(paired(contestants, RUNS), "penalty")[row["constraint"]]


def table(rows):
    line = "d = {d:3} {constraint:10} {ms:6.2f} ms, {ratio:.2f} of a step with penalty"
    return "\n".join(format_rows(line, rows, KEYS, lambda row: {"ms": 1e3 * row["seconds"]}))


if __name__ == "__main__":
    run(Study("constraint_steps", KEYS, ROWS, measure, table, timed=True))

"""How long a training step of a critic takes under each constraint of its slopes."""

from __future__ import annotations

import torch
from harness import paired, save, summary
from torch import nn

from otdist.learn import Orthogonal, clip_weights, gradient_penalty, spectral_norm

SHAPES = ((16, 128, 256), (64, 256, 256))  # columns, units of the two hidden layers, points a side
RUNS = 60


def network(d: int, width: int) -> nn.Sequential:
    layers = [nn.Linear(d, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1)]
    return nn.Sequential(*layers)


def step(critic: nn.Module, after: str, d: int, n: int):
    """A function that takes one step on fixed points."""
    optimiser = torch.optim.Adam(critic.parameters(), lr=1e-4, betas=(0.0, 0.9))
    x, y = torch.randn(n, d) + 1.0, torch.randn(n, d)

    def once() -> None:
        optimiser.zero_grad()
        loss = critic(y).mean() - critic(x).mean()
        if after == "penalty":
            loss = loss + gradient_penalty(critic, x, y)
        loss.backward()
        optimiser.step()
        if after == "clip":
            clip_weights(critic, 0.01)
        if after == "orthogonal":
            critic.retract()

    return once


def measured(d: int, width: int, n: int) -> dict[str, dict[str, float]]:
    spectral = network(d, width)
    spectral_norm(spectral)
    contestants = {
        "none": step(network(d, width), "none", d, n),
        "clip": step(network(d, width), "clip", d, n),
        "spectral": step(spectral, "spectral", d, n),
        "orthogonal": step(Orthogonal(d, width=width, depth=2), "orthogonal", d, n),
        "penalty": step(network(d, width), "penalty", d, n),
    }
    return summary(paired(contestants, RUNS), "penalty")


def main() -> None:
    torch.manual_seed(0)
    rows = []
    for d, width, n in SHAPES:
        for name, row in measured(d, width, n).items():
            rows.append(
                {"d": d, "width": width, "n": n, "constraint": name, "threads": torch.get_num_threads()} | row
            )
            milliseconds = 1e3 * row["seconds"]
            print(f"d = {d:3} {name:10} {milliseconds:6.2f} ms, {row['ratio']:.2f} of a step with penalty")
    save("constraint_steps", rows)


if __name__ == "__main__":
    main()

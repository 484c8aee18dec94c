"""
Particles moved by W1
=====================

:class:`otdist.learn.W1Loss` is one loss with four estimators in it. Here each of them moves 200 particles
from a drop to two spirals, of which 200 new points are seen in every step. All have the same steps: the
gradient of W1 says where to go and not how far, so that steps become shorter towards the end. The judge is
the same for all: the exact W1 to 400 points that none of them has seen.
"""

import math
import time

import matplotlib.pyplot as plt
import numpy as np
import torch

import otdist
from otdist.learn import W1Loss

N, STEPS, LONGEST = 200, 100, 0.18


def spirals(n, rng):
    """Points on two arms."""
    angle = 3 * math.pi * torch.rand(n, generator=rng).sqrt()
    arm = math.pi * torch.randint(2, (n,), generator=rng)
    points = torch.stack([torch.cos(angle + arm), torch.sin(angle + arm)], 1) * angle[:, None] / math.pi
    return points + 0.08 * torch.randn(n, 2, generator=rng)


judge = spirals(400, torch.Generator().manual_seed(99))


def moved(loss):
    """Places of the particles after each step, exact W1 after some, and processor time."""
    rng = torch.Generator().manual_seed(0)
    fake = (0.3 * torch.randn(N, 2, generator=rng) + torch.tensor([0.0, 2.6])).requires_grad_()
    path, judged, spent = [fake.detach().clone()], [(0, 0.0, otdist.w1(fake.detach(), judge).value)], 0.0
    for k in range(STEPS):
        real = spirals(N, rng)
        began = time.process_time()
        (slope,) = torch.autograd.grad(loss(fake, real), fake)
        # A particle has 1 / N of the mass, so that N times its slope is a direction of length 1 at most.
        with torch.no_grad():
            fake -= LONGEST * (1 + math.cos(math.pi * k / STEPS)) / 2 * N * slope
        spent += time.process_time() - began
        path.append(fake.detach().clone())
        if k % 10 == 9:
            judged.append((k + 1, spent, otdist.w1(fake.detach(), judge).value))
    return torch.stack(path).numpy(), np.array(judged, dtype=float)


losses = {
    "exact": W1Loss("exact"),
    "sinkhorn": W1Loss("sinkhorn"),
    "sliced": W1Loss("sliced", n_projections=50),
    "critic": W1Loss("critic", inner_steps=6),
}
runs = {name: moved(loss) for name, loss in losses.items()}
floor = float(otdist.w1(spirals(N, torch.Generator().manual_seed(98)), judge).value)
for name, (_, judged) in runs.items():
    print(f"{name:9} W1 {judged[0, 2]:.2f} -> {judged[-1, 2]:.3f} in {judged[-1, 1]:.1f} s")
print(f"200 new points of the spirals: {floor:.3f}")

# %%
# Above, where the particles end, and the ways of twelve. Below, the distance that is left. All end
# *nearer* to the judge than 200 points drawn from the spirals are (the dashed line): they are spread out
# more evenly than chance would do it. Lines cost least; as each of them sees a shadow only, they need
# more steps. The critic costs most and is behind: its slopes are those of a function that it is still
# learning while the particles move. It remembers earlier batches, which is worth little here: in two
# columns one batch says enough.

colours = {"exact": "#333333", "sinkhorn": "#2b6cb0", "sliced": "#dd7a1c", "critic": "#2f8f5b"}
figure = plt.figure(figsize=(9.6, 5.9), layout="constrained")
rows = figure.subfigures(2, 1, height_ratios=[1.0, 1.15])
for axes, (name, (path, judged)) in zip(rows[0].subplots(1, 4), runs.items(), strict=True):
    axes.scatter(*judge.T, s=5, color="#bbbbbb", linewidth=0)
    axes.plot(path[:, ::17, 0], path[:, ::17, 1], color=colours[name], linewidth=0.6, alpha=0.55)
    axes.scatter(*path[-1].T, s=7, color=colours[name], linewidth=0)
    axes.set(aspect="equal", xlim=(-3.5, 3.5), ylim=(-3.5, 3.6), xticks=[], yticks=[])
    axes.set_title(f"{name}: W1 = {judged[-1, 2]:.2f}", fontsize="medium")
    axes.spines[:].set_visible(False)
left, right = rows[1].subplots(1, 2, sharey=True)
for name, (_, judged) in runs.items():
    for axes, column in ((left, 0), (right, 1)):
        axes.plot(judged[1:, column], judged[1:, 2], "o-", color=colours[name], markersize=3.5, label=name)
for axes in (left, right):
    axes.axhline(floor, color="#888888", linewidth=1.1, linestyle="--")
    axes.set(yscale="log", yticks=[0.2, 0.4, 0.8, 1.6])
    axes.set_yticks([0.2, 0.4, 0.8, 1.6], labels=["0.2", "0.4", "0.8", "1.6"])
    axes.minorticks_off()
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
left.set(xlabel="steps", ylabel="exact W1 to unseen points")
right.set(xlabel="seconds of one processor", xscale="log")
left.legend(frameon=False)
place = {"transform": right.get_yaxis_transform(), "va": "top", "color": "#666666", "fontsize": "small"}
right.text(0.02, 0.97 * floor, "200 new points", **place)
plt.show()

left_over = {name: judged[-1, 2] for name, (_, judged) in runs.items()}
assert max(left_over[name] for name in ("exact", "sinkhorn", "sliced")) < 0.8 * floor
assert max(left_over.values()) == left_over["critic"] < floor
assert min(judged[-1, 1] for _, judged in runs.values()) == runs["sliced"][1][-1, 1]

"""
The better the discriminator, the less the generator learns
============================================================

A generator stands still, its points lie on a curve that the real points are not on, and a discriminator is
trained until it tells them apart without error. What gradient does the generator get on the way? Under the
first loss of GANs it vanishes :cite:p:`arjovsky2017principled`; under W1, by a critic trained as long, it
does not.
"""

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

import otdist
from otdist.learn import W1Loss

rng = torch.Generator().manual_seed(0)
angle = 2 * torch.pi * torch.rand(256, 1, generator=rng)
real = torch.cat([angle.cos(), angle.sin()], 1)  # a circle around 0
noise = torch.rand(256, 1, generator=rng)


def network(*sizes):
    """Layers with a fixed start, and tanh or leaky ReLU between them."""
    start = torch.Generator().manual_seed(1)
    layers = []
    for cols, rows in pairwise(sizes):
        linear = nn.Linear(cols, rows)
        for p in linear.parameters():
            nn.init.uniform_(p, -(cols**-0.5), cols**-0.5, generator=start)
        layers += [linear, nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers[:-1])


generator = network(1, 32, 2)
with torch.no_grad():  # a longer curve, beside the circle
    generator[-1].weight.mul_(8.0)
    generator[-1].bias.copy_(
        torch.tensor([2.6, 0.0]) - generator[:-1](noise).mean(0) @ generator[-1].weight.T
    )
assert torch.cdist(real, generator(noise)).min() > 0.5


def push(loss):
    """Norm of the gradient of a loss with respect to the generator's parameters."""
    parts = torch.autograd.grad(loss, list(generator.parameters()))
    return float(torch.cat([part.flatten() for part in parts]).norm())


# %%
# The discriminator sees all points in every step. Its two losses for the generator are ``mean log(1 - D)``
# (saturating) and ``-mean log D`` (non-saturating). With D = sigmoid(s) the first is ``-mean softplus(s)``,
# whose derivative is kept to the last digits however small it is.

softplus = nn.functional.softplus
discriminator = network(2, 64, 64, 1)
optimiser = torch.optim.Adam(discriminator.parameters(), lr=5e-3)
checks = [0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000]
norms = {"saturating": [], "non-saturating": [], "W1, critic": []}
losses = []
for step in range(checks[-1] + 1):
    fake = generator(noise)
    score = discriminator(fake)
    if step in checks:
        norms["saturating"].append(push(-softplus(score).mean()))
        norms["non-saturating"].append(push(softplus(-discriminator(generator(noise))).mean()))
    loss = softplus(-discriminator(real)).mean() + softplus(discriminator(fake.detach())).mean()
    losses.append(loss.item())
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()

# %%
# The critic is 1-Lipschitz by construction (:class:`otdist.learn.W1Loss`), and trained for as many steps on
# the same points. The exact W1 of the points has a gradient, too: the one that the critic is after.

criterion = W1Loss(family="anchors", rng=0)
criterion.freeze()  # so that a call measures, and does not train
for before, step in zip([0, *checks], checks, strict=False):
    if step > before:
        criterion.refresh(generator(noise), real, steps=step - before)
    norms["W1, critic"].append(push(criterion(generator(noise), real)))
value = criterion(generator(noise), real).item()
exact = otdist.w1(generator(noise), real).value
truth = push(exact)

for name, values in norms.items():
    print(f"{name:15} {values[0]:.3g} to {values[-1]:.3g}, largest/smallest {max(values) / min(values):.3g}")
print(f"discriminator's loss {losses[0]:.3g} to {losses[-1]:.3g}")
print(f"critic {value:.3f}, exact W1 {exact.item():.3f}")

falls = norms["saturating"][0] / norms["saturating"][-1]
steady = np.array(norms["W1, critic"])
assert losses[-1] < 1e-4 and falls > 1e3
assert np.abs(steady / truth - 1.0).max() < 0.05
assert 0.97 * exact.item() < value < 1.001 * exact.item()

# %%
# Left, the points and where W1 pulls them. Right, the gradients. The saturating loss dies with the
# discriminator's error, by more than a factor of 1,000. The gradient of W1 is within 5 % of the exact one
# at all times: a critic may be trained to its end, and should be.
#
# **The non-saturating loss does not vanish**, and this is the loss that people use. Its gradient *grows*
# instead, here by more than a factor of 100, as the discriminator gets steeper, and no length of it says
# how far there is to go: the distance is the same at all steps here.

assert norms["non-saturating"][-1] > 100 * norms["non-saturating"][0]

blue, orange, green, red = "#2b6cb0", "#dd7a1c", "#2f8f5b", "#b3364c"
figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 4.2), width_ratios=[1, 1.25], layout="constrained")
points = generator(noise).detach().requires_grad_()
criterion(points, real).backward()
pull = -points.grad * len(points)
order = torch.argsort(points.detach()[:, 0])[::21]
left.scatter(*real.T, s=7, color=blue, linewidth=0, label="real")
left.scatter(*points.detach().T, s=7, color=orange, linewidth=0, label="generated")
left.quiver(*points.detach()[order].T, *pull[order].T, color="#222222", width=0.006, scale=6.5)
left.set(aspect="equal", xticks=[], yticks=[], title="two curves, and the pull of $W_1$")
left.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=2, markerscale=2)

looks = {"saturating": (orange, "o"), "non-saturating": (red, "s"), "W1, critic": (green, "D")}
for name, (color, marker) in looks.items():
    label = name.replace("W1", "$W_1$")
    right.plot(np.maximum(checks, 0.5), norms[name], color=color, marker=marker, markersize=4.5, label=label)
right.axhline(truth, color="#333333", linestyle="--", linewidth=1.2, label="$W_1$, exact")
right.set(xscale="log", yscale="log", xlabel="steps of the discriminator, or of the critic")
right.set_xticks([0.5, 1, 10, 100, 1000], labels=["0", "1", "10", "100", "1,000"])
right.minorticks_off()
right.set_title("norm of the generator's gradient")
right.grid(alpha=0.25)
right.legend(frameon=False, loc="lower left")
for panel in (left, right):
    panel.spines[["top", "right"]].set_visible(False)
    panel.title.set_fontsize("medium")
left.spines[["left", "bottom"]].set_visible(False)
plt.show()

"""
Parallel lines: where W1 has a slope and other divergences have none
=====================================================================

Two laws, each uniform on a vertical segment of length 1, the second one ``theta`` to the right
:cite:p:`arjovsky2017wgan`. Unless they coincide they share no point. The Jensen-Shannon divergence is then
log 2, total variation 1 and Kullback-Leibler infinite, however far apart they are; W1 is ``|theta|``.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch

import otdist
from otdist.learn import Orthogonal

LOG2 = np.log(2.0)
heights = (np.arange(100) + 0.5) / 100


def line(theta):
    """The segment at ``theta``, as 100 atoms of equal mass."""
    return np.column_stack([np.full(100, theta), heights])


def divergences(x, y):
    """Jensen-Shannon, total variation and Kullback-Leibler of two laws of equal atoms, exact."""
    atoms, place = np.unique(np.concatenate([x, y]), axis=0, return_inverse=True)
    p, q = (np.bincount(part, minlength=len(atoms)) / 100 for part in (place[:100], place[100:]))
    mean = (p + q) / 2
    js = sum(0.5 * np.sum(s[s > 0] * np.log(s[s > 0] / mean[s > 0])) for s in (p, q))
    kl = np.inf if np.any((p > 0) & (q == 0)) else np.sum(p[p > 0] * np.log(p[p > 0] / q[p > 0]))
    return js, 0.5 * np.abs(p - q).sum(), kl


thetas = np.linspace(-1.0, 1.0, 41)
js, tv, kl = np.array([divergences(line(0.0), line(theta)) for theta in thetas]).T

# %%
# W1 by the exact solver, with its derivative by torch.

exact, slope = [], []
for theta in thetas:
    at = torch.tensor(theta, requires_grad=True)
    moved = torch.stack([at.expand(100), torch.as_tensor(heights)], 1)
    value = otdist.w1(line(0.0), moved).value
    value.backward()
    exact.append(value.item())
    slope.append(at.grad.item())
exact, slope = np.array(exact), np.array(slope)

apart = thetas != 0
assert np.abs(js[apart] - LOG2).max() < 1e-12 and js[~apart] == 0.0
assert np.abs(tv[apart] - 1.0).max() < 1e-12 and tv[~apart] == 0.0
assert np.isinf(kl[apart]).all() and kl[~apart] == 0.0
assert np.abs(exact - np.abs(thetas)).max() < 1e-12
assert np.abs(slope - np.sign(thetas)).max() < 1e-12

# %%
# And by a critic that is 1-Lipschitz by construction, trained on fresh points of both laws and judged on
# others. Its value is a lower bound of W1 up to the noise of these, and its slope is what moves a generator.


def segment(theta, n, seed):
    """Points drawn from the segment at ``theta``, which may be a tensor."""
    draws = torch.rand(n, 1, generator=torch.Generator().manual_seed(seed))
    return torch.cat([theta * torch.ones(n, 1), draws], 1)


learned = {}
for theta in (-1.0, -0.6, -0.2, 0.2, 0.6, 1.0):
    critic = Orthogonal(2, width=32, depth=2, generator=torch.Generator().manual_seed(0))
    optimiser = torch.optim.Adam(critic.parameters(), lr=0.02)
    for step in range(200):
        optimiser.param_groups[0]["lr"] = 0.02 * (1 - step / 200)
        gap = critic(segment(theta, 256, 2 * step)).mean() - critic(segment(0.0, 256, 2 * step + 1)).mean()
        optimiser.zero_grad()
        (-gap).backward()
        optimiser.step()
        critic.retract()
    at = torch.tensor(theta, requires_grad=True)
    value = critic(segment(at, 4096, 1000)).mean() - critic(segment(0.0, 4096, 1001)).mean()
    value = value / critic.lipschitz()
    value.backward()
    learned[theta] = value.item(), at.grad.item()
    print(f"theta {theta:+.1f}  critic {learned[theta][0]:.4f}  slope {learned[theta][1]:+.3f}")

error = max(abs(gap / abs(theta) - 1.0) for theta, (gap, _) in learned.items())
print(f"largest error of the critic: {error:.2%}")
assert error < 0.02
assert all(abs(tilt - np.sign(theta)) < 0.02 for theta, (_, tilt) in learned.items())

# %%
# Left, what a discriminator's loss measures: two numbers that do not depend on ``theta``, and one that is
# infinite. Middle, W1 and what the critic proves. Right, their derivatives, which are all that training
# sees. At 0 itself W1 has a kink, and otdist's derivative there is 0.
#
# A caution. All of this is about *laws*. Two samples of any continuous law share no point, so that the
# divergences of the samples are log 2, 1 and infinite even where nothing differs; their W1 is then small,
# but not 0 (:ref:`sphx_glr_gallery_tasks_plot_noise_floor.py`).

blue, orange, green, grey = "#2b6cb0", "#dd7a1c", "#2f8f5b", "#777777"
figure, (left, middle, right) = plt.subplots(1, 3, figsize=(10.4, 3.7), layout="constrained")
for values, name, color in ((js, "Jensen-Shannon: log 2", orange), (tv, "total variation: 1", grey)):
    left.plot(np.where(apart, thetas, np.nan), np.where(apart, values, np.nan), color=color, label=name)
    left.plot(0, 0, "o", color=color, markersize=6 if color == orange else 3)
left.annotate("Kullback-Leibler: ∞", (0, 1.22), ha="center", color="#b3364c", fontsize="small")
left.annotate("", (0.8, 1.16), (0.8, 1.03), arrowprops={"arrowstyle": "->", "color": "#b3364c"})
left.annotate("", (-0.8, 1.16), (-0.8, 1.03), arrowprops={"arrowstyle": "->", "color": "#b3364c"})
left.set(ylim=(-0.06, 1.35), title="divergences")
left.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 0.12), fontsize="small")

at, gaps, tilts = np.array([(theta, gap, tilt) for theta, (gap, tilt) in learned.items()]).T
middle.plot(thetas, exact, color=blue, label="$W_1$, exact")
middle.plot(at, gaps, "D", color=green, markersize=5, label="critic, held out")
middle.set(ylim=(-0.06, 1.35), title="$W_1$ = |theta|")
middle.legend(frameon=False, loc="upper center", ncols=2, fontsize="small")

right.plot(thetas[thetas < 0], slope[thetas < 0], color=blue, label="$W_1$, exact")
right.plot(thetas[thetas > 0], slope[thetas > 0], color=blue)
right.plot(at, tilts, "D", color=green, markersize=5, label="critic")
right.plot(
    np.where(apart, thetas, np.nan), np.where(apart, 0.0, np.nan), color=orange, label="Jensen-Shannon"
)
right.set(ylim=(-1.2, 1.35), title="derivative in theta")
right.legend(frameon=False, loc="upper left", fontsize="small")
for panel in (left, middle, right):
    panel.set(xlabel="theta", xticks=[-1, -0.5, 0, 0.5, 1])
    panel.grid(alpha=0.25)
    panel.spines[["top", "right"]].set_visible(False)
    panel.title.set_fontsize("medium")
plt.show()

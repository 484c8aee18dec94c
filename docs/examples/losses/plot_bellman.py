"""
Distributions of returns in reinforcement learning
==================================================

What a player will win in the long run is random, and its law satisfies an equation of its own: the return
from here is the reward of the next move, plus a discounted return from there. Does repeating that equation
lead anywhere? In W1 it does, step by step; in total variation and in KL it does not :cite:p:`bellemare2017`.
Here both can be computed without error.
"""

import matplotlib.pyplot as plt
import numpy as np

import otdist

blue, orange, red, grey = "#2b6cb0", "#dd7a1c", "#b3364c", "#777777"
PLACES, DISCOUNT, BACKUPS = 5, 0.8, 12

# %%
# A walker on five places goes left or right with equal chances. It wins 1 by leaving on the right, loses 1
# by leaving on the left, and begins again in the middle. A law of returns is a list of points with equal
# weights, one list a place; one backup doubles it, and nothing is rounded away.


def moves(place):
    """Reward and next place, of two moves that are equally likely."""
    left = (-1.0, PLACES // 2) if place == 0 else (0.0, place - 1)
    right = (1.0, PLACES // 2) if place == PLACES - 1 else (0.0, place + 1)
    return left, right


def backup(laws):
    """The law of reward plus discounted return, at every place."""
    return [np.concatenate([r + DISCOUNT * laws[k] for r, k in moves(place)]) for place in range(PLACES)]


def total_variation(x, y):
    """Half of the sum of |p - q| over all points of either law."""
    points, at = np.unique(np.round(np.concatenate([x, y]), 9), return_inverse=True)
    p, q = (np.bincount(part, minlength=len(points)) for part in (at[: len(x)], at[len(x) :]))
    return np.abs(p / len(x) - q / len(y)).sum() / 2


def farthest(distance, laws, others):
    """The largest distance at any place."""
    return max(distance(x, y) for x, y in zip(laws, others, strict=True))


def w1(x, y):
    """W1 on the line."""
    return float(otdist.w1(x, y))


# %%
# Two players guess the laws: one that nothing is ever won, the other something odd at every place. Both
# apply the equation, twelve times.

laws = [[np.zeros(1) for _ in range(PLACES)]]
others = [[np.array([value]) for value in (-6.0, 3.0, 8.0, -2.0, 5.0)]]
for _ in range(BACKUPS):
    laws.append(backup(laws[-1]))
    others.append(backup(others[-1]))
apart = np.array([farthest(w1, *pair) for pair in zip(laws, others, strict=True)])
varied = np.array([farthest(total_variation, *pair) for pair in zip(laws, others, strict=True)])

figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.2), layout="constrained")
for one, color, title in ((laws, blue, "nothing at first"), (others, orange, "odd at first")):
    for k, alpha in ((2, 0.35), (6, 0.6), (12, 1.0)):
        label = title if k == BACKUPS else None
        left.ecdf(one[k][PLACES // 2], color=color, alpha=alpha, linewidth=1.5, label=label)
left.legend(frameon=False, fontsize=9, loc="upper left")
left.set(xlabel="return from the middle", ylabel="chance to win no more", xlim=(-3.5, 6.5))
left.set_title("two guesses after 2, 6 and 12 backups", fontsize=10)
right.semilogy(apart / apart[0], color=blue, marker="o", markersize=4, label="W1")
right.semilogy(
    DISCOUNT ** np.arange(BACKUPS + 1), color=grey, linestyle="--", label="discount to the power k"
)
right.semilogy(varied / varied[0], color=red, marker="s", markersize=4, label="total variation")
right.set(xlabel="backups", ylim=(0.02, 1.6))
right.set_title("largest distance at any place, share of the first", fontsize=10)
right.legend(frameon=False, fontsize=9, loc="lower left")
for panel in (left, right):
    panel.grid(alpha=0.25)
    panel.spines[["top", "right"]].set_visible(False)
plt.show()
print("W1:             ", " ".join(f"{value:.3f}" for value in apart))
print("total variation:", " ".join(f"{value:.3f}" for value in varied))

# %%
# W1 falls with every backup, by the discount at least: the equation is a contraction, whatever one starts
# from. Total variation stays at its largest value, 1, through all twelve, and KL is infinite: the two laws
# never have a point in common, however near they come. So W1 is the distance in which the laws of returns
# can be learned step by step, and in which it can be said how far off they are.

assert (apart[1:] <= DISCOUNT * apart[:-1] + 1e-12).all()
assert apart[-1] < 0.07 * apart[0]
assert (varied > 1 - 1e-12).all()

# %%
# How far from the true law? It is not known in closed form. But by the same contraction it is no farther
# off, at any place, than the last backup moved the laws, times ``discount / (1 - discount)``. Here is that
# bound beside W1 to 4,096 simulated games, and W1 between two halves of these games, which is noise.

rng = np.random.default_rng(0)
won, place, weight = np.zeros(4096), np.full(4096, PLACES // 2), 1.0
for _ in range(80):  # what is left is discounted to 1e-8
    place = place + rng.choice([-1, 1], size=len(place))
    out = (place < 0) | (place == PLACES)
    won += weight * np.where(out, np.sign(place), 0.0)
    place = np.where(out, PLACES // 2, place)
    weight *= DISCOUNT
bound = farthest(w1, laws[-1], laws[-2]) * DISCOUNT / (1 - DISCOUNT)
measured, noise = w1(laws[-1][PLACES // 2], won), w1(won[::2], won[1::2])
print(
    f"W1 to the true law: at most {bound:.4f}; to simulated games {measured:.4f}; between halves {noise:.4f}"
)
assert measured < bound + noise

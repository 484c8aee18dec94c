"""
Earth mover's distance: piles of dirt, and digits
==================================================

W1 is the least work that turns one heap of mass into another: mass times the way that it is carried. The plan
says how much goes where; here it is drawn, for piles and holes in the plane and for two handwritten digits.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

import otdist

piles = np.array([[0.0, 0.0], [0.6, 2.2], [1.6, 3.6], [1.5, 1.5]])
dirt = np.array([4.0, 2.0, 3.0, 1.0])
holes = np.array([[4.4, 3.4], [4.9, 1.7], [4.0, -0.2]])
room = np.array([2.0, 5.0, 3.0])

r = otdist.w1(piles, holes, dirt, room)
moved = r.plan.toarray()
ways = np.linalg.norm(piles[:, None] - holes[None, :], axis=2)
print(r)
assert (
    np.abs(moved.sum(axis=1) - dirt / 10).max() < 1e-9 and np.abs(moved.sum(axis=0) - room / 10).max() < 1e-9
)
assert abs((moved * ways).sum() - r.value) < 1e-9

# %%
# Numbers in discs are masses, widths of arrows what is carried, and the number on an arrow mass times way.
# They add up to W1, which is the work for a mass of 1 in all. There are at most n + m - 1 arrows.

blue, orange, grey = "#2b6cb0", "#dd7a1c", "#5f6b77"


def arrows(axes, tails, heads, masses, width, short=0):
    """Arrows from tails to heads, as wide as the mass that they carry; `short` points before the head."""
    for tail, head, mass in zip(tails, heads, masses, strict=True):
        style = {"arrowstyle": "-|>", "color": grey, "alpha": 0.75, "shrinkA": 0, "shrinkB": short}
        style |= {"linewidth": width * mass, "mutation_scale": 6 + 1.2 * width * mass}
        axes.annotate("", head, tail, arrowprops=style, zorder=1)


rows, cols = r.plan.coords
assert len(rows) <= len(piles) + len(holes) - 1
figure, axes = plt.subplots(figsize=(7.2, 4.6), layout="constrained")
arrows(axes, piles[rows], holes[cols], r.plan.data, 11.0, short=15)
for points, mass, color, name in ((piles, dirt, blue, "piles"), (holes, room, orange, "holes")):
    axes.scatter(*points.T, s=350 + 130 * mass, color=color, alpha=0.9, label=name, zorder=2)
    for point, each in zip(points, mass / 10, strict=True):
        axes.annotate(f"{each:.1f}", point, ha="center", va="center", color="white", zorder=3)
for i, j, mass in zip(rows, cols, r.plan.data, strict=True):
    spot = 0.55 * piles[i] + 0.45 * holes[j]
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1.0}
    axes.annotate(
        f"{mass:.1f} × {ways[i, j]:.1f}", spot, ha="center", va="center", fontsize="x-small", bbox=box
    )
axes.set_title(f"$W_1$ = Σ mass × way = {r.value:.3f}, proved in [{r.lower:.3f}, {r.upper:.3f}]")
axes.title.set_fontsize("medium")
axes.legend(frameon=False, loc="upper left", markerscale=0.4)
axes.margins(0.14)
axes.set(aspect="equal")
axes.set_axis_off()
plt.show()

# %%
# Two images of 8 x 8 pixels, each with mass 1 in all. The distance is in pixels: how far ink has to travel
# in the mean. Below, all ink is underway at once, and each part goes straight on.

images = load_digits().images
first, second = images[0], images[13]
pixels = np.argwhere(np.ones((8, 8)))[:, ::-1].astype(float)  # column, row
weights = [image.ravel() / image.sum() for image in (first, second)]
ink = otdist.w1(pixels, pixels, *weights)
plan = ink.plan
print(ink)
assert all(np.abs(plan.sum(axis=1 - k) - weights[k]).max() < 1e-9 for k in (0, 1))

rows, cols = plan.coords
start, end, mass = pixels[rows], pixels[cols], plan.data
figure = plt.figure(figsize=(7.6, 6.0), layout="constrained")
above, below = figure.subfigures(2, 1, height_ratios=[2.1, 1])
left, right = above.subplots(1, 2)
for axes, image, color in ((left, first, "Blues"), (right, second, "Oranges")):
    axes.imshow(image, cmap=color, vmax=24)
    axes.set_axis_off()
away = np.any(start != end, axis=1)
arrows(left, start[away], end[away], mass[away] / mass.max(), 2.2)
left.set_title(f"ink to move, $W_1$ = {ink.value:.3f} pixels", fontsize="medium")
right.set_title("where it belongs", fontsize="medium")

for axes, share in zip(below.subplots(1, 5), np.linspace(0.0, 1.0, 5), strict=True):
    at = (1 - share) * start + share * end
    side = np.linspace(-0.5, 7.5, 49)
    spread = [np.exp(-((side[:, None] - at[:, k]) ** 2) / (2 * 0.45**2)) for k in (1, 0)]
    axes.imshow((spread[0] * mass) @ spread[1].T, cmap="Greys")
    axes.set_axis_off()
    axes.set_title(f"{share:.0%} of the way", fontsize="small")
plt.show()

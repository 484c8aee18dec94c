"""
The noise floor
===============

Two samples of the *same* law are never at distance 0. How far they are apart by chance depends on
their size n and on the dimension d: :func:`otdist.stats.noise_floor` measures it by splitting one
sample at random. A distance below the floor says nothing.
"""

import matplotlib.pyplot as plt
import numpy as np

import otdist

rng = np.random.default_rng(0)
sizes = [10, 20, 40, 80, 160, 320]
floors = {}
for d in (1, 2, 5, 10):
    reference = rng.normal(size=(2 * sizes[-1], d))
    floors[d] = [otdist.stats.noise_floor(reference, n, n, n_resamples=19, rng=n) for n in sizes]

# %%
# Lines are means, bands hold nine draws in ten. On the line the floor falls like :math:`n^{-1/2}`,
# in d > 2 dimensions only like :math:`n^{-1/d}`: in ten dimensions 32 times the data does not even
# halve it.

figure, axes = plt.subplots(figsize=(7.2, 4.4), layout="constrained")
colours = plt.get_cmap("viridis")(np.linspace(0.05, 0.8, len(floors)))
for colour, (d, measured) in zip(colours, floors.items(), strict=True):
    mean = [floor.mean for floor in measured]
    low, high = ([floor.quantile(level) for floor in measured] for level in (0.05, 0.95))
    axes.fill_between(sizes, low, high, color=colour, alpha=0.18, linewidth=0)
    axes.plot(sizes, mean, "o-", color=colour, markersize=4)
    axes.annotate(f"d = {d}", (sizes[-1], mean[-1]), (8, 0), textcoords="offset points", va="center")
axes.set(xscale="log", yscale="log", xlabel="rows in each sample, n", ylabel="$W_1$ by chance")
axes.set_title("Standard normal samples against themselves")
axes.set_xticks(sizes, labels=[str(n) for n in sizes])
axes.minorticks_off()
axes.set_xlim(9, 470)
axes.set_yticks([0.1, 0.3, 1, 3], labels=["0.1", "0.3", "1", "3"])
axes.grid(alpha=0.25)
axes.spines[["top", "right"]].set_visible(False)
plt.show()

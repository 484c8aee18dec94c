"""
Drift over time: one window a week
==================================

The weeks of a year against the first eight of them: one call of :func:`otdist.wasserstein_1d` for all
windows, and the noise floor for windows of that size. Rows here are independent; where they are not (the
same customers, or values that follow one another), the floor is too low: see :doc:`/howto/over_time`.
"""

import matplotlib.pyplot as plt
import numpy as np

import otdist

rng = np.random.default_rng(0)
weeks, rows = 44, 200
level = np.where(np.arange(weeks) < 26, 0.0, 4.0)  # from week 26 on, orders are larger by 4
orders = rng.gamma(4.0, 10.0, (weeks, rows)) + level[:, None]
reference = rng.gamma(4.0, 10.0, 8 * rows)

apart = otdist.wasserstein_1d(reference, orders)
floor = otdist.stats.noise_floor(reference, len(reference), rows, rng=0).quantile(0.95)
assert (apart[level > 0] > floor).mean() > 0.8 and (apart[level == 0] > floor).mean() < 0.2

# %%
# W1 is in the unit of the orders: after the change it is about 4 above what it would be.

figure, axes = plt.subplots(figsize=(8.4, 3.8), layout="constrained")
axes.axhspan(0.0, floor, color="#8a93a0", alpha=0.2, linewidth=0, label="by chance, 19 weeks in 20")
moved = apart > floor
axes.plot(apart, color="#8a93a0", linewidth=1.0)
axes.scatter(np.flatnonzero(~moved), apart[~moved], s=26, color="#2b6cb0", zorder=2)
axes.scatter(np.flatnonzero(moved), apart[moved], s=26, color="#dd7a1c", zorder=2, label="above the floor")
axes.set(xlabel="week", ylabel="W1 to the reference", title="Order values by week")
axes.set_ylim(0.0)
axes.legend(frameon=False, loc="upper left")
axes.spines[["top", "right"]].set_visible(False)
plt.show()

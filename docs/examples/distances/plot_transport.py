"""
Two clouds and the plan between them
====================================

:func:`otdist.w1` finds the cheapest way to turn one cloud into the other. The plan is sparse: each
line carries the mass of one cell. The interval in the title is proved: the lower end by the dual
potentials, the upper end by the plan that is drawn.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.collections import LineCollection

import otdist

rng = np.random.default_rng(3)
x = rng.normal([0.0, 0.0], [1.0, 0.6], size=(70, 2))
angle = rng.uniform(0.0, np.pi, size=70)
y = np.column_stack([3.2 * np.cos(angle), 3.2 * np.sin(angle)]) + rng.normal(0.0, 0.22, size=(70, 2))

r = otdist.w1(x, y)
print(r)

# %%
# Lines join the points that exchange mass. No two of them cross: swapping the ends of a crossing
# would make the two journeys together shorter.

rows, cols = r.plan.coords
blue, orange = "#2b6cb0", "#dd7a1c"

figure, axes = plt.subplots(figsize=(7.2, 4.6), layout="constrained")
axes.add_collection(
    LineCollection(
        np.stack([x[rows], y[cols]], axis=1),
        colors="#7a8794",
        linewidths=1.6 * r.plan.data / r.plan.data.max(),
        alpha=0.7,
        zorder=1,
    )
)
axes.scatter(*x.T, s=30, color=blue, edgecolor="white", linewidth=0.6, label="x", zorder=2)
axes.scatter(*y.T, s=30, color=orange, edgecolor="white", linewidth=0.6, label="y", zorder=2)
axes.set_title(f"$W_1$ = {r.value:.4f}, proved in [{r.lower:.4f}, {r.upper:.4f}], gap {r.gap:.0e}")
axes.set_aspect("equal")
axes.set_axis_off()
axes.legend(frameon=False, loc="upper right")
plt.show()

"""
The area between two distribution functions
===========================================

On the line W1 is an area: that between the two cumulative distribution functions. Turn the picture
on its side and the same area lies between the quantile functions.
"""

import matplotlib.pyplot as plt
import numpy as np

import otdist

rng = np.random.default_rng(1)
x = rng.gamma(3.0, 1.0, size=40)
y = 1.5 + rng.gamma(2.0, 1.6, size=30)

r = otdist.w1(x, y)
print(r)

# %%
# The two steps functions jump by 1/40 and 1/30. Their difference is constant between neighbouring
# points of the pooled sample, so the area is a sum of rectangles.

points = np.sort(np.concatenate([x, y]))
below_x = np.searchsorted(np.sort(x), points, side="right") / len(x)
below_y = np.searchsorted(np.sort(y), points, side="right") / len(y)
area = float(np.sum(np.abs(below_x - below_y)[:-1] * np.diff(points)))
assert abs(area - r.value) < 1e-12

figure, axes = plt.subplots(figsize=(7.2, 4.2), layout="constrained")
axes.fill_between(points, below_x, below_y, step="post", color="#c9d6e3", label=f"area = $W_1$ = {area:.3f}")
axes.step(points, below_x, where="post", color="#2b6cb0", linewidth=1.8, label="x")
axes.step(points, below_y, where="post", color="#dd7a1c", linewidth=1.8, label="y")
axes.set(xlabel="value", ylabel="share of the sample below", ylim=(0, 1.02))
axes.spines[["top", "right"]].set_visible(False)
axes.legend(frameon=False, loc="lower right")
plt.show()

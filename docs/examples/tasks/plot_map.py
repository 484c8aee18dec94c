"""
On a map: distances along the globe
===================================

Latitudes and longitudes are not coordinates of a plane: 179° E and 179° W are neighbours. As unit
vectors with ``metric="angular"`` the distance is the angle between two places, and times the radius of
the Earth it is the way in kilometres.
"""

import matplotlib.pyplot as plt
import numpy as np

import otdist

EARTH = 6371.0  # km, mean radius


def unit_vectors(degrees):
    """Rows (latitude, longitude) as points of the sphere."""
    latitude, longitude = np.radians(degrees).T
    flat = np.cos(latitude)
    return np.column_stack([flat * np.cos(longitude), flat * np.sin(longitude), np.sin(latitude)])


rng = np.random.default_rng(0)
before = rng.normal([-18.0, 177.0], [3.0, 5.0], (60, 2))  # around Fiji, on both sides of the date line
after = rng.normal([-10.0, 179.0], [3.0, 5.0], (60, 2))
result = otdist.w1(unit_vectors(before), unit_vectors(after), metric="angular")
naive = otdist.w1((before + 180) % 360 - 180, (after + 180) % 360 - 180)
print(f"{EARTH * result.value:.0f} km; as if degrees were a plane: {naive.value:.0f} degrees")
assert 700 < EARTH * result.value < 1200

# %%
# The plan: which sighting of one season goes to which of the other.

rows, columns = result.plan.coords
blue, orange = "#2b6cb0", "#dd7a1c"
figure, axes = plt.subplots(figsize=(7.2, 4.4), layout="constrained")
for i, j in zip(rows, columns, strict=True):
    axes.plot(*np.stack([before[i], after[j]]).T[::-1], color="#8a93a0", linewidth=0.8, zorder=1)
axes.scatter(*before.T[::-1], s=26, color=blue, label="one season")
axes.scatter(*after.T[::-1], s=26, color=orange, label="the next")
axes.axvline(180.0, color="#222222", linewidth=1.0, linestyle=":")
axes.set(xlabel="longitude", ylabel="latitude", title=f"W1 = {EARTH * result.value:.0f} km")
axes.set_xticks([165, 170, 175, 180, 185, 190], labels=["165° E", "170°", "175°", "180°", "175° W", "170°"])
axes.legend(frameon=False, loc="upper left")
axes.spines[["top", "right"]].set_visible(False)
plt.show()

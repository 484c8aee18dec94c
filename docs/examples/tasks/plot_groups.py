"""
Many groups against each other
==============================

Twelve shops, all pairs: a matrix of distances, clustered. On one column it is one call, by broadcasting; in
more dimensions a loop over pairs (:doc:`/howto/groups`).
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.cluster.hierarchy import fcluster, leaves_list, linkage
from scipy.spatial.distance import squareform

import otdist

rng = np.random.default_rng(0)
kinds = rng.permutation(np.repeat([20.0, 24.0, 31.0], 4))
baskets = rng.gamma(4.0, kinds[:, None] / 4.0, (12, 400))  # rows: shops; columns: values of baskets

apart = otdist.wasserstein_1d(baskets[:, None], baskets[None])
tree = linkage(squareform(apart, checks=False), "average")
found = fcluster(tree, 3, "maxclust")
assert len({(kind, group) for kind, group in zip(kinds, found, strict=True)}) == 3

# %%
# Rows and columns stand in the order of the tree. The faintest squares are shops of one kind, which
# differ only by chance.

order = leaves_list(tree)
figure, axes = plt.subplots(figsize=(5.8, 4.8), layout="constrained")
image = axes.imshow(apart[np.ix_(order, order)], cmap="Blues")
axes.set_xticks(range(12), labels=[f"{k + 1}" for k in order])
axes.set_yticks(range(12), labels=[f"shop {k + 1}" for k in order])
axes.set_title("W1 between the baskets of shops")
figure.colorbar(image, label="W1, in the currency of the baskets")
plt.show()

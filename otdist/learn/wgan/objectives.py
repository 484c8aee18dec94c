"""Loss functions of critic and generator."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812  torch's own name for it
from torch import Tensor

# Each loss is a sum, not a mean, since processes divide by the size of their common batch.


def critic_loss(objective: str, real: Tensor, fake: Tensor) -> Tensor:
    """Return the loss of a critic from its scores of real and fake points, summed over the points."""
    if objective == "w1":
        return fake.sum() - real.sum()
    if objective == "hinge":
        return F.relu(1 - real).sum() + F.relu(1 + fake).sum()
    return F.softplus(-real).sum() + F.softplus(fake).sum()


def generator_loss(objective: str, fake: Tensor) -> Tensor:
    """Return the loss of a generator from the scores of its points, summed over the points.

    "saturating" is ``log(1 - D)``, the original game (Goodfellow et al. 2014, equation 1); "gan" is its
    replacement ``-log D`` (the same paper, section 3).
    """
    if objective == "gan":
        return F.softplus(-fake).sum()
    if objective == "saturating":
        return -F.softplus(fake).sum()
    return -fake.sum()

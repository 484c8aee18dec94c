"""Loss functions of critic and generator."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812  torch's own name for it
from torch import Tensor

PAIRED_OBJECTIVES = ("relativistic",)  # objectives whose generator loss needs scores of real points

# Each loss is a sum, not a mean, since processes divide by the size of their common batch.


def critic_loss(objective: str, real: Tensor, fake: Tensor) -> Tensor:
    """Return the loss of a critic from its scores of real and fake points, summed over the points.

    "relativistic" compares the scores of pairs, a real and a fake point each (Jolicoeur-Martineau 2019,
    equation 6; Huang et al. 2024): it does not change if a constant is added to all scores.
    """
    if objective == "relativistic":
        return F.softplus(fake - real).sum()
    if objective == "w1":
        return fake.sum() - real.sum()
    if objective == "hinge":
        return F.relu(1 - real).sum() + F.relu(1 + fake).sum()
    return F.softplus(-real).sum() + F.softplus(fake).sum()


def generator_loss(objective: str, fake: Tensor, real: Tensor | None = None) -> Tensor:
    """Return the loss of a generator from the scores of its points, summed over the points.

    Scores of real points, as many, are needed for "relativistic" alone. "saturating" is ``log(1 - D)``, the
    original game (Goodfellow et al. 2014, equation 1); "gan" is its replacement ``-log D`` (the same paper,
    section 3).
    """
    if objective == "relativistic":
        assert real is not None
        return F.softplus(real - fake).sum()
    if objective == "gan":
        return F.softplus(-fake).sum()
    if objective == "saturating":
        return -F.softplus(fake).sum()
    return -fake.sum()

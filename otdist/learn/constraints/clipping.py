"""Weight clipping, the first constraint of Wasserstein GANs."""

from __future__ import annotations

import math
from typing import Any

import torch

from otdist.errors import InputError


@torch.no_grad()
def clip_weights(module: Any, bound: float = 0.01) -> None:
    """Clip all parameters of a critic to [-bound, bound], in place; after every step of its optimiser.

    ``w <- min(max(w, -bound), bound)``, biases included.

    Parameters
    ----------
    module : torch.nn.Module
        Critic.
    bound : float
        Largest modulus of a parameter, above 0.

    Raises
    ------
    InputError
        If ``bound`` is not a finite number above 0.

    Notes
    -----
    It bounds the Lipschitz constant by *some* number, not by 1: what the critic estimates is a multiple of W1
    that nobody knows before :func:`lipschitz_constant` has been called. Weights pile up at the bounds, and
    gradients vanish or explode with the depth (Gulrajani et al. 2017, figure 1). It is here to compare with.

    Cost: one pass over the parameters.

    Source: Arjovsky, Chintala and Bottou (2017), algorithm 1.

    Examples
    --------
    >>> import torch
    >>> from otdist.learn import clip_weights
    >>> critic = torch.nn.Linear(2, 1)
    >>> clip_weights(critic, 0.01)
    >>> bool((critic.weight.abs() <= 0.01).all())
    True
    """
    if not (math.isfinite(bound) and bound > 0):
        raise InputError("bound", f"is {bound!r}", "give a finite number above 0, as 0.01")
    for parameter in module.parameters():
        parameter.clamp_(-bound, bound)

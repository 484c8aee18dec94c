"""Weight clipping, the first constraint of Wasserstein GANs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn.utils import parametrize

from otdist.errors import InputError
from otdist.inputs.arguments import check_number
from otdist.learn.constraints.checks import refuse_computed_weights

if TYPE_CHECKING:
    from torch import nn


@torch.no_grad()
def clip_weights(module: nn.Module, bound: float = 0.01) -> None:
    """Clip all parameters of a critic to [-bound, bound], in place, after each step of its optimiser.

    ``w <- min(max(w, -bound), bound)``, biases included.

    Parameters
    ----------
    module : torch.nn.Module
        Critic.
    bound : float
        Largest absolute value of a parameter, positive.

    Raises
    ------
    InputError
        If ``bound`` is not a finite number > 0, or a layer computes its weights from other parameters
        (spectral or weight norms, pruning), so that clipping these does not bound the weights.

    Notes
    -----
    Clipping bounds the Lipschitz constant by *some* number, not by 1: the critic estimates an unknown
    multiple of W1, see :func:`lipschitz_constant`. Weights accumulate at the bounds, and gradients vanish or
    explode with the depth (Gulrajani et al. 2017, figure 1). Provided for comparison.

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
    check_number(bound, "bound", above=0, remedy="use 0.01")
    refuse_computed_weights("module", module)
    for name, layer in module.named_modules():
        if parametrize.is_parametrized(layer):
            raise InputError("module", f"layer {name!r} has a parametrisation", "remove it, or do not clip")
    for parameter in module.parameters():
        parameter.clamp_(-bound, bound)

"""Correction of a critic's gap for the bias of the gradient penalty."""

from __future__ import annotations

import math
from typing import TypeVar

import torch
from torch import Tensor

from otdist.errors import InputError
from otdist.inputs.arguments import check_number

F = TypeVar("F", float, Tensor)


def corrected_gap(gap: F, weight: float) -> F:
    r"""Estimate W1 from the gap of a critic that was trained with a gradient penalty.

    .. math:: W = \lambda \left(\sqrt{1 + 2 E / \lambda} - 1\right)

    for the gap :math:`E = \mathrm{mean} f(x) - \mathrm{mean} f(y)` and the penalty's weight :math:`\lambda`.

    Parameters
    ----------
    gap : float or Tensor
        E, at least 0, in units of the data.
    weight : float
        Weight of the penalty in the loss, above 0, as in :func:`gradient_penalty`.

    Returns
    -------
    float or Tensor
        W, at most the gap, in units of the data. *An estimate, not a bound*: it is too small if the critic
        fits badly, and may be too large or too small if the gradient norm varies.

    Raises
    ------
    InputError
        If the gap is negative or NaN, or the weight is not a finite number > 0.

    Notes
    -----
    With a penalty the optimal gradient norm is above 1. Assume that the critic fits perfectly: f = s f*, with
    f* the optimal potential, and one slope s along all transport rays, where the penalty is evaluated. Then
    it maximises

    .. math:: s W - \lambda (s - 1)^2, \quad\text{largest at}\quad s = 1 + W / (2 \lambda),

    and the gap is :math:`E = s W = W + W^2 / (2 \lambda)`. The formula is the root of that equation. As s is
    at least 1, it is the same for the one-sided penalty. Large distances overshoot most: at W = 10 lambda the
    gap is 6 W.

    Examples
    --------
    >>> from otdist.learn import corrected_gap
    >>> w, weight = 1.0, 0.1
    >>> gap = w + w**2 / (2 * weight)  # six times the distance
    >>> round(gap, 3), round(corrected_gap(gap, weight), 3)
    (6.0, 1.0)
    """
    check_number(weight, "weight", above=0, remedy="give the weight of the penalty")
    if not bool((gap >= 0).all() if isinstance(gap, Tensor) else gap >= 0):
        raise InputError(
            "gap", f"must be a number >= 0, got {gap!r}", "pass mean f(x) - mean f(y) of a trained critic"
        )
    root = torch.sqrt if isinstance(gap, Tensor) else math.sqrt
    # Not weight * (root - 1), which cancels if the gap is small against the weight.
    return 2 * gap / (1 + root(1 + 2 * gap / weight))

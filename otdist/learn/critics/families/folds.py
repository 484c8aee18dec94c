"""Critics whose heads have separate folds: a rotation, then cones with flat faces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from otdist.inputs.arguments import check_choice, check_number
from otdist.learn.critics.families.cones import refuse_second_derivative
from otdist.learn.critics.families.kmeans import require_points
from otdist.learn.critics.families.orthogonal import ROUND_UP, random_orthogonal, retract_orthogonal
from otdist.learn.modes import require_outside

if TYPE_CHECKING:
    from torch.autograd.function import FunctionCtx

FOLD_GROUP_SIZE = 4  # coordinates that are mixed and folded a second time together
CONE_SAMPLES = 20_000  # normal vectors from which the initial weights are computed
MIN_HEAD_WEIGHT_TRAINING = 1e-4  # softmax weight of a head below which its gradient is omitted in training
MIN_HEAD_WEIGHT = 1e-12  # the same in evaluation
BLOCK_POINTS = 256  # points in a block, whose scores stay in the CPU cache


class SoftMaxFolds(torch.autograd.Function):
    """``tau * logsumexp_k((s_k + o_k) / tau)`` of the scores of :class:`Folds`, with an explicit gradient.

    At a low temperature few heads have weight at a point; the backward pass recomputes the folds of
    those only.
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        u: Tensor,
        places: Tensor,
        weights: Tensor,
        offsets: Tensor,
        options: tuple[float, float],
    ) -> Tensor:
        """Return values (n,) at rotated u (n, D) for places and weights (K, D / 4, 4), offsets (K,)."""
        tau, min_weight = options
        scores = _head_scores(u, places, weights).add_(offsets).mul_(1.0 / tau)
        top, shares = scores.amax(1), torch.softmax(scores, 1)
        point, head = torch.nonzero(shares > min_weight, as_tuple=True)
        ctx.save_for_backward(u, places, weights, point, head, shares[point, head])
        return (top - shares.amax(1).log_()) * tau

    @staticmethod
    def backward(ctx: FunctionCtx, grad_output: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, None]:
        """Return the gradients in points, places, weights and offsets."""
        refuse_second_derivative()
        u, places, weights, point, head, shares = ctx.saved_tensors
        shares = shares * grad_output[point]
        differences = u[point].view(len(point), -1, FOLD_GROUP_SIZE) - places[head]
        mixed = _hadamard(differences.abs())
        signs = mixed.sign()
        signs[..., 0] = 1.0  # the sum of a group is not folded a second time
        weight_gradient = torch.zeros_like(weights).index_add_(0, head, mixed * signs * shares[:, None, None])
        gradient = _hadamard(weights[head] * signs) * differences.sign() * shares[:, None, None]
        place_gradient = torch.zeros_like(places).index_add_(0, head, gradient).neg_()
        point_gradient = torch.zeros_like(u).index_add_(0, point, gradient.flatten(1))
        offset_gradient = torch.zeros_like(places[:, 0, 0]).index_add_(0, head, shares)
        return point_gradient, place_gradient, weight_gradient, offset_gradient, None


class Folds(nn.Module):
    r"""Soft maximum or minimum of heads that fold the space twice, each at its own places.

    .. math:: f(z) = \tau \log \sum_k e^{(w_k^\top h_k(z) + o_k) / \tau}, \qquad
              h_k(z) = s(H\, |Q z - b_k|), \quad Q^\top Q = I, \quad |w_k| = 1

    where H mixes groups of four coordinates by a Hadamard matrix, and s folds all of a group but its sum.

    Parameters
    ----------
    start : Tensor, shape (K, d)
        Points that all folds of a head go through at first.
    orientation : {"max", "min"}
        "max": the apexes lie at mass of the first sample, "min": of the second one.
    tau : float
        Temperature, in units of the points.
    generator : torch.Generator, optional
        Random generator for the initial rotation Q.

    Notes
    -----
    Rotations, folds and weights of norm 1 keep the norm of the gradient. If d is a multiple of 4 the gradient
    of a head has norm 1 wherever it is defined; otherwise zero coordinates are appended, and its norm is at
    most 1. The Lipschitz constant is computed from Q and the weights in float64. A head starts as a cone with
    flat faces, whose slope along the ray from its apex is 0.9 on average. With a single fold the slope would
    be 0.8, and less with layers that all heads share, since a fold that suits one apex does not suit the
    others. A fold that no point reaches has no effect, so a head may also become flat.

    Cost: O(n K d) for n points, with a factor of about 6 for the folds.

    Examples
    --------
    >>> import torch
    >>> from otdist.learn.critics import Folds
    >>> critic = Folds(torch.zeros(2, 4), generator=torch.Generator().manual_seed(0))
    >>> round(critic.lipschitz(), 5), critic(torch.zeros(1, 4)).shape
    (1.0, torch.Size([1]))
    """

    weights: nn.ParameterList
    places: nn.Parameter
    slopes: nn.Parameter
    offsets: nn.Parameter
    tau: float

    def __init__(
        self,
        start: Tensor,
        *,
        orientation: Literal["max", "min"] = "max",
        tau: float = 0.02,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        require_points(start, "start")
        check_choice(orientation, "orientation", ("max", "min"))
        check_number(tau, "tau", above=0, remedy="give a temperature such as 0.02")
        heads, d = start.shape
        groups = -(-d // FOLD_GROUP_SIZE)
        turn = random_orthogonal(groups * FOLD_GROUP_SIZE, d, generator).to(start)
        self.weights = nn.ParameterList([nn.Parameter(turn)])
        self.places = nn.Parameter(
            (start.detach() @ turn.T).view(heads, groups, FOLD_GROUP_SIZE).contiguous()
        )
        # In units of the root mean square, so that one step size suits weights and places.
        self.slopes = nn.Parameter(
            (-_initial_weights(generator)).to(start).expand(heads, groups, FOLD_GROUP_SIZE).clone()
        )
        self.offsets = nn.Parameter(start.new_zeros(heads))
        self.orientation, self.tau = orientation, float(tau)

    def forward(self, z: Tensor) -> Tensor:
        """Return values (n,) at points z (n, d)."""
        require_outside("critic", "has an explicit gradient", "use backward(), or another family")
        turned = z @ self.weights[0].T
        slopes = self.slopes / (self.slopes.shape[1] * FOLD_GROUP_SIZE) ** 0.5
        options = self.tau, MIN_HEAD_WEIGHT_TRAINING if self.training else MIN_HEAD_WEIGHT
        is_max = self.orientation == "max"
        values: Tensor = SoftMaxFolds.apply(turned, self.places, slopes, self.offsets, options)
        return values if is_max else -values

    def lipschitz(self) -> float:
        """Return an upper bound of the Lipschitz constant, from singular values and norms in float64."""
        turn, slopes = self.weights[0].detach().cpu().double(), self.slopes.detach().cpu().double()
        norm = float(slopes.flatten(1).norm(dim=1).max()) / slopes[0].numel() ** 0.5
        return float(torch.linalg.matrix_norm(turn, 2)) * norm * ROUND_UP * ROUND_UP

    @torch.no_grad()
    def retract(self) -> None:
        """Retract the rotation to an orthogonal matrix, and normalise the weights."""
        turn = self.weights[0]
        turn.copy_(retract_orthogonal(turn))
        norms = self.slopes.flatten(1).norm(dim=1) / self.slopes[0].numel() ** 0.5
        self.slopes.div_(norms[:, None, None])


def _head_scores(u: Tensor, places: Tensor, weights: Tensor) -> Tensor:
    """Return scores (n, K) of the heads, computed group by group in reused buffers."""
    heads, groups = places.shape[:2]
    b, w = (part.view(heads, -1).T.contiguous() for part in (places, weights))
    scores = u.new_zeros(len(u), heads)
    size = BLOCK_POINTS if u.device.type == "cpu" else len(u)
    buffers = u.new_empty(6, min(size, len(u)), heads)
    for first in range(0, len(u), size):
        part, out = u[first : first + size], scores[first : first + size]
        arrays = [array[: len(out)] for array in buffers]
        for group in range(groups):
            _add_group(part, b, w, FOLD_GROUP_SIZE * group, arrays, out)
    return scores


def _add_group(
    u: Tensor, b: Tensor, w: Tensor, start_column: int, buffers: list[Tensor], out: Tensor
) -> None:
    """Add the contribution of one group of four, mixed as by :func:`_hadamard` but in place."""
    p, q, r, s, left, right = buffers
    for place, array in zip(range(start_column, start_column + FOLD_GROUP_SIZE), (p, q, r, s), strict=True):
        torch.sub(u[:, place, None], b[place], out=array).abs_()
    torch.add(p, q, out=left)
    torch.add(r, s, out=right)
    p.sub_(q)
    r.sub_(s)
    torch.add(left, right, out=q)
    left.sub_(right).abs_()
    torch.add(p, r, out=s).abs_()
    p.sub_(r).abs_()
    for place, array in zip(
        range(start_column, start_column + FOLD_GROUP_SIZE), (q, left, s, p), strict=True
    ):
        out.addcmul_(array, w[place], value=0.5)


def _hadamard(x: Tensor) -> Tensor:
    """Multiply the last axis, of length 4, by the orthogonal Hadamard matrix H / 2, its own inverse."""
    p, q, r, s = x.unbind(-1)
    sums = p + q, r + s
    gaps = p - q, r - s
    both = sums[0] + sums[1], sums[0] - sums[1], gaps[0] + gaps[1], gaps[0] - gaps[1]
    return torch.stack(both, -1) * 0.5


def _initial_weights(generator: torch.Generator | None) -> Tensor:
    """Return initial weights of a group, steepest along rays: the mean of normal vectors folded twice."""
    mixed = _hadamard(torch.randn(CONE_SAMPLES, FOLD_GROUP_SIZE, generator=generator).abs())
    mixed[:, 1:] = mixed[:, 1:].abs()
    mean = mixed.mean(0)
    return mean * (FOLD_GROUP_SIZE**0.5 / mean.norm())

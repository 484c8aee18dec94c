"""Critics with folds of their own for each head: one turn of space, then cones of flat faces."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from otdist.errors import InputError
from otdist.learn.critics.cones import require_once
from otdist.learn.critics.orthogonal import UP, drawn_orthogonal, retracted

GROUP = 4  # folds that are turned and folded once more together
NORMAL = 20_000  # normal vectors by which the first weights are found
SLIGHT = 1e-4  # weights of heads below which their gradient is left out, in training
FAINT = 1e-12  # and after it
BLOCK = 256  # points at a time: their scores stay in the cache of a processor


class Folded(torch.autograd.Function):
    """``tau * logsumexp_k((s_k + o_k) / tau)`` of the scores of :class:`Folds`, with a written gradient.

    At a low temperature few heads count at a point: only for those the folds are looked up again.
    """

    @staticmethod
    def forward(ctx: Any, u: Tensor, places: Tensor, weights: Tensor, offsets: Tensor, how: Any) -> Tensor:
        """Values (n,) at turned points u (n, D), from places and weights (K, D / 4, 4) and offsets (K,)."""
        tau, slight = how
        scores = _scores(u, places, weights).add_(offsets).mul_(1.0 / tau)
        top, shares = scores.amax(1), torch.softmax(scores, 1)
        point, head = torch.nonzero(shares > slight, as_tuple=True)
        ctx.save_for_backward(u, places, weights, point, head, shares[point, head])
        return (top - shares.amax(1).log_()) * tau

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, None]:
        """Gradients in points, places, weights and offsets."""
        require_once()
        u, places, weights, point, head, shares = ctx.saved_tensors
        shares = shares * upstream[point]
        apart = u[point].view(len(point), -1, GROUP) - places[head]
        once = _mixed(apart.abs())
        side = once.sign()
        side[..., 0] = 1.0  # the sum of a group is not folded again
        of_weights = torch.zeros_like(weights).index_add_(0, head, once * side * shares[:, None, None])
        slope = _mixed(weights[head] * side) * apart.sign() * shares[:, None, None]
        of_places = torch.zeros_like(places).index_add_(0, head, slope).neg_()
        of_points = torch.zeros_like(u).index_add_(0, point, slope.flatten(1))
        of_offsets = torch.zeros_like(places[:, 0, 0]).index_add_(0, head, shares)
        return of_points, of_places, of_weights, of_offsets, None


class Folds(nn.Module):
    r"""Soft maximum or minimum of heads that fold the space twice, each at places of its own.

    .. math:: f(z) = \tau \log \sum_k e^{(w_k^\top h_k(z) + o_k) / \tau}, \qquad
              h_k(z) = s(H\, |Q z - b_k|), \quad Q^\top Q = I, \quad |w_k| = 1

    where H mixes groups of four coordinates by a Hadamard matrix, and s folds all of a group but its sum.

    Parameters
    ----------
    start : Tensor, shape (K, d)
        Points that all folds of a head go through at first.
    poles : {"max", "min"}
        "max": mass of the first sample lies at the tips, "min": mass of the second one.
    tau : float
        Temperature, in units of the points.
    generator : torch.Generator, optional
        For the first turn Q.

    Notes
    -----
    All steps keep the norm of the gradient: turns, folds, and weights of norm 1, of either sign. With d a
    multiple of 4 the gradient of a head has norm 1 wherever it is defined; else coordinates that are 0 are
    added, and its norm is at most 1. The constant is computed from Q and the weights in float64. A head
    starts as a cone with flat faces, whose slope along the ray from its tip is 0.9 on average, where a fold
    without the second one gives 0.8 and layers that all heads share less: what folds for one tip is no fold
    for the other ones. Folds away from all points are none, so heads may become flat, too.

    Cost: O(n K d) for n points, with a factor of about 6 for the folds.

    Examples
    --------
    >>> import torch
    >>> from otdist.learn.critics import Folds
    >>> critic = Folds(torch.zeros(2, 4), generator=torch.Generator().manual_seed(0))
    >>> round(critic.lipschitz(), 5), critic(torch.zeros(1, 4)).shape
    (1.0, torch.Size([1]))
    """

    def __init__(
        self,
        start: Tensor,
        *,
        poles: Literal["max", "min"] = "max",
        tau: float = 0.02,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if start.ndim != 2 or len(start) < 1:
            raise InputError("start", f"has shape {tuple(start.shape)}", "give points of shape (K, d)")
        if poles not in ("max", "min"):
            raise InputError("poles", f"{poles!r} is unknown", "use 'max' or 'min'")
        if not tau > 0:
            raise InputError("tau", f"{tau!r} is not positive", "give a temperature above 0")
        heads, d = start.shape
        groups = -(-d // GROUP)
        turn = drawn_orthogonal(groups * GROUP, d, generator).to(start)
        self.weights = nn.ParameterList([nn.Parameter(turn)])
        self.places = nn.Parameter((start.detach() @ turn.T).view(heads, groups, GROUP).contiguous())
        # In units of its root mean square: steps of an optimiser then fit it as they fit places.
        self.slopes = nn.Parameter((-_cone(generator)).to(start).expand(heads, groups, GROUP).clone())
        self.offsets = nn.Parameter(start.new_zeros(heads))
        self.poles, self.tau = poles, float(tau)

    def forward(self, z: Tensor) -> Tensor:
        """Values (n,) at points z (n, d)."""
        turned = z @ self.weights[0].T
        slopes = self.slopes / (self.slopes.shape[1] * GROUP) ** 0.5
        how = self.tau, SLIGHT if self.training else FAINT
        high = self.poles == "max"
        values: Tensor = Folded.apply(turned, self.places, slopes, self.offsets, how)
        return values if high else -values

    def lipschitz(self) -> float:
        """Bound of the constant, from singular values and norms in float64, rounded up."""
        turn, slopes = self.weights[0].detach().double().cpu(), self.slopes.detach().double()
        norm = float(slopes.flatten(1).norm(dim=1).max()) / slopes[0].numel() ** 0.5
        return float(torch.linalg.matrix_norm(turn, 2)) * norm * UP * UP

    @torch.no_grad()
    def retract(self) -> None:
        """Bring the turn back to an orthogonal one, and weights to norm 1."""
        turn = self.weights[0]
        turn.copy_(retracted(turn))
        norms = self.slopes.flatten(1).norm(dim=1) / self.slopes[0].numel() ** 0.5
        self.slopes.div_(norms[:, None, None])


def _scores(u: Tensor, places: Tensor, weights: Tensor) -> Tensor:
    """Scores (n, K) of heads, a group at a time, with arrays that are used again."""
    heads, groups = places.shape[:2]
    b, w = (part.view(heads, -1).T.contiguous() for part in (places, weights))
    scores = u.new_zeros(len(u), heads)
    size = BLOCK if u.device.type == "cpu" else len(u)
    room = u.new_empty(6, min(size, len(u)), heads)
    for first in range(0, len(u), size):
        part, out = u[first : first + size], scores[first : first + size]
        arrays = [array[: len(out)] for array in room]
        for group in range(groups):
            _add_group(part, b, w, GROUP * group, arrays, out)
    return scores


def _add_group(u: Tensor, b: Tensor, w: Tensor, at: int, room: list[Tensor], out: Tensor) -> None:
    """Add what one group of four gives: mixed as :func:`_mixed` does, without a copy."""
    p, q, r, s, left, right = room
    for place, array in zip(range(at, at + GROUP), (p, q, r, s), strict=True):
        torch.sub(u[:, place, None], b[place], out=array).abs_()
    torch.add(p, q, out=left)
    torch.add(r, s, out=right)
    p.sub_(q)
    r.sub_(s)
    torch.add(left, right, out=q)
    left.sub_(right).abs_()
    torch.add(p, r, out=s).abs_()
    p.sub_(r).abs_()
    for place, array in zip(range(at, at + GROUP), (q, left, s, p), strict=True):
        out.addcmul_(array, w[place], value=0.5)


def _mixed(x: Tensor) -> Tensor:
    """Product with a Hadamard matrix over 2 along the last axis, of 4: orthogonal, and its own inverse."""
    p, q, r, s = x.unbind(-1)
    sums = p + q, r + s
    gaps = p - q, r - s
    both = sums[0] + sums[1], sums[0] - sums[1], gaps[0] + gaps[1], gaps[0] - gaps[1]
    return torch.stack(both, -1) * 0.5


def _cone(generator: torch.Generator | None) -> Tensor:
    """Weights of a group that rise fastest along rays: means of normal vectors, folded twice."""
    once = _mixed(torch.randn(NORMAL, GROUP, generator=generator).abs())
    once[:, 1:] = once[:, 1:].abs()
    mean = once.mean(0)
    return mean * (GROUP**0.5 / mean.norm())

"""Sinkhorn divergence of clouds whose rows are distributed over processes, by torch.distributed.

Each process stores all points and potentials, O((n + m) d) numbers, and computes the soft minima of its rows;
the potentials are gathered after each half of a sweep. All sums over points are taken over the gathered
vectors in the same order, so that all processes take the same decisions, and the value does not depend on
their number.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist
from torch import Tensor

from otdist.autograd import Reason, dot_with_gradient
from otdist.errors import InputError
from otdist.learn.modes import exclude_from_graph
from otdist.learn.sinkhorn.divergence import (
    combine_terms,
    diagnostics,
    resolve_settings,
    solve_term,
    warn_if_unconverged,
)
from otdist.learn.sinkhorn.entropic import EntropicBatch, Potentials, sum_points
from otdist.learn.sinkhorn.envelope import dual_gradients
from otdist.learn.sinkhorn.inputs import Clouds, Scale, read_clouds
from otdist.learn.sinkhorn.options import Options
from otdist.learn.sinkhorn.softmin import PairwiseSoftmin
from otdist.learn.sinkhorn.sums import EntropicSettings

if TYPE_CHECKING:
    from typing import Unpack

    from torch.distributed import ProcessGroup

    from otdist.learn.sinkhorn.options import DivergenceOptions

NO_SHARDED_SECOND_DERIVATIVES = Reason(
    "second derivatives of sharded_divergence are not computed",
    "use otdist.learn.divergence in one process, or call without create_graph=True",
)


@dataclass(frozen=True, eq=False)
class Shard:
    """Rows of a cloud on this process: the sizes of all shards, and the rank of this one."""

    sizes: tuple[int, ...]
    rank: int
    group: ProcessGroup | None

    def gather(self, rows: Tensor) -> Tensor:
        """Gather the rows of all processes, (B, n, ...), in the order of the ranks."""
        rows = rows.detach()
        longest = max(self.sizes)
        padded = rows.new_zeros(rows.shape[0], longest, *rows.shape[2:])
        padded[:, : rows.shape[1]] = rows
        parts = [torch.empty_like(padded) for _ in self.sizes]
        dist.all_gather(parts, padded, group=self.group)
        return torch.cat([part[:, :size] for part, size in zip(parts, self.sizes, strict=True)], 1)

    def local_rows(self, values: Tensor) -> Tensor:
        """Return the rows of this process."""
        start = sum(self.sizes[: self.rank])
        return values[:, start : start + self.sizes[self.rank]]


class ShardedSoftmin:
    """Soft minima of the rows of this process, gathered; see ``softmin.Softmin``."""

    left: PairwiseSoftmin
    right: PairwiseSoftmin

    def __init__(self, x: Tensor, y: Tensor, shards: tuple[Shard, Shard], options: Options) -> None:
        self.shards = shards
        local_x, local_y = shards[0].local_rows(x), shards[1].local_rows(y)
        self.left = PairwiseSoftmin(local_x, y, options.p, options.engine, options.block)
        # For a cloud against itself both halves are equal.
        self.right = (
            self.left if x is y else PairwiseSoftmin(local_y, x, options.p, options.engine, options.block)
        )

    def rows(self, h: Tensor, eps: Tensor) -> Tensor:
        """Return the soft minimum over y for each x."""
        return self.shards[0].gather(self.left.rows(h, eps))

    def cols(self, h: Tensor, eps: Tensor) -> Tensor:
        """Return the soft minimum over x for each y."""
        return self.shards[1].gather(self.right.rows(h, eps))

    def means(self, b: Tensor) -> Tensor:
        """Return ``sum_j b_j c_ij`` for each x."""
        return self.shards[0].gather(self.left.means(b))


@exclude_from_graph
def sharded_divergence(
    x: Tensor,
    y: Tensor,
    a: Tensor | None = None,
    b: Tensor | None = None,
    *,
    group: ProcessGroup | None = None,
    debias: bool = True,
    **options: Unpack[DivergenceOptions],
) -> tuple[Tensor, dict[str, Tensor]]:
    """Compute the Sinkhorn divergence of clouds whose rows are distributed over the processes of a group.

    It is the value of :func:`otdist.learn.divergence` for all rows together, on each process of the group;
    each calls this with its rows. Costs and options are described there.

    Parameters
    ----------
    x, y : Tensor, shape (n_r, d) and (m_r, d)
        Rows of this process; their numbers may differ between processes, and may be 0.
    a, b : Tensor, shape (n_r,) and (m_r,), optional
        Weights of these rows, on all processes or on none. Without ``reach`` they are divided by
        their sum over all processes.
    group : torch.distributed.ProcessGroup, optional
        Participating processes; None: all. Their devices must be of one kind.
    debias : bool
        Subtract the two terms of each cloud against itself.
    **options
        As in :func:`otdist.learn.divergence`: ``p``, ``eps``, ``eps_abs``, ``reach``, ``penalty``,
        ``n_iter``, ``tol``, ``engine``, ``block``.

    Returns
    -------
    value : Tensor, shape ()
        Divergence, the same on all processes. ``backward()`` on each process gives the gradient of the one
        value in the rows there. DistributedDataParallel averages gradients: multiply the value by the number
        of processes before. Second derivatives raise an InputError.
    info : dict
        As in :func:`otdist.learn.divergence`, with the potentials of all rows.

    Raises
    ------
    InputError
        On every process, if the input of any cannot be used, or torch.distributed is not initialised.

    Notes
    -----
    With R processes a sweep takes O(n m d / R) time and gathers n + m numbers. Memory is O(n d + m d) and a
    tile. The result is the same bit by bit for any number of processes if the sum of a row does not depend
    on the number of rows, as on CPUs with up to 16 columns; otherwise up to rounding.

    Examples
    --------
    Run by ``torchrun --standalone --nproc-per-node 2 script.py``; see the how-to page. In one process:

    >>> import torch, torch.distributed as dist
    >>> from otdist.learn import sharded_divergence
    >>> dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    >>> x, y = torch.tensor([[0.0], [1.0]]), torch.tensor([[3.0], [4.0]])
    >>> value, info = sharded_divergence(x, y, p=2)
    >>> round(value.item(), 4)
    9.0
    >>> dist.destroy_process_group()
    """
    if not (dist.is_available() and dist.is_initialized()):
        raise InputError(
            "group", "needs torch.distributed to be initialised", "start by torchrun, call init_process_group"
        )
    checked, clouds, shards, needs_weight_gradient = _read_together((x, y, a, b), options, group)
    with torch.autocast(clouds.x.device.type, enabled=False):
        value, info = _sharded_value(clouds, shards, checked, debias, needs_weight_gradient)
    if checked.tol is not None:
        warn_if_unconverged(info, checked)
    return value, info


def _read_together(
    inputs: tuple[Tensor, Tensor, Tensor | None, Tensor | None],
    options: DivergenceOptions,
    group: ProcessGroup | None,
) -> tuple[Options, Clouds, tuple[Shard, Shard], bool]:
    """Read the input of this process; all processes raise if the input of one cannot be used."""
    error: Exception | None = None
    device = inputs[0].device if isinstance(inputs[0], Tensor) else torch.device("cpu")
    status = torch.zeros(8, dtype=torch.int64, device=device)
    try:
        checked = Options(**options)
        clouds = read_clouds(*inputs, balanced=False, complete=False)
        if clouds.batched:
            raise InputError("x", "must have shape (n, d), got a batch", "solve the problems separately")
        weighted = [w is not None for w in inputs[2:]]
        needs_weight_gradient = any(w is not None and w.requires_grad for w in inputs[2:])
        shape = (clouds.x.shape[1], clouds.y.shape[1], clouds.x.shape[2], clouds.x.element_size())
        status = torch.tensor([*shape, *weighted, needs_weight_gradient, 1], dtype=torch.int64, device=device)
    except Exception as exception:  # raised below, after the other processes are informed
        error = exception
    table = [torch.empty_like(status) for _ in range(dist.get_world_size(group))]
    dist.all_gather(table, status, group=group)
    rows = [row.tolist() for row in table]
    if error is not None:
        raise error
    for rank, row in enumerate(rows):
        if not row[7]:
            raise InputError("x", f"cannot be used on process {rank}", "see the error there")
        for k, what in ((2, "columns"), (3, "bytes a number"), (4, "weights a"), (5, "weights b")):
            if row[k] != rows[0][k]:
                raise InputError(
                    "xxab"[k - 2],
                    f"must have the {what} of process 0, got others on process {rank}",
                    "give all processes the same",
                )
    for name, k in (("x", 0), ("y", 1)):
        if not sum(row[k] for row in rows):
            raise InputError(
                name, "must have rows, got none on any process", "give at least one of them a row"
            )
    this_rank = dist.get_rank(group)
    shards = tuple(Shard(tuple(row[k] for row in rows), this_rank, group) for k in range(2))
    # Equal weights are equal over all rows of all processes.
    a = clouds.a if inputs[2] is not None else torch.full_like(clouds.a, 1.0 / sum(shards[0].sizes))
    b = clouds.b if inputs[3] is not None else torch.full_like(clouds.b, 1.0 / sum(shards[1].sizes))
    return checked, replace(clouds, a=a, b=b), (shards[0], shards[1]), any(row[6] for row in rows)


def _sharded_value(
    clouds: Clouds,
    shards: tuple[Shard, Shard],
    options: Options,
    debias: bool,
    needs_weight_gradient: bool,
) -> tuple[Tensor, dict[str, Tensor]]:
    x, y = shards[0].gather(clouds.x), shards[1].gather(clouds.y)
    a, b = shards[0].gather(clouds.a), shards[1].gather(clouds.b)
    scale = Scale.of(x, y, options.p)
    x, y = scale.transform(x), scale.transform(y)
    masses = (a.sum(-1, keepdim=True), b.sum(-1, keepdim=True)) if options.reach is None else (1.0, 1.0)
    a, b = a / masses[0], b / masses[1]
    softmin = ShardedSoftmin(x, y, shards, options)
    initial_eps, settings = resolve_settings(softmin.means(b), a, b, scale, options)
    potentials: dict[str, Potentials] = {}
    for name, points, w, shard in (("xx", x, a, shards[0]), ("yy", y, b, shards[1])) if debias else ():
        term_softmin = ShardedSoftmin(points, points, (shard, shard), options)
        potentials[name] = solve_term(
            name,
            EntropicBatch(term_softmin, w, w, settings.eps, initial_eps, settings.marginals),
            options,
            potentials,
        )
    potentials["xy"] = solve_term(
        "xy",
        EntropicBatch(softmin, a, b, settings.eps, initial_eps, settings.marginals),
        options,
        potentials,
    )
    value = combine_terms({name: p.dual for name, p in potentials.items()}, a, b, settings.eps)
    if torch.is_grad_enabled():
        left = _Side(settings, shards[0], x, a, potentials["xy"].f, potentials.get("xx"))
        right = _Side(settings, shards[1], y, b, potentials["xy"].g, potentials.get("yy"))
        for side, other, points, w, mass in (
            (left, right, clouds.x, clouds.a, masses[0]),
            (right, left, clouds.y, clouds.b, masses[1]),
        ):
            if points.requires_grad or needs_weight_gradient:
                point_gradient, weight_gradient = side.dual_gradients(other, needs_weight_gradient)
                linear_term = dot_with_gradient(
                    NO_SHARDED_SECOND_DERIVATIVES, point_gradient, scale.transform(points)
                )
                linear_term = linear_term + dot_with_gradient(
                    NO_SHARDED_SECOND_DERIVATIVES, weight_gradient, w / mass
                )
                value = value + (linear_term - linear_term.detach())
    return scale.to_cost_units(value).to(x.dtype)[0], diagnostics(potentials, scale, settings, options, False)


@dataclass(frozen=True, eq=False)
class _Side:
    """One gathered cloud with its potentials."""

    settings: EntropicSettings
    shard: Shard
    points: Tensor
    weights: Tensor
    potential: Tensor
    self_potentials: Potentials | None

    @torch.no_grad()
    def dual_gradients(self, other: _Side, of_weights: bool) -> tuple[Tensor, Tensor]:
        """Compute the gradients in the rows of this process and in their shares of the mass."""
        settings, local_rows = self.settings, self.shard.local_rows
        local_points, share = local_rows(self.points), local_rows(self.weights)
        x_gradient, a_gradient = dual_gradients(
            settings,
            local_points,
            other.points,
            (share, other.weights),
            local_rows(self.potential),
            other.potential,
        )
        if self.self_potentials is not None:
            f, g = self.self_potentials.f, self.self_potentials.g
            for left, right in ((f, g), (g, f)):  # the cloud takes both places, and the term counts half
                self_x, self_a = dual_gradients(
                    settings, local_points, self.points, (share, self.weights), local_rows(left), right
                )
                x_gradient, a_gradient = x_gradient - self_x / 2, a_gradient - self_a / 2
            if settings.marginals.rho is not None:
                a_gradient = a_gradient + settings.eps * (
                    sum_points(self.weights) - sum_points(other.weights)
                ).to(a_gradient.dtype)
        if of_weights and settings.marginals.rho is None:
            # Shares sum to 1.
            a_gradient = a_gradient - sum_points(self.weights * self.shard.gather(a_gradient)).to(
                a_gradient.dtype
            )
        return x_gradient, a_gradient

"""The Sinkhorn divergence of clouds whose rows lie on several processes, by torch.distributed.

Every process holds all points and all potentials, O((n + m) d) numbers, and computes the soft minima of its
own rows; the potentials are gathered after each half of a sweep. All sums over points are taken from the
gathered vectors, in the same order everywhere: so all processes take the same decisions, and the value does
not depend on their number.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from otdist.errors import InputError
from otdist.learn.divergence import combined, report, setting, solved, warn_unfinished
from otdist.learn.entropic import Potentials, Task, total
from otdist.learn.envelope import slopes
from otdist.learn.inputs import Clouds, Scale, read_clouds
from otdist.learn.options import Options
from otdist.learn.softmin import Pair
from otdist.learn.sums import Law


@dataclass(frozen=True, eq=False)
class Shard:
    """Which rows of a cloud lie here: the sizes of all shards, and the rank of this one."""

    sizes: tuple[int, ...]
    rank: int
    group: Any

    def gather(self, rows: Tensor) -> Tensor:
        """Rows of all processes, (B, n, ...), from those of this one, in the order of the ranks."""
        rows = rows.detach()
        longest = max(self.sizes)
        padded = rows.new_zeros(rows.shape[0], longest, *rows.shape[2:])
        padded[:, : rows.shape[1]] = rows
        parts = [torch.empty_like(padded) for _ in self.sizes]
        dist.all_gather(parts, padded, group=self.group)
        return torch.cat([part[:, :size] for part, size in zip(parts, self.sizes, strict=True)], 1)

    def own(self, values: Tensor) -> Tensor:
        """Rows of this process."""
        start = sum(self.sizes[: self.rank])
        return values[:, start : start + self.sizes[self.rank]]


class ShardedPair:
    """Passes over the rows of this process, gathered; see :class:`otdist.learn.softmin.Passes`."""

    def __init__(self, x: Tensor, y: Tensor, shards: tuple[Shard, Shard], choice: Options) -> None:
        self.shards = shards
        own_x, own_y = shards[0].own(x), shards[1].own(y)
        self.left = Pair(own_x, y, choice.p, choice.engine, choice.block)
        # For one cloud against itself both halves are the same.
        self.right = self.left if x is y else Pair(own_y, x, choice.p, choice.engine, choice.block)

    def rows(self, h: Tensor, eps: Tensor) -> Tensor:
        """Soft minimum over y for each x."""
        return self.shards[0].gather(self.left.rows(h, eps))

    def cols(self, h: Tensor, eps: Tensor) -> Tensor:
        """Soft minimum over x for each y."""
        return self.shards[1].gather(self.right.rows(h, eps))

    def means(self, b: Tensor) -> Tensor:
        """``sum_j b_j c_ij`` for each x."""
        return self.shards[0].gather(self.left.means(b))


@torch.compiler.disable
def sharded_divergence(
    x: Tensor,
    y: Tensor,
    a: Tensor | None = None,
    b: Tensor | None = None,
    *,
    group: Any = None,
    debias: bool = True,
    **options: Any,
) -> tuple[Tensor, dict[str, Any]]:
    """Sinkhorn divergence of clouds whose rows are spread over the processes of a group.

    The value of :func:`otdist.learn.divergence` for all rows together, on every process of the group, each
    of which calls this with its own rows. Costs and options are described there.

    Parameters
    ----------
    x, y : Tensor, shape (n_r, d) and (m_r, d)
        Rows of this process, at least one of each; their numbers may differ between processes.
    a, b : Tensor, shape (n_r,) and (m_r,), optional
        Weights of these rows; all or none of the processes pass them. Without ``reach`` they are divided by
        their sum over all processes.
    group : torch.distributed.ProcessGroup, optional
        Processes that take part; None takes all. Their devices must be of one kind.
    debias : bool
        Subtract the two terms of each cloud against itself.
    **options
        As in :func:`otdist.learn.divergence`: ``p``, ``eps``, ``eps_abs``, ``reach``, ``penalty``,
        ``n_iter``, ``tol``, ``engine``, ``block``.

    Returns
    -------
    value : Tensor, shape ()
        The same on all processes. ``backward()`` on every process gives the gradient of the one value with
        respect to the rows there. DistributedDataParallel averages gradients: multiply the value by the
        number of processes before. There are no second derivatives.
    info : dict
        As in :func:`otdist.learn.divergence`, with the potentials of all rows.

    Raises
    ------
    InputError
        On every process, if the input of any cannot be used, or torch.distributed is not initialised.

    Notes
    -----
    With R processes a sweep takes O(n m d / R) time and gathers n + m numbers. Memory is O(n d + m d) and a
    tile. One process and several give the same bits where the sum of a row does not depend on how many rows
    there are, as on CPUs with up to 16 columns; else the same up to rounding.

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
            "group", "torch.distributed is not initialised", "start by torchrun and call init_process_group"
        )
    choice, clouds, shards, wanted = _agreed((x, y, a, b), options, group)
    with torch.autocast(clouds.x.device.type, enabled=False):
        value, info = _of_shards(clouds, shards, choice, debias, wanted)
    if choice.tol is not None:
        warn_unfinished(info, choice)
    return value, info


def _agreed(
    given: tuple[Any, Any, Any, Any], options: dict[str, Any], group: Any
) -> tuple[Options, Clouds, tuple[Shard, Shard], bool]:
    """Input of this process, once all have said that theirs can be used; else all raise."""
    error: Exception | None = None
    device = given[0].device if isinstance(given[0], Tensor) else torch.device("cpu")
    says = torch.zeros(7, dtype=torch.int64, device=device)
    try:
        choice = Options(**options)
        clouds = read_clouds(*given, balanced=False, whole=False)
        if clouds.batched:
            raise InputError("x", "is a batch", "pass points of shape (n, d), or solve problems apart")
        weighted = [w is not None for w in given[2:]]
        wanted = any(w is not None and w.requires_grad for w in given[2:])
        shape = (clouds.x.shape[1], clouds.y.shape[1], clouds.x.shape[2], clouds.x.element_size())
        says = torch.tensor([*shape, *weighted, wanted], dtype=torch.int64, device=device)
    except Exception as found:  # raised below, when the other processes know
        error = found
    table = [torch.empty_like(says) for _ in range(dist.get_world_size(group))]
    dist.all_gather(table, says, group=group)
    rows = [row.tolist() for row in table]
    if error is not None:
        raise error
    for rank, row in enumerate(rows):
        if row[0] == 0:
            raise InputError("x", f"cannot be used on process {rank}", "see the error there")
        for k, what in ((2, "columns"), (3, "bytes a number"), (4, "weights a"), (5, "weights b")):
            if row[k] != rows[0][k]:
                raise InputError(
                    "xxab"[k - 2], f"has other {what} on process {rank} than on 0", "give all processes alike"
                )
    here = dist.get_rank(group)
    shards = tuple(Shard(tuple(row[k] for row in rows), here, group) for k in range(2))
    # Equal weights are equal over all processes, whose numbers of rows may differ.
    a = clouds.a if given[2] is not None else torch.full_like(clouds.a, 1.0 / sum(shards[0].sizes))
    b = clouds.b if given[3] is not None else torch.full_like(clouds.b, 1.0 / sum(shards[1].sizes))
    return choice, replace(clouds, a=a, b=b), (shards[0], shards[1]), any(row[6] for row in rows)


def _of_shards(
    clouds: Clouds, shards: tuple[Shard, Shard], choice: Options, debias: bool, wanted: bool
) -> tuple[Tensor, dict[str, Any]]:
    x, y = shards[0].gather(clouds.x), shards[1].gather(clouds.y)
    a, b = shards[0].gather(clouds.a), shards[1].gather(clouds.b)
    scale = Scale.of(x, y, choice.p)
    x, y = scale.place(x), scale.place(y)
    masses = (a.sum(-1, keepdim=True), b.sum(-1, keepdim=True)) if choice.reach is None else (1.0, 1.0)
    a, b = a / masses[0], b / masses[1]
    passes = ShardedPair(x, y, shards, choice)
    start, law = setting(passes.means(b), a, b, scale, choice)
    found: dict[str, Potentials] = {}
    for name, points, w, shard in (("xx", x, a, shards[0]), ("yy", y, b, shards[1])) if debias else ():
        own = ShardedPair(points, points, (shard, shard), choice)
        found[name] = solved(name, Task(own, w, w, law.eps, start, law.marginals), choice, found)
    found["xy"] = solved("xy", Task(passes, a, b, law.eps, start, law.marginals), choice, found)
    value = combined({name: p.dual for name, p in found.items()}, a, b, law.eps)
    if torch.is_grad_enabled():
        left = _Side(law, shards[0], x, a, found["xy"].f, found.get("xx"))
        right = _Side(law, shards[1], y, b, found["xy"].g, found.get("yy"))
        for side, other, points, w, mass in (
            (left, right, clouds.x, clouds.a, masses[0]),
            (right, left, clouds.y, clouds.b, masses[1]),
        ):
            if points.requires_grad or wanted:
                of_points, of_weights = side.slopes(other, wanted)
                change = (of_points * scale.place(points)).sum() + (of_weights * w / mass).sum()
                value = value + (change - change.detach())
    return scale.cost(value).to(x.dtype)[0], report(found, scale, law, choice, False)


@dataclass(frozen=True, eq=False)
class _Side:
    """One cloud, all of it, and what was found for it."""

    law: Law
    shard: Shard
    points: Tensor
    weights: Tensor
    potential: Tensor
    alone: Potentials | None

    @torch.no_grad()
    def slopes(self, other: _Side, of_weights: bool) -> tuple[Tensor, Tensor]:
        """Derivatives of the divergence in the rows of this process, and in their shares of the mass."""
        law, own = self.law, self.shard.own
        mine, share = own(self.points), own(self.weights)
        of_x, of_a = slopes(
            law, mine, other.points, (share, other.weights), own(self.potential), other.potential
        )
        if self.alone is not None:
            f, g = self.alone.f, self.alone.g
            for left, right in ((f, g), (g, f)):  # the cloud stands in both places, and the term counts half
                own_x, own_a = slopes(law, mine, self.points, (share, self.weights), own(left), right)
                of_x, of_a = of_x - own_x / 2, of_a - own_a / 2
            if law.marginals.rho is not None:
                of_a = of_a + law.eps * (total(self.weights) - total(other.weights)).to(of_a.dtype)
        if of_weights and law.marginals.rho is None:
            # Shares sum to 1.
            of_a = of_a - total(self.weights * self.shard.gather(of_a)).to(of_a.dtype)
        return of_x, of_a

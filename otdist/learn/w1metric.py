"""W1 as a metric of torchmetrics, accumulated over batches and processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from otdist.api.distance import w1
from otdist.errors import InputError
from otdist.gradient import on_device
from otdist.inputs.arguments import check_integer
from otdist.learn.evaluation.inputs import read_sample

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

try:
    from torchmetrics import Metric
    from torchmetrics.utilities import dim_zero_cat
    from torchmetrics.utilities.distributed import gather_all_tensors
except ImportError as error:
    message = 'otdist.learn.w1metric needs torchmetrics: pip install "otdist[torchmetrics]"'
    raise ImportError(message) from error


class W1Metric(Metric):
    """W1 between all fake and all real rows, as a metric of torchmetrics.

    ``update(fake, real)`` stores the rows, ``compute()`` solves once. It is not a mean of batch values, which
    would be too large: W1 between small batches is mostly noise.

    Parameters
    ----------
    max_rows : int, optional
        Largest number of rows stored per sample and process, the first ones; None: all. The time of
        :meth:`compute` grows faster than their square.
    solver : dict, optional
        Options of :func:`otdist.w1`: ``{"tol": 0.01}``, ``{"metric": "cityblock"}``.
    **kwargs
        Options of ``torchmetrics.Metric``.

    Attributes
    ----------
    interval : tuple of float, or None
        Proved interval of the last value.

    Raises
    ------
    InputError
        In ``update`` if rows are labels, columns differ or a value is not finite; in ``compute`` if there are
        no rows, or columns differ between processes.

    Notes
    -----
    The value is a float64 scalar on the metric's device (float32 on MPS, which has no float64), in the units
    of the rows; it has no gradient (see :class:`otdist.learn.W1Loss`). Rows may have any shape
    (n, ...). Rows of all processes are concatenated; their numbers of updates may differ or be 0.
    Lower is better, but the value is not 0 for a perfect generator: :func:`otdist.stats.noise_floor`.

    Examples
    --------
    >>> import torch
    >>> from otdist.learn.w1metric import W1Metric
    >>> metric = W1Metric()
    >>> for batch in torch.arange(6.0).reshape(3, 2, 1):
    ...     metric.update(batch + 0.5, batch)
    >>> round(float(metric.compute()), 6), metric.interval[0] > 0.499
    (0.5, True)
    """

    max_rows: int | None
    solver: dict[str, Any]

    is_differentiable = False
    higher_is_better = False
    full_state_update = False
    plot_lower_bound: ClassVar[float] = 0.0
    fake: list[Tensor]
    real: list[Tensor]

    def __init__(
        self, max_rows: int | None = None, solver: dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.max_rows = None if max_rows is None else check_integer(max_rows, "max_rows")
        self.solver = dict(solver or {})
        self.interval: tuple[float, float] | None = None
        self.add_state("fake", default=[], dist_reduce_fx="cat")
        self.add_state("real", default=[], dist_reduce_fx="cat")

    def update(self, fake: Tensor, real: Tensor) -> None:
        """Store two batches, (n, ...) and (m, ...)."""
        new = {
            name: torch.as_tensor(read_sample(rows, name)) for name, rows in (("fake", fake), ("real", real))
        }
        for name, rows in new.items():
            rows_kept = [part for part in (*self.real, *self.fake, new["fake"]) if len(part)]
            if rows_kept[0].shape[1] != rows.shape[1]:
                problem = f"must have {rows_kept[0].shape[1]} columns like the others, got {rows.shape[1]}"
                raise InputError(name, problem, "give all batches in the same columns")
        for name, rows in new.items():
            rows_kept = getattr(self, name)
            n_free = len(rows) if self.max_rows is None else self.max_rows - sum(map(len, rows_kept))
            if n_free > 0:
                rows_kept.append(on_device(rows[:n_free], self.device))

    def compute(self) -> Tensor:
        """Compute W1 of all stored rows, shape ()."""
        if not (len(self.fake) and len(self.real)):
            raise InputError("fake", "and real must have rows", "call update(fake, real) first")
        fake, real = (dim_zero_cat(rows).cpu().double().numpy() for rows in (self.fake, self.real))
        # With weights a single row is one point, not a sample of one variable.
        weights = [torch.ones(len(rows)).numpy() for rows in (fake, real)]
        result = w1(fake, real, *weights, **self.solver)
        self.interval = result.lower, result.upper
        return on_device(torch.tensor(float(result), dtype=torch.float64), self.device)

    def _sync_dist(
        self,
        dist_sync_fn: Callable[..., list[Tensor]] = gather_all_tensors,
        process_group: ProcessGroup | None = None,
    ) -> None:
        """Gather the rows of all processes, some of which may have none.

        The placeholder of torchmetrics for no rows has no columns, and does not match the others.
        """
        columns = torch.tensor([self.fake[0].shape[1] if len(self.fake) else 0], device=self.device)
        columns_by_rank = [
            int(count) for count in dist_sync_fn(columns, group=process_group or self.process_group)
        ]
        distinct = sorted(set(columns_by_rank) - {0})
        if len(distinct) > 1:
            first, second = (columns_by_rank.index(count) for count in distinct[:2])
            problem = (
                f"must have {distinct[0]} columns like process {first}, got {distinct[1]} on process {second}"
            )
            raise InputError("fake", problem, "give all processes the same columns")
        if distinct and not len(self.fake):
            no_rows = on_device(torch.zeros(0, distinct[0], dtype=torch.float64), self.device)
            self.fake, self.real = [no_rows], [no_rows]
        super()._sync_dist(dist_sync_fn, process_group)

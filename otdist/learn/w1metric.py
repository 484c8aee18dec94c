"""W1 as a metric of torchmetrics: gathered over batches and processes."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

import otdist
from otdist.errors import InputError
from otdist.learn.evaluation.inputs import sample

try:
    from torchmetrics import Metric
    from torchmetrics.utilities import dim_zero_cat
except ImportError as error:
    message = 'otdist.learn.w1metric needs torchmetrics: pip install "otdist[torchmetrics]"'
    raise ImportError(message) from error


class W1Metric(Metric):
    """W1 between all fakes and all real rows given: a metric of torchmetrics.

    ``update(fake, real)`` keeps the rows of both, ``compute()`` solves once. It is no mean of batch values,
    which would be too large: W1 between small batches is mostly noise.

    Parameters
    ----------
    max_rows : int, optional
        Rows kept a side and process, the first ones; None: all. The time of :meth:`compute` grows faster than
        their square.
    solver : dict, optional
        Options of :func:`otdist.w1`: ``{"tol": 0.01}``, ``{"metric": "cityblock"}``.
    **kwargs
        Of ``torchmetrics.Metric``.

    Attributes
    ----------
    interval : tuple of float, or None
        Proved lower and upper end of the last value.

    Raises
    ------
    InputError
        In ``update`` if labels are given for rows, columns differ or a value is not finite; in ``compute`` if
        there are no rows.

    Notes
    -----
    The value is a float64 scalar on the metric's device, in the units of the rows; it carries no gradient
    (see :class:`otdist.learn.W1Loss`). Rows may have any shape (n, ...). Between processes rows are
    concatenated. Lower is better, and not 0 for a perfect generator: :func:`otdist.stats.noise_floor`.

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
        if max_rows is not None and (
            not isinstance(max_rows, int) or isinstance(max_rows, bool) or max_rows < 1
        ):
            raise InputError(
                "max_rows", f"{max_rows!r} is no number of rows", "give a whole number from 1 on"
            )
        self.max_rows, self.solver = max_rows, dict(solver or {})
        self.interval: tuple[float, float] | None = None
        self.add_state("fake", default=[], dist_reduce_fx="cat")
        self.add_state("real", default=[], dist_reduce_fx="cat")

    def update(self, fake: Tensor, real: Tensor) -> None:
        """Keep two batches, (n, ...) and (m, ...), of any two sizes."""
        new = {name: torch.as_tensor(sample(rows, name)) for name, rows in (("fake", fake), ("real", real))}
        for name, rows in new.items():
            kept = [part for part in (*self.real, *self.fake, new["fake"]) if len(part)]
            if kept[0].shape[1] != rows.shape[1]:
                what = f"has {rows.shape[1]} columns, others {kept[0].shape[1]}"
                raise InputError(name, what, "give all batches in the same columns")
        for name, rows in new.items():
            kept = getattr(self, name)
            room = len(rows) if self.max_rows is None else self.max_rows - sum(map(len, kept))
            if room > 0:
                kept.append(rows[:room].to(self.device))

    def compute(self) -> Tensor:
        """W1 of all rows kept, shape ()."""
        if not (len(self.fake) and len(self.real)):
            raise InputError("fake", "and real have no rows yet", "call update(fake, real) first")
        fake, real = (dim_zero_cat(rows).cpu().numpy() for rows in (self.fake, self.real))
        # Weights say that a single row is one point, not a sample of one variable.
        ones = [torch.ones(len(rows)).numpy() for rows in (fake, real)]
        result = otdist.w1(fake, real, *ones, **self.solver)
        self.interval = result.lower, result.upper
        return torch.tensor(float(result), dtype=torch.float64, device=self.device)

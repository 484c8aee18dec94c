"""Type aliases of arrays and options, written once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from otdist.metrics.base import Metric

Array = NDArray[np.float64]
Index = NDArray[np.intp]
Mask = NDArray[np.bool_]
Integers = NDArray[np.int64]
Floats = NDArray[Any]  # float64 or float32
Cells = tuple[Index, Index, Array]  # rows, columns and masses of a plan

GroundMetric: TypeAlias = "str | Metric | Callable[..., float]"
OnFail = Literal["warn", "raise"]
NanPolicy = Literal["raise", "omit", "propagate"]
MassRule = Literal["normalize", "strict"]
OnInterval = Callable[[float, float, float], None]  # called with lower bound, upper bound and seconds


class Inputs(NamedTuple):
    """Points and weights of both samples as the caller passed them: gradients are with respect to these."""

    x: Any
    y: Any
    a: Any = None
    b: Any = None

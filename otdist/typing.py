"""Type aliases of arrays and options, written once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from otdist.metrics.base import Metric

Array = NDArray[np.float64]
Index = NDArray[np.intp]
Mask = NDArray[np.bool_]
Integers = NDArray[np.int64]
Floats = NDArray[Any]  # float64 or float32

GroundMetric: TypeAlias = "str | Metric | Callable[..., float]"
OnFail = Literal["warn", "raise"]
NanPolicy = Literal["raise", "omit", "propagate"]
MassRule = Literal["normalize", "strict"]

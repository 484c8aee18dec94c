"""Type aliases of arrays and options, written once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, ValuesView
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, TypeAlias, TypedDict, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from types import ModuleType

    import pandas
    import polars
    from scipy.stats._distn_infrastructure import rv_frozen
    from torch import Tensor

    from otdist.metrics.base import Metric
    from otdist.solvers.solve import Solver

    class ArrowStream(Protocol):
        """A table or column with the Arrow stream interface, such as one of polars, pyarrow or duckdb."""

        def __arrow_c_stream__(self, requested_schema: object = None, /) -> object:
            """Export as a capsule."""


Array = NDArray[np.float64]
Index = NDArray[np.intp]
Mask = NDArray[np.bool_]
Integers = NDArray[np.int64]
Floats = NDArray[np.floating]  # float64 or float32
Cells = tuple[Index, Index, Array]  # rows, columns and masses of a plan

FloatOrArray = TypeVar("FloatOrArray", float, Array)


if TYPE_CHECKING:

    class TensorInput(Protocol):
        """A torch tensor, which has a gradient."""

        @property
        def requires_grad(self) -> bool:
            """Whether derivatives are recorded."""

        def detach(self) -> object:
            """Return the numbers without their derivatives."""


ArrayInput: TypeAlias = "ArrayLike | Tensor | ArrowStream | Iterator[float] | ValuesView[float]"
"""Containers of numbers or times that are read as an array.

NumPy arrays, numbers and nested lists, torch tensors, tables and columns of pandas, polars and pyarrow, and
whatever has ``__array__``, ``__dlpack__`` or the Arrow stream interface; quantities of astropy, pint and
unyt; iterators.
"""

ArrayOrTensor: TypeAlias = "Array | Tensor"
PairCosts: TypeAlias = "Callable[[ModuleType, ArrayOrTensor, ArrayOrTensor], ArrayOrTensor]"
"""Costs row by row, from numpy or torch and the points of both sides."""

Labels: TypeAlias = "pandas.Index | None"
"""Labels of an axis, of pandas or with the same methods."""

ColumnInput: TypeAlias = "ArrayInput | Sequence[object]"
TableInput: TypeAlias = "ArrayInput | DataFrame | Mapping[str, ColumnInput] | Sequence[Mapping[str, object]]"
"""Tables whose columns are compared: of any library that narwhals reads, arrays, dicts of columns, and lists
of dicts."""

RowInput: TypeAlias = "str | tuple[ArrayInput, ArrayInput]"
"""An entry for each row of two tables: the name of a column of both, or a pair of arrays."""

Frozen: TypeAlias = "rv_frozen"
"""A frozen distribution of scipy.stats, such as ``scipy.stats.norm(0, 1)``."""

Distribution: TypeAlias = "Frozen | ArrayInput | tuple[ArrayInput, ArrayInput]"
"""A frozen distribution, samples, or (samples, weights)."""

FloatType: TypeAlias = "np.dtype[np.float64] | np.dtype[np.float32]"

DataFrame: TypeAlias = "pandas.DataFrame | polars.DataFrame"
Options: TypeAlias = "dict[str, float | str]"
"""Options of a method of a benchmark, by name."""

Json: TypeAlias = "str | int | float | bool | Mapping[str, Json] | Sequence[Json] | None"
Answer: TypeAlias = "dict[str, Json | Callable[[], float]]"
"""Entries of a row that a method of a benchmark returns; functions are called after the measurement."""

if TYPE_CHECKING:

    class MethodOptions(TypedDict, total=False):
        """Options of the methods of :func:`otdist.w1`; each method has some of them."""

        max_bytes: int | None
        max_iter: int | None
        eps: float | None
        max_residual: float
        on_interval: OnInterval | None
        family: str | Sequence[str]
        anchors: int
        batch: int
        steps: int | None
        rng: int | np.random.Generator | None
        device: str
        precision: str
        level: float

    class CostOptions(MethodOptions, total=False):
        """Keyword arguments of :func:`otdist.emd`."""

        method: str | Solver
        max_seconds: float | None
        progress: bool
        mass: MassRule
        on_fail: OnFail

    class DistanceOptions(CostOptions, total=False):
        """Keyword arguments of :func:`otdist.w1`."""

        metric: GroundMetric
        tol: float
        nan_policy: NanPolicy

    class OrderOptions(DistanceOptions, total=False):
        """Keyword arguments of :func:`otdist.wasserstein`."""

        p: float


GroundMetric: TypeAlias = "str | Metric | Callable[..., float]"
OnFail = Literal["warn", "raise"]
NanPolicy = Literal["raise", "omit", "propagate"]
MassRule = Literal["normalize", "strict"]
OnInterval = Callable[[float, float, float], None]  # called with lower bound, upper bound and seconds


class Inputs(NamedTuple):
    """Points and weights of both samples as the caller passed them: gradients are with respect to these."""

    x: object
    y: object
    a: object = None
    b: object = None

"""Classes of rows or images: labels that a generator takes as an input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from otdist.errors import InputError
from otdist.learn.wgan.columns.codecs import read_codec
from otdist.learn.wgan.columns.containers import Container, open_container
from otdist.learn.wgan.columns.labels import LabelCodec
from otdist.tables.column import LABEL_KINDS, Column
from otdist.tables.series import read_values
from otdist.typing import Array, ColumnInput, Index

if TYPE_CHECKING:
    import pyarrow as pa

    from otdist.learn.wgan.columns.containers import Take
    from otdist.typing import Json

MIN_CLASS_ROWS = 2  # one to train on
LABEL_DISTANCE = 1.0  # distance of two classes, in units of the root mean square distance of two points


@dataclass(frozen=True, eq=False)
class Classes:
    """Classes of the rows.

    Attributes
    ----------
    codec : LabelCodec
        The labels, in order.
    container : Container or None
        Kind of the labels that the caller gave; None for a column of the table.
    position : int or None
        Index of the column in the table; None for labels beside the data.
    shares : ndarray, shape (k,)
        Shares of the classes among training rows.
    scale : float
        Numbers that stand for a class on the scale of the networks.
    """

    codec: LabelCodec
    container: Container | None
    position: int | None
    shares: Array
    scale: float

    @property
    def count(self) -> int:
        """Number of classes."""
        return len(self.codec.labels)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the numbers that stand for classes."""
        return tuple(f"{self.codec.name}={label}" for label in self.codec.labels)

    def read(self, y: object, n: int) -> Index:
        """Return the class of each of n rows from one label or n labels.

        Raises
        ------
        InputError
            If labels are no classes of the run, or their number is not n.
        """
        if isinstance(y, str | bytes) or np.ndim(np.asarray(y, dtype=object)) == 0:
            y = np.full(n, y, dtype=object) if isinstance(y, str | bytes) else np.full(n, y)
        column = read_values("y", y, "y")
        if column is None or len(column.values) != n:
            problem = f"must have n={n} labels, got {0 if column is None else len(column.values)}"
            raise InputError("y", problem, "give one label for all rows, or one a row")
        return self.codec.to_codes(column, "y")

    def draw(self, n: int, rng: np.random.Generator) -> Index:
        """Draw classes with their shares among training rows."""
        return rng.choice(self.count, size=n, p=self.shares)

    def decode(self, codes: Index) -> object:
        """Return labels of the kind that the caller gave."""
        import pyarrow as pa

        values = self.codec.from_codes(codes)
        if self.container is None or self.container.kind == "records":
            return np.asarray(values.to_pandas())
        table = pa.table({self.codec.name: values})
        out = self.container.restore(table)
        return next(iter(out.values())) if isinstance(out, dict) else out

    def to_json(self) -> dict[str, Json]:
        """Return the fields for JSON."""
        return {
            "codec": self.codec.to_json(),
            "container": None if self.container is None else self.container.to_json(),
            "position": self.position,
            "shares": self.shares.tolist(),
            "scale": self.scale,
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Classes:
        """Read :meth:`to_json`."""
        codec, container = read_codec(record["codec"]), record["container"]
        assert isinstance(codec, LabelCodec)
        return cls(
            codec,
            None if container is None else Container.from_json(container),
            record["position"],
            np.array(record["shares"]),
            record["scale"],
        )


def read_labels(y: ColumnInput, n: int) -> tuple[LabelCodec, Container | None, Index]:
    """Read the labels of n rows: their codec, their container and their codes.

    Raises
    ------
    InputError
        If these are not n labels of two classes or more, each in two rows or more.
    """
    values: Any = y.detach().cpu().numpy() if isinstance(y, Tensor) else y
    if isinstance(values, list | tuple):
        values = _to_array(values)
    if getattr(values, "ndim", 1) != 1:
        problem = f"must have shape (n,), got {tuple(values.shape)}"
        raise InputError("y", problem, "give one label a row; for one-hot codes pass codes.argmax(1)")
    column = read_values("y", values, "y")
    if column is None:
        raise InputError("y", f"must be labels, got {type(y).__name__}", "give one label a row")
    if len(column.values) != n:
        raise InputError("y", f"must have one label a row, got {len(column.values)} for {n}", "match both")
    is_array = isinstance(values, np.ndarray)
    opened = open_container({"y": values} if is_array else values)
    assert opened is not None
    container, take_column = opened

    def take(name: str, rows: Index) -> pa.Table:
        return take_column("y" if is_array else "x0", rows).rename_columns([name])

    codec = fit_classes(column, take, "y")
    return codec, container, codec.to_codes(column, "y")


def fit_classes(column: Column, take: Take, argument: str) -> LabelCodec:
    """Fit the codec of classes.

    Raises
    ------
    InputError
        If labels are missing, numbers with fractions, of one class, or of a class with a single row.
    """
    if column.missing.any():
        row = int(np.argmax(column.missing))
        raise InputError(argument, f"must have no gaps, row {row} has one", "drop such rows, or name a class")
    is_whole = column.kind == "numeric" and np.array_equal(column.values, np.rint(column.values))
    if column.kind not in (*LABEL_KINDS, "boolean") and not is_whole:
        problem = "must be labels, got numbers with fractions or times"
        raise InputError(argument, problem, "cut them into classes, or leave them in the data")
    codec = LabelCodec.fit(column, take, argument)
    counts = np.bincount(codec.to_codes(column, argument), minlength=len(codec.labels))
    if len(counts) < 2:
        raise InputError(argument, f"must have two classes, got {codec.labels[0]!r} alone", "leave y out")
    if counts.min() < MIN_CLASS_ROWS:
        label = codec.labels[int(counts.argmin())]
        problem = f"must have {MIN_CLASS_ROWS} rows a class, {label!r} has one"
        raise InputError(argument, problem, "leave the class out, or merge it with another")
    return codec


def _to_array(values: list[Any] | tuple[Any, ...]) -> Any:
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise InputError(
            "y", f"must be labels, got rows of different lengths ({error})", "give one a row"
        ) from None
    return np.asarray(values, dtype=object) if array.dtype.kind in "US" else array

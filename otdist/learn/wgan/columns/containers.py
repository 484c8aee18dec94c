"""Containers of tables: which library a table is of, types of its columns, and a table of the same kind."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from otdist.errors import InputError, get_reason
from otdist.inputs.frames import from_native
from otdist.tables.columns import collect_native, to_text_array
from otdist.typing import Index

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from otdist.typing import Json

    Take: TypeAlias = "Callable[[str, Index], pa.Table]"

OTHER_LIBRARIES = "pyarrow"  # tables of databases and engines come back as tables of Arrow
TEXT_KINDS = "OUSTmM"  # kinds of arrays that hold text, times or objects


@dataclass(frozen=True, eq=False)
class Container:
    """Kind of a table, so that a table of the same kind can be made.

    Attributes
    ----------
    kind : str
        Library of a DataFrame ("pandas", "polars", "modin", "pyarrow"), or "dict", "records", "structured",
        "array".
    is_series : bool
        Whether the table is a single column.
    labels : tuple
        Labels of the columns as the caller wrote them: text, integers, or tuples of both.
    dtypes : tuple of str
        Types of the columns in the library.
    """

    kind: str
    is_series: bool
    labels: tuple[object, ...]
    dtypes: tuple[str, ...]

    def restore(self, table: pa.Table) -> object:
        """Return a table of Arrow as one of the caller's kind."""
        if self.kind == "pandas":
            return self._to_pandas(table)
        if self.kind == "modin":
            return import_module("modin.pandas").DataFrame(self._to_pandas(table))
        if self.kind == "polars":
            return self._to_polars(table)
        if self.kind == "records":
            rows: list[dict[str, object]] = table.to_pylist()
            return [dict(zip(self.labels, row.values(), strict=True)) for row in rows]
        if self.kind in ("dict", "structured", "array"):
            return self._to_arrays(table)
        return table.column(0) if self.is_series else table

    def _to_pandas(self, table: pa.Table) -> Any:
        import pandas as pd

        frame = table.to_pandas()
        for name, dtype in zip(frame.columns, self.dtypes, strict=True):
            if dtype == "object" and str(frame[name].dtype) != dtype:
                frame[name] = pd.Series(table[name].to_pylist(), dtype=object)  # keeps None
            elif str(frame[name].dtype) != dtype:
                frame[name] = frame[name].astype(dtype)
        if self.is_series:
            return frame.iloc[:, 0].rename(self.labels[0])
        if any(isinstance(label, tuple) for label in self.labels):
            frame.columns = pd.MultiIndex.from_tuples(self.labels)
        else:
            frame.columns = pd.Index(list(self.labels))
        return frame

    def _to_polars(self, table: pa.Table) -> Any:
        frame = import_module("polars").from_arrow(table)
        return frame.to_series().alias(self.labels[0]) if self.is_series else frame

    def _to_arrays(self, table: pa.Table) -> object:
        columns = []
        for values, dtype in zip(table.columns, self.dtypes, strict=True):
            array = np.asarray(values.to_pandas() if dtype == "object" else values.to_numpy())
            columns.append(array if dtype == "" else array.astype(dtype))
        if self.kind == "dict":
            return dict(zip(self.labels, columns, strict=True))
        if self.kind == "array":
            kinds = {column.dtype for column in columns}
            rows = np.stack(
                columns if len(kinds) == 1 else [column.astype(object) for column in columns], axis=1
            )
            return rows[:, 0] if self.is_series else rows
        types = [(str(name), column.dtype) for name, column in zip(self.labels, columns, strict=True)]
        out = np.empty(len(table), dtype=types)
        for (name, _), column in zip(types, columns, strict=True):
            out[name] = column
        return out

    def to_json(self) -> dict[str, Json]:
        """Return the fields for JSON, where tuples are lists."""
        labels = [
            list(label) if isinstance(label, tuple) else label if isinstance(label, int) else str(label)
            for label in self.labels
        ]
        return {
            "kind": self.kind,
            "is_series": self.is_series,
            "labels": labels,
            "dtypes": list(self.dtypes),
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Container:
        """Read :meth:`to_json`."""
        labels = tuple(tuple(label) if isinstance(label, list) else label for label in record["labels"])
        return cls(record["kind"], record["is_series"], labels, tuple(record["dtypes"]))


def open_container(data: object) -> tuple[Container, Take] | None:
    """Return the container of a table, and a function that takes rows of a column; None for other data."""
    import narwhals.stable.v2 as nw

    if isinstance(data, Mapping):
        return _open_parts("dict", {str(key): data[key] for key in data}, tuple(data))
    if isinstance(data, list) and data and all(isinstance(row, dict) for row in data):
        keys = tuple(dict.fromkeys(key for row in data for key in row))
        return _open_parts("records", {str(key): [row.get(key) for row in data] for key in keys}, keys)
    if isinstance(data, list | tuple):
        rows = to_text_array(data)
        return _open_array(rows) if isinstance(rows, np.ndarray) else None
    if isinstance(data, np.ndarray):
        return _open_array(data)
    native = collect_native(data)
    frame = from_native(native, "data", allow_series=True)
    if isinstance(frame, nw.Series):
        return _open_frame(frame.alias("x0").to_frame(), native, is_series=True)
    return _open_frame(frame, native) if isinstance(frame, nw.DataFrame) else None


def _open_array(data: NDArray[Any]) -> tuple[Container, Take] | None:
    if data.dtype.names is not None:
        return _open_parts("structured", {name: data[name] for name in data.dtype.names}, data.dtype.names)
    if data.dtype.kind not in TEXT_KINDS or data.ndim not in (1, 2) or _is_numeric(data):
        return None
    rows = data[:, None] if data.ndim == 1 else data
    parts = {f"x{k}": rows[:, k] for k in range(rows.shape[1])}
    container, take = _open_parts("array", parts, tuple(parts))
    return Container("array", data.ndim == 1, container.labels, container.dtypes), take


def _is_numeric(data: NDArray[Any]) -> bool:
    """Return whether an array of objects holds numbers alone."""
    if data.dtype.kind != "O":
        return False
    try:
        return bool(np.isfinite(data.astype(np.float64)).all())
    except (TypeError, ValueError):
        return False


def _open_parts(kind: str, parts: Mapping[str, Any], labels: Sequence[object]) -> tuple[Container, Take]:
    parts = {name: _to_array(values) for name, values in parts.items()}

    def take(name: str, rows: Index) -> pa.Table:
        values = parts[name]
        return make_column(name, [_to_python(values[int(row)]) for row in rows], _get_type(values))

    dtypes = tuple(_get_dtype(values) for values in parts.values())
    return Container(kind, False, tuple(labels), dtypes), take


def _to_array(values: Any) -> Any:
    """Return a column of any library or a tensor as an array; lists stay as they are."""
    if isinstance(values, np.ndarray | list | tuple):
        return values
    if hasattr(values, "detach"):
        values = values.detach().cpu()
    return np.asarray(values.to_numpy() if hasattr(values, "to_numpy") else values)


def _to_python(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) and value.dtype.kind in "fiubUS" else value


def _get_dtype(values: object) -> str:
    """Return the dtype of an array as text; "" for lists, whose values choose it."""
    dtype = getattr(values, "dtype", None)
    return dtype.str if isinstance(dtype, np.dtype) and dtype.kind != "O" else "object" if dtype else ""


def _get_type(values: object) -> pa.DataType | None:
    """Return the Arrow type of an array; None for text and objects, whose values choose it."""
    import pyarrow as pa

    if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiubmM":
        return None
    if values.dtype.kind in "mM":
        unit = np.datetime_data(values.dtype)[0]
        unit = unit if unit in ("s", "ms", "us", "ns") else "us"
        return pa.timestamp(unit) if values.dtype.kind == "M" else pa.duration(unit)
    return pa.from_numpy_dtype(values.dtype)


def _open_frame(frame: Any, native: object, *, is_series: bool = False) -> tuple[Container, Take]:
    module = type(native).__module__.split(".")[0]
    import pyarrow as pa

    kind = module if module in ("pandas", "polars", "modin") else OTHER_LIBRARIES
    labels: tuple[object, ...] = tuple(frame.columns)
    dtypes = (
        tuple(str(column.to_native().dtype) for column in frame.iter_columns())
        if kind
        in (
            "pandas",
            "modin",
        )
        else ("",) * len(labels)
    )
    if is_series:
        labels = (getattr(native, "name", None),) if kind in ("pandas", "polars") else ("x0",)
    columns = {str(column.name): column.alias("values") for column in frame.iter_columns()}

    def take(name: str, rows: Index) -> pa.Table:
        column = columns[name][rows.tolist()]
        try:
            return column.to_frame().to_arrow().select([0]).rename_columns([name])  # without an index
        except (
            pa.ArrowException,
            TypeError,
        ):  # sparse columns of pandas, and objects that Arrow does not know
            return make_column(name, list(np.asarray(column.to_numpy())))

    return Container(kind, is_series, labels, dtypes), take


def make_column(name: str, values: Sequence[object], dtype: pa.DataType | None = None) -> pa.Table:
    """Make an Arrow table of one column.

    Raises
    ------
    InputError
        If the values have different types.
    """
    import pyarrow as pa

    try:
        return pa.table({name: pa.array(values, dtype, from_pandas=True)})
    except (pa.ArrowException, ValueError, TypeError) as error:
        problem = f"must have values of one type ({get_reason(error)})"
        remedy = "convert the column to text, with astype(str), or leave it out"
        raise InputError(f"data[{name!r}]", problem, remedy) from error


def dump_table(table: pa.Table) -> str:
    """Return an Arrow table as text, for JSON."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return b64encode(sink.getvalue().to_pybytes()).decode()


def load_table(text: str) -> pa.Table:
    """Read :func:`dump_table`."""
    import pyarrow as pa

    return pa.ipc.open_stream(b64decode(text)).read_all()

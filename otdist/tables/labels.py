"""Labels as codes and a list of texts, without Python objects where Arrow or pandas have the codes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
BLOCK_ROWS = 2**20  # rows recoded at a time
Coded = tuple[Array, tuple[str, ...]]  # codes, NaN where missing, and the labels that they stand for


def text(value: Any) -> str:
    """A label as text: the same for 1 and 1.0, and for bytes and the text that they spell."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def from_arrow(array: Any) -> Coded:
    """Codes and labels of an Arrow array of text, bytes or a dictionary."""
    import pyarrow as pa

    chunks = array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])
    chunks = chunks.unify_dictionaries() if pa.types.is_dictionary(chunks.type) else encode(chunks)
    if chunks.num_chunks == 0:
        return np.empty(0), ()
    codes = np.empty(len(chunks))
    first = 0
    for chunk in chunks.chunks:
        codes[first : first + len(chunk)] = chunk.indices.cast(pa.float64()).to_numpy(zero_copy_only=False)
        first += len(chunk)
    return _distinct(codes, chunks.chunk(0).dictionary.to_pylist())


def encode(chunks: Any) -> Any:
    """Text or bytes of Arrow as codes with a dictionary, in the order in which labels appear."""
    import pyarrow as pa

    views = {getattr(pa, "string_view", str)(): pa.string(), getattr(pa, "binary_view", str)(): pa.binary()}
    return chunks.cast(views.get(chunks.type, chunks.type)).dictionary_encode()


def from_categorical(values: Any) -> Coded:
    """Codes and labels of a pandas Categorical."""
    codes = np.asarray(values.codes)
    return _distinct(np.where(codes < 0, np.nan, codes.astype(np.float64)), values.categories)


def from_objects(values: Iterable[Any], missing: NDArray[np.bool_]) -> Coded:
    """Codes and labels of any Python objects."""
    place: dict[str, int] = {}
    codes = [
        np.nan if gone else float(place.setdefault(text(value), len(place)))
        for value, gone in zip(values, missing, strict=True)
    ]
    return np.array(codes), tuple(place)


def is_missing(value: Any) -> bool:
    """Whether an object stands for a missing value."""
    # pandas.NA first: comparing it gives NA, which is neither true nor false.
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    if isinstance(value, Decimal):
        return value.is_nan()
    if isinstance(value, np.datetime64 | np.timedelta64):
        return bool(np.isnat(value))
    return isinstance(value, float | np.floating) and bool(value != value)


def _distinct(codes: Array, dictionary: Iterable[Any]) -> Coded:
    """Codes whose labels are texts, each once; entries of the dictionary may be missing values."""
    place: dict[str, int] = {}
    entries = list(dictionary)
    if all(type(entry) is str for entry in entries) and len(set(entries)) == len(entries):
        return codes, tuple(entries)
    table = np.array(
        [np.nan if is_missing(entry) else place.setdefault(text(entry), len(place)) for entry in entries],
        dtype=np.float64,
    )
    return recode(codes, table), tuple(place)


def recode(codes: Array, table: Array) -> Array:
    """Codes ``k`` replaced by ``table[k]``, missing ones kept; the same array where nothing changes."""
    if np.array_equal(table, np.arange(len(table))):
        return codes
    out = np.full(len(codes), np.nan)
    for first in range(0, len(codes), BLOCK_ROWS):
        block = codes[first : first + BLOCK_ROWS]
        present = ~np.isnan(block)
        out[first : first + BLOCK_ROWS][present] = table[block[present].astype(np.intp)]
    return out


def sorted_places(texts: Sequence[str]) -> NDArray[np.intp]:
    """Places of labels in alphabetical order, by code points."""
    import pyarrow as pa
    from pyarrow import compute

    try:
        return np.asarray(compute.array_sort_indices(pa.array(texts, pa.large_string())), dtype=np.intp)
    except UnicodeEncodeError:  # surrogates, which Arrow does not hold
        return np.argsort(np.array(texts, dtype=object), kind="stable")


def in_order(coded: Coded, order: Iterable[Any]) -> Coded:
    """The same labels with the codes of an order that holds all of them."""
    values, texts = coded
    ordered = tuple(text(label) for label in order)
    place = {label: float(k) for k, label in enumerate(ordered)}
    return recode(values, np.array([place[label] for label in texts])), ordered

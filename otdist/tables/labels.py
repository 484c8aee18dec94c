"""Labels as codes and a list of texts, without Python objects where Arrow or pandas provide the codes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from otdist.inputs.numbers import is_missing
from otdist.typing import Array, Index, Mask

if TYPE_CHECKING:
    import pandas
    import pyarrow as pa

    A = TypeVar("A", pa.Array, pa.ChunkedArray)

RECODE_BLOCK_ROWS = 2**20  # rows recoded at a time
CodedLabels = tuple[Array, tuple[str, ...]]  # codes, NaN where missing, and the labels that they stand for


def format_label(value: object) -> str:
    """Convert a label to text: the same for 1 and 1.0, and for bytes and the text that they encode."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def from_arrow(array: pa.Array | pa.ChunkedArray) -> CodedLabels:
    """Return codes and labels of an Arrow array of text, bytes or a dictionary."""
    import pyarrow as pa

    chunks = array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])
    chunks = chunks.unify_dictionaries() if pa.types.is_dictionary(chunks.type) else encode_dictionary(chunks)
    if chunks.num_chunks == 0:
        return np.empty(0), ()
    codes = np.empty(len(chunks))
    first = 0
    for chunk in chunks.chunks:
        codes[first : first + len(chunk)] = chunk.indices.cast(pa.float64()).to_numpy(zero_copy_only=False)
        first += len(chunk)
    return _merge_duplicate_labels(codes, chunks.chunk(0).dictionary.to_pylist())


def encode_dictionary(chunks: A) -> A:
    """Encode text or bytes of Arrow with a dictionary, in the order of first occurrence."""
    import pyarrow as pa

    views = {getattr(pa, "string_view", str)(): pa.string(), getattr(pa, "binary_view", str)(): pa.binary()}
    return chunks.cast(views.get(chunks.type, chunks.type)).dictionary_encode()


def from_categorical(values: pandas.Categorical) -> CodedLabels:
    """Return codes and labels of a pandas Categorical."""
    codes = np.asarray(values.codes)
    return _merge_duplicate_labels(np.where(codes < 0, np.nan, codes.astype(np.float64)), values.categories)


def from_objects(values: Iterable[object], missing: Mask) -> CodedLabels:
    """Return codes and labels of Python objects."""
    codes_by_label: dict[str, int] = {}
    codes = [
        np.nan if absent else float(codes_by_label.setdefault(format_label(value), len(codes_by_label)))
        for value, absent in zip(values, missing, strict=True)
    ]
    return np.array(codes), tuple(codes_by_label)


def _merge_duplicate_labels(codes: Array, dictionary: Iterable[Any]) -> CodedLabels:
    """Recode to distinct labels as text; entries of the dictionary may be missing values."""
    codes_by_label: dict[str, int] = {}
    entries = list(dictionary)
    if all(type(entry) is str for entry in entries) and len(set(entries)) == len(entries):
        return codes, tuple(entries)
    table = np.array(
        [
            np.nan
            if is_missing(entry)
            else codes_by_label.setdefault(format_label(entry), len(codes_by_label))
            for entry in entries
        ],
        dtype=np.float64,
    )
    return recode(codes, table), tuple(codes_by_label)


def recode(codes: Array, table: Array) -> Array:
    """Replace codes ``k`` by ``table[k]``, except missing ones; return the same array if nothing changes."""
    if np.array_equal(table, np.arange(len(table))):
        return codes
    out = np.full(len(codes), np.nan)
    for first in range(0, len(codes), RECODE_BLOCK_ROWS):
        block = codes[first : first + RECODE_BLOCK_ROWS]
        present = ~np.isnan(block)
        out[first : first + RECODE_BLOCK_ROWS][present] = table[block[present].astype(np.intp)]
    return out


def argsort_labels(texts: Sequence[str]) -> Index:
    """Return the indices that sort labels alphabetically, by code points."""
    import pyarrow as pa
    from pyarrow import compute

    try:
        return np.asarray(compute.array_sort_indices(pa.array(texts, pa.large_string())), dtype=np.intp)
    except UnicodeEncodeError:  # surrogates, which Arrow cannot represent
        return np.argsort(np.array(texts, dtype=object), kind="stable")


def reorder_labels(coded: CodedLabels, order: Iterable[object]) -> CodedLabels:
    """Recode labels to an order that contains all of them."""
    values, texts = coded
    ordered = tuple(format_label(label) for label in order)
    codes_by_label = {label: float(k) for k, label in enumerate(ordered)}
    return recode(values, np.array([codes_by_label[label] for label in texts])), ordered

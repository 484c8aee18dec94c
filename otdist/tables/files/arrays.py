"""Readers of NPY and NPZ files, without pickle."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from otdist.errors import InputError

if TYPE_CHECKING:
    from numpy.lib.npyio import NpzFile
    from numpy.typing import NDArray


def read_array(stream: BinaryIO, name: str, key: str) -> NDArray[np.generic]:
    """Read an array; ``key`` names one of several in an NPZ file."""
    return _select_array(name, key, np.load(stream, allow_pickle=False))


def _select_array(name: str, key: str, content: NDArray[np.generic] | NpzFile) -> NDArray[np.generic]:
    if not isinstance(content, np.lib.npyio.NpzFile):
        return content
    with content as arrays:
        names = arrays.files
        if key and key not in names:
            raise InputError(f"{name}:{key}", "no such array", f"choose from {names}")
        if not key and len(names) != 1:
            remedy = f"name one: {name}:{names[0]}" if names else "save an array into it"
            raise InputError(name, f"holds {len(names)} arrays: {names}", remedy)
        return arrays[key or names[0]]

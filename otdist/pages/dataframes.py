"""Tables of answers, as a DataFrame of the package that the caller has."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from otdist.errors import InputError

if TYPE_CHECKING:
    from otdist.typing import DataFrame

DATAFRAME_PACKAGES = ("pandas", "polars")


def make_frame(columns: Mapping[str, Sequence[object]]) -> DataFrame:
    """Make a DataFrame of named columns.

    Parameters
    ----------
    columns : mapping of str to sequence
        Values of each column, all equally many.

    Returns
    -------
    DataFrame
        Of pandas where that is imported, of polars where only that is; where neither is, of the first that is
        installed.

    Raises
    ------
    InputError
        If neither is installed.
    """
    imported = [name for name in DATAFRAME_PACKAGES if hasattr(sys.modules.get(name), "DataFrame")]
    for name in (*imported, *DATAFRAME_PACKAGES):
        try:
            module = import_module(name)
        except ImportError:
            continue
        frame: DataFrame = module.DataFrame(dict(columns))
        return frame
    raise InputError("to_frame", "must find pandas or polars, got neither", "install one: pip install pandas")

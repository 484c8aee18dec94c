"""Real samples: penguins, which ship with otdist, and data that ship with other packages.

The file of an installed package is read; the package is not imported, for some take seconds. Rows are drawn
with replacement, so that there are as many as asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from otdist.arrays import Array
from otdist.bench.questions.samples import Question
from otdist.errors import InputError

HOUSES = ("MedInc", "HouseAge", "AveRooms", "AveBedrms", "Population", "AveOccup", "Latitude", "Longitude")
Sides = tuple[Array, Array]


def drawn(sides: Callable[[], Sides]) -> Callable[[str, int, int, int], Question]:
    """Rows of two real samples, drawn with replacement."""

    def asked(name: str, n: int, d: int, rng: int) -> Question:
        random = np.random.default_rng(rng)
        x, y = (random.choice(side, size=n) for side in sides())
        return Question(name, x, y)

    return asked


def penguins() -> Sides:
    """Four measures of Adelie and Chinstrap penguins, standardised."""
    from otdist.tables.files import read_file

    with resources.as_file(resources.files("otdist") / "data" / "penguins.csv") as path:
        table = read_file(str(path)).to_pydict()
    names = [key for key in table if key.endswith(("_mm", "_g"))]
    rows = np.array([[np.nan if v is None else v for v in table[key]] for key in names], dtype=float).T
    species = np.array(table["species"])[np.isfinite(rows).all(1)]
    rows = _standardised(rows[np.isfinite(rows).all(1)])
    return rows[species == "Adelie"], rows[species == "Chinstrap"]


def digits() -> Sides:
    """Images of 3 and of 8 in scikit-learn: 8 x 8 pixels, each from 0 to 16."""
    path = shipped("digits", "sklearn", "scikit-learn", "datasets/data/digits.csv.gz")
    table = np.loadtxt(path, delimiter=",")
    return table[table[:, -1] == 3, :-1], table[table[:, -1] == 8, :-1]


def wine() -> Sides:
    """Thirteen measures of wines of the cultivars 0 and 1 in scikit-learn, standardised."""
    path = shipped("wine", "sklearn", "scikit-learn", "datasets/data/wine_data.csv")
    table = np.loadtxt(path, delimiter=",", skiprows=1)  # the first line says how large it is
    rows = _standardised(table[:, :-1])
    return rows[table[:, -1] == 0], rows[table[:, -1] == 1]


def italy_power() -> Sides:
    """Italian demand for power by the hour in aeon: days of class 1 and 2, the two halves of the year."""
    folder = "datasets/data/ItalyPowerDemand/ItalyPowerDemand_"
    paths = [shipped("italy power", "aeon", "aeon", f"{folder}{part}.ts") for part in ("TRAIN", "TEST")]
    lines = [line for path in paths for line in path.read_text().splitlines()]
    days = [line.replace(":", ",") for line in lines if line[:1] not in ("", "#", "@")]
    table = np.loadtxt(days, delimiter=",", ndmin=2)
    return table[table[:, -1] == 1, :-1], table[table[:, -1] == 2, :-1]


def california() -> Sides:
    """Californian blocks of houses in nannyml: reference, analysis; standardised by the reference."""
    name = "datasets/data/california_housing_{}.csv"
    parts = ("reference", "analysis")
    x, y = (
        _columns(shipped("california", "nannyml", "nannyml", name.format(part)), HOUSES) for part in parts
    )
    return _standardised(x), (y - x.mean(0)) / x.std(0)


def cells() -> Sides:
    """Monocytes and dendritic cells among blood cells in scanpy: 50 principal components."""
    path = shipped("cells", "scanpy", "scanpy", "datasets/10x_pbmc68k_reduced.h5ad")
    if find_spec("h5py") is None:
        raise InputError("questions", "'cells' needs h5py, which is not installed", "pip install h5py")
    import h5py

    with h5py.File(path) as file:
        points = np.asarray(file["obsm"]["X_pca"][()], dtype=float)
        kinds = _labels(file, "bulk_labels")
    return points[kinds == "CD14+ Monocyte"], points[kinds == "Dendritic"]


def shipped(kind: str, module: str, package: str, name: str) -> Path:
    """Path of a file that an installed package holds.

    Raises
    ------
    InputError
        If the package is not installed, or holds no such file.
    """
    spec = find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise InputError(
            "questions", f"{kind!r} needs {package}, which is not installed", f"pip install {package}"
        )
    path = Path(spec.submodule_search_locations[0]) / name
    if not path.is_file():
        raise InputError(
            "questions",
            f"{kind!r} needs {name} of {package}, which is not there",
            "take another version of it",
        )
    return path


def _labels(file: Any, name: str) -> Any:
    """Labels of cells, in a file of scanpy 1.12 or of 1.11."""
    obs = file["obs"]
    if hasattr(obs, "keys"):
        codes, words = obs[name]["codes"][()], obs[name]["categories"][()]
    else:  # one table of all columns
        codes, words = obs[name], file["uns"][f"{name}_categories"][()]
    return np.array([word.decode() for word in words])[codes]


def _columns(path: Path, names: Sequence[str]) -> Array:
    """Columns of a CSV file by their names."""
    with path.open() as lines:
        header = next(lines).strip().split(",")
        return np.loadtxt(lines, delimiter=",", usecols=[header.index(name) for name in names], ndmin=2)


def _standardised(rows: Array) -> Array:
    scaled: Array = (rows - rows.mean(0)) / rows.std(0)
    return scaled

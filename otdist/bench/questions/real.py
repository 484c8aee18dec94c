"""Real samples: penguins, which ship with otdist, and data of other packages.

The file of an installed package is read; the package is not imported, since some imports take seconds. Rows
are drawn with replacement, so that any number of them is available.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from otdist.bench.questions.samples import Question
from otdist.errors import InputError
from otdist.typing import Array

if TYPE_CHECKING:
    import h5py
    from numpy.typing import NDArray

CALIFORNIA_COLUMNS = (
    "MedInc",
    "HouseAge",
    "AveRooms",
    "AveBedrms",
    "Population",
    "AveOccup",
    "Latitude",
    "Longitude",
)
SamplePair = tuple[Array, Array]


def question_factory_from_rows(
    read_samples: Callable[[], SamplePair],
) -> Callable[[str, int, int, int], Question]:
    """Return a factory of questions whose rows are drawn with replacement from two real samples."""

    def make_question(name: str, n: int, d: int, rng: int) -> Question:
        random = np.random.default_rng(rng)
        x, y = (random.choice(rows, size=n) for rows in read_samples())
        return Question(name, x, y)

    return make_question


def read_penguins() -> SamplePair:
    """Read four measurements of Adelie and Chinstrap penguins, standardised."""
    from otdist.tables.files import read_file

    with resources.as_file(resources.files("otdist") / "data" / "penguins.csv") as path:
        table = read_file(str(path))
    assert not isinstance(table, np.ndarray)
    table = table.to_pydict()
    names = [key for key in table if key.endswith(("_mm", "_g"))]
    rows = np.array([[np.nan if v is None else v for v in table[key]] for key in names], dtype=float).T
    species = np.array(table["species"])[np.isfinite(rows).all(1)]
    rows = _standardise(rows[np.isfinite(rows).all(1)])
    return rows[species == "Adelie"], rows[species == "Chinstrap"]


def read_digits() -> SamplePair:
    """Read images of the digits 3 and 8 of scikit-learn: 8 x 8 pixels, each from 0 to 16."""
    path = find_data_file("digits", "sklearn", "scikit-learn", "datasets/data/digits.csv.gz")
    table = np.loadtxt(path, delimiter=",")
    return table[table[:, -1] == 3, :-1], table[table[:, -1] == 8, :-1]


def read_wine() -> SamplePair:
    """Read thirteen measurements of wines of cultivars 0 and 1 of scikit-learn, standardised."""
    path = find_data_file("wine", "sklearn", "scikit-learn", "datasets/data/wine_data.csv")
    table = np.loadtxt(path, delimiter=",", skiprows=1)  # the first line holds the sizes
    rows = _standardise(table[:, :-1])
    return rows[table[:, -1] == 0], rows[table[:, -1] == 1]


def read_italy_power() -> SamplePair:
    """Read hourly Italian power demand of aeon: days of classes 1 and 2, the two halves of the year."""
    folder = "datasets/data/ItalyPowerDemand/ItalyPowerDemand_"
    paths = [
        find_data_file("italy power", "aeon", "aeon", f"{folder}{part}.ts") for part in ("TRAIN", "TEST")
    ]
    lines = [line for path in paths for line in path.read_text().splitlines()]
    days = [line.replace(":", ",") for line in lines if line[:1] not in ("", "#", "@")]
    table = np.loadtxt(days, delimiter=",", ndmin=2)
    return table[table[:, -1] == 1, :-1], table[table[:, -1] == 2, :-1]


def read_california() -> SamplePair:
    """Read Californian blocks of houses of nannyml: reference and analysis, standardised by the reference."""
    name = "datasets/data/california_housing_{}.csv"
    parts = ("reference", "analysis")
    x, y = (
        _read_columns(
            find_data_file("california", "nannyml", "nannyml", name.format(part)), CALIFORNIA_COLUMNS
        )
        for part in parts
    )
    return _standardise(x), (y - x.mean(0)) / x.std(0)


def read_cells() -> SamplePair:
    """Read monocytes and dendritic cells among the blood cells of scanpy: 50 principal components."""
    path = find_data_file("cells", "scanpy", "scanpy", "datasets/10x_pbmc68k_reduced.h5ad")
    if find_spec("h5py") is None:
        raise InputError("questions", "'cells' needs h5py, which is not installed", "pip install h5py")
    import h5py

    with h5py.File(path) as file:
        points = np.asarray(file["obsm"]["X_pca"][()], dtype=float)
        labels = _read_labels(file, "bulk_labels")
    return points[labels == "CD14+ Monocyte"], points[labels == "Dendritic"]


def find_data_file(kind: str, module: str, package: str, name: str) -> Path:
    """Find a data file of an installed package.

    Raises
    ------
    InputError
        If the package is not installed, or does not contain the file.
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
            f"{kind!r} needs {name} of {package}, which does not exist",
            "install another version of the package",
        )
    return path


def _read_labels(file: h5py.File, name: str) -> NDArray[np.str_]:
    """Read labels of cells from a file of scanpy 1.12 or 1.11."""
    obs = file["obs"]
    if hasattr(obs, "keys"):
        codes, categories = obs[name]["codes"][()], obs[name]["categories"][()]
    else:  # a single table of all columns
        codes, categories = obs[name], file["uns"][f"{name}_categories"][()]
    labels: NDArray[np.str_] = np.array([category.decode() for category in categories])[codes]
    return labels


def _read_columns(path: Path, names: Sequence[str]) -> Array:
    """Read columns of a CSV file by name."""
    with path.open() as lines:
        header = next(lines).strip().split(",")
        return np.loadtxt(lines, delimiter=",", usecols=[header.index(name) for name in names], ndmin=2)


def _standardise(rows: Array) -> Array:
    standardised: Array = (rows - rows.mean(0)) / rows.std(0)
    return standardised

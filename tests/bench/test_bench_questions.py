"""Questions by name: samples are determined by the seed; real ones come from files of other packages."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import numpy as np
import pytest

import otdist
from otdist import bench
from otdist.bench.questions import FIXED, KINDS, real
from otdist.bench.questions.images import ROUGH_FIELD, SMOOTH_FIELD, _draw_image
from otdist.errors import InputError

SOURCES = {
    "digits": ("sklearn", "scikit-learn", 64),
    "wine": ("sklearn", "scikit-learn", 13),
    "italy power": ("aeon", "aeon", 24),
    "california": ("nannyml", "nannyml", 8),
    "cells": ("scanpy", "scanpy", 50),
}


def make_question(kind, seed=0):
    """Create a question of 60 points; skip where the data are not installed."""
    if kind in SOURCES and find_spec(SOURCES[kind][0]) is None:
        pytest.skip(f"{SOURCES[kind][1]} is not installed")
    if kind == "cells":
        pytest.importorskip("h5py")
    return bench.question(f"{kind} n=60" + ("" if kind in FIXED else " d=3"), rng=seed)


@pytest.fixture
def data_packages(tmp_path, monkeypatch):
    """Build fake packages that contain data and cannot be imported."""
    monkeypatch.syspath_prepend(tmp_path)

    def build(package, files):
        for name, text in {"__init__.py": "raise ImportError('imported')", **files}.items():
            path = tmp_path / package / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path / package

    return build


@pytest.mark.parametrize("kind", KINDS)
def test_samples_come_from_their_seed(kind):
    question, again, other = (make_question(kind, seed) for seed in (0, 0, 1))
    assert np.array_equal(question.x, again.x) and np.array_equal(question.y, again.y)
    assert not np.array_equal(question.x, other.x)
    assert len(question.x) == len(question.y) == 60
    assert np.isfinite(question.x).all() and np.isfinite(question.y).all()


def test_what_is_known_is_so():
    grid = bench.question("moved grid n=80 d=3")
    assert float(otdist.w1(grid.x, grid.y)) == pytest.approx(grid.known)
    shift = bench.question("shift n=400 d=2")
    assert float(otdist.w1(shift.x, shift.y)) == pytest.approx(shift.laws, rel=0.2)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("shifts n=5", "must be a kind of question, got 'shifts n=5'"),
        ("shift", "must have a size n, got 'shift'; write n=1000"),
        ("shift n=-1", "sizes must be such as"),
        ("shift k=3", "sizes must be such as"),
        ("penguins n=5 d=3", "the columns of 'penguins' are given; leave out d=3"),
    ],
)
def test_names_that_are_none(name, message):
    with pytest.raises(InputError, match=f"questions: .*{message}"):
        bench.question(name)


def test_samples_that_are_none():
    with pytest.raises(InputError, match="must be finite"):
        bench.Question.of("mine", [[np.inf, 1.0], [2.0, 1.0]], [[0.0, 1.0], [1.0, 1.0]])


def test_images_are_pixels_drawn_as_often_as_they_are_bright():
    question = bench.question("images n=40000")
    for side, image in (
        (question.x, _draw_image(*ROUGH_FIELD, 0)),
        (question.y, _draw_image(*SMOOTH_FIELD, 1)),
    ):
        histogram = np.histogram2d(*side.T, bins=np.arange(33) - 0.5)[0] / 40_000
        share = image / image.sum()
        assert histogram.sum() == pytest.approx(1)
        assert np.abs(histogram - share).max() < 5 * np.sqrt(share.max() / 40_000)


def test_one_image_has_a_slope_and_the_other_has_none():
    def exponent(image):
        near, far = (np.abs(image[step:] - image[:-step]).mean() for step in (1, 2))
        return np.log2(far / near)  # 1 where there is a slope, 0.5 for a random walk

    assert exponent(_draw_image(*ROUGH_FIELD, 0)) < 0.5
    assert exponent(_draw_image(*SMOOTH_FIELD, 0)) > 0.95


@pytest.mark.parametrize("kind", SOURCES)
def test_real_samples_have_their_columns_and_two_sides(kind):
    question = make_question(kind)
    assert question.x.shape == question.y.shape == (60, SOURCES[kind][2])
    assert float(otdist.w1(question.x, question.y)) > 0
    assert not set(map(tuple, question.x)) & set(map(tuple, question.y))


def test_digits_and_wine_are_those_of_scikit_learn():
    datasets = pytest.importorskip("sklearn.datasets")
    points, label = datasets.load_digits(return_X_y=True)
    assert np.array_equal(real.read_digits()[0], points[label == 3])
    assert np.array_equal(real.read_digits()[1], points[label == 8])
    points, label = datasets.load_wine(return_X_y=True)
    points = (points - points.mean(0)) / points.std(0)
    assert np.allclose(real.read_wine()[0], points[label == 0])
    assert np.allclose(real.read_wine()[1], points[label == 1])


@pytest.mark.parametrize("kind", SOURCES)
def test_a_package_that_is_not_there_is_named(kind, monkeypatch):
    monkeypatch.setattr(real, "find_spec", lambda name: None)
    package = SOURCES[kind][1]
    with pytest.raises(InputError, match=f"'{kind}' needs {package}, which is not .*pip install {package}"):
        bench.question(f"{kind} n=5")


def test_a_file_that_is_not_there_is_named(data_packages):
    data_packages("nannyml", {})
    with pytest.raises(InputError, match=r"needs datasets/data/california_housing_reference\.csv of nannyml"):
        real.read_california()


def test_italian_power_is_read_without_its_package(data_packages):
    folder = "datasets/data/ItalyPowerDemand/ItalyPowerDemand_"
    head = "#Days\n@problemName ItalyPowerDemand\n@classLabel true 1 2\n@data\n"
    data_packages(
        "aeon", {f"{folder}TRAIN.ts": f"{head}1.5,2:1\n3,4:2\n", f"{folder}TEST.ts": f"{head}5,-6:2\n"}
    )
    x, y = real.read_italy_power()
    assert np.array_equal(x, [[1.5, 2]])
    assert np.array_equal(y, [[3, 4], [5, -6]])
    assert "aeon" not in sys.modules


def test_californian_houses_are_scaled_by_the_reference(data_packages):
    names = ("id", *reversed(real.CALIFORNIA_COLUMNS), "timestamp", "y_pred")
    rows = {"reference": np.array([[1.0] * 8, [3.0] * 8]), "analysis": np.array([[5.0] * 7 + [2.0]])}
    files = {
        f"datasets/data/california_housing_{part}.csv": "\n".join(
            [",".join(names), *(f"7,{','.join(map(str, row))},2020-10-01 00:00:00,1" for row in table)]
        )
        for part, table in rows.items()
    }
    data_packages("nannyml", files)
    x, y = real.read_california()
    assert np.array_equal(x, [[-1.0] * 8, [1.0] * 8])
    assert np.array_equal(y, [[0.0] + [3.0] * 7])  # columns go by their names


@pytest.mark.parametrize("layout", ["one table", "a folder"])
def test_cells_are_read_in_both_layouts(data_packages, layout):
    h5py = pytest.importorskip("h5py")
    path = (
        data_packages("scanpy", {"datasets/10x_pbmc68k_reduced.h5ad": ""})
        / "datasets/10x_pbmc68k_reduced.h5ad"
    )
    points, codes = np.arange(8.0).reshape(4, 2), np.array([1, 0, 2, 1], dtype="i1")
    words = np.array([b"Dendritic", b"CD14+ Monocyte", b"CD34+"])
    with h5py.File(path, "w") as file:
        if layout == "one table":
            file["obs"] = np.array(
                [(code, 0.5) for code in codes], dtype=[("bulk_labels", "i1"), ("s", "f4")]
            )
            file["uns/bulk_labels_categories"] = words
            file["obsm"] = np.array([(row,) for row in points], dtype=[("X_pca", "f4", (2,))])
        else:
            file["obs/bulk_labels/codes"], file["obs/bulk_labels/categories"] = codes, words
            file["obsm/X_pca"] = points.astype("f4")
    x, y = real.read_cells()
    assert np.array_equal(x, points[[0, 3]])
    assert np.array_equal(y, points[[1]])


def test_cells_say_that_they_need_a_reader(data_packages, monkeypatch):
    data_packages("scanpy", {"datasets/10x_pbmc68k_reduced.h5ad": ""})
    monkeypatch.setattr(real, "find_spec", lambda name: None if name == "h5py" else find_spec(name))
    with pytest.raises(InputError, match="'cells' needs h5py, which is not installed; pip install h5py"):
        real.read_cells()

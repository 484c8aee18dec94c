"""Cases 32 to 37, 41, 43 and 44: sizes, shapes, layouts and sparse arrays."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from cases import DISTANCES, POINTS, PUBLIC, STRICT, TABLES, case, each, refused, samples, weights
from oracles import highs
from scipy import sparse
from scipy.spatial.distance import cdist

import otdist

READERS = [*STRICT, TABLES]  # everything that takes containers of points


class TestSizes:
    @case(32)
    @each(READERS, side=True)
    def test_an_empty_sample_is_refused(self, f, d, side):
        for shape in ((0,), (0, 2), (3, 0), (0, 0)):
            given = samples(d)
            given[side] = np.empty(shape)
            refused(f, f.sides[side], *given)
        given[side] = []
        refused(f, f.sides[side], *given)

    @case(33)
    @pytest.mark.parametrize("p", [1, 2])
    def test_one_point_against_any_number_is_a_mean(self, p):
        rng = np.random.default_rng(3)
        y = rng.normal(size=100_000)
        mean = np.mean(np.abs(y - 0.25) ** p) ** (1 / p)
        assert otdist.wasserstein([0.25], y, p=p).value == pytest.approx(mean, rel=1e-13)
        z = y.reshape(-1, 2)
        mean = np.mean(cdist([[0.25, 1.0]], z)[0] ** p) ** (1 / p)
        assert otdist.wasserstein([[0.25, 1.0]], z, p=p).value == pytest.approx(mean, rel=1e-13)
        assert otdist.wasserstein([[3.0, 0.0]], [[0.0, 4.0]], [1], [1], p=p).value == 5.0
        assert otdist.wasserstein([3.0], [-4.0], p=p).value == 7.0

    @case(34)
    @pytest.mark.parametrize(("n", "m"), [(960, 5), (5, 960), (292, 2)])
    def test_very_different_sizes(self, n, m):
        rng = np.random.default_rng(n)
        x, y = rng.uniform(size=(n, 2)), rng.uniform(size=(m, 2))
        r = otdist.w1(x, y)
        best = highs(cdist(x, y), np.full(n, 1 / n), np.full(m, 1 / m))
        assert r.value == pytest.approx(best, rel=1e-6) and r.gap < 1e-12


class TestShapes:
    @case(35)
    @pytest.mark.parametrize(
        "f", [f for f in READERS if f.name not in ("wasserstein_1d", "sliced_w1-axis")], ids=lambda f: f.name
    )
    def test_a_column_is_the_same_as_a_flat_array(self, f):
        x, y = samples()
        assert f(x[:, None], y[:, None]) == f(x, y) == f(x.tolist(), y[:, None].tolist())

    @case(35)
    @pytest.mark.parametrize("f", [f for f in POINTS if 2 in f.dims], ids=lambda f: f.name)
    def test_two_rows_are_one_point_each(self, f):
        x, y = np.array([[0.0, 1.0, 2.0]]), np.array([[0.0, 1.0, 5.0]])
        if f.name != "sliced_w1-axis":
            assert f(x, y) == pytest.approx(f(np.repeat(x, 3, axis=0), y), rel=1e-14)
            assert f([[0.0, 1.0]], [[0.0, 4.0]]) == pytest.approx(3.0, rel=1e-9)
        assert f([[0.0, 0.0]], [[3.0, 0.0]]) == pytest.approx(3.0, rel=1e-9)

    @case(35)
    @pytest.mark.parametrize("f", [f for f in POINTS if {"weights", "mass"} <= f.takes], ids=lambda f: f.name)
    def test_weights_of_single_points_change_nothing(self, f):
        x, y = ([[1.0, 0.0]], [[4.0, 0.0]]) if 2 in f.dims else ([[1.0]], [[4.0]])
        assert f(x, y, [7], [0.5]) == f(x, y) == f(x, y, [7])

    @case(35)
    @pytest.mark.parametrize("shape", [(10, 8, 8), (10, 3, 8, 8)])
    def test_images_are_refused_with_the_way_to_pass_them(self, shape):
        images = np.ones(shape)
        error = refused(otdist.w1, "x", images, images, says=("1 or 2", shape))
        assert f"reshape(10, {images[0].size})" in error.remedy and "weights" in error.remedy

    @case(35)
    @each(READERS, side=True)
    def test_three_axes_and_no_axis_are_refused(self, f, d, side):
        batch = "batch" in f.takes or 2 not in f.dims  # there more axes number problems, or pairs
        for shape in ((),) if batch else ((2, 2, 2), ()):
            given = samples(d)
            given[side] = np.ones(shape)
            refused(f, f.sides[side], *given)

    @case(35)
    def test_a_table_in_the_line_function_is_many_samples_and_never_flattened(self):
        x, (u, v) = samples(2)[0], samples()
        one_by_one = [otdist.wasserstein_1d(x[:, k], v) for k in (0, 1)]
        assert otdist.wasserstein_1d(x, v, axis=0).tolist() == one_by_one
        refused(otdist.wasserstein_1d, "y", np.ones((3, 4)), np.ones((2, 4)), says=("(2,)", "(3,)"))
        refused(otdist.wasserstein_1d, "x", u, v, axis=1)
        assert otdist.wasserstein_1d([[0.0, 1.0]], [[2.0, 3.0]]).tolist() == [2.0]  # there a row is a sample

    @case(36)
    @pytest.mark.parametrize("f", [f for f in POINTS if 2 in f.dims], ids=lambda f: f.name)
    def test_different_numbers_of_columns_are_refused_with_both(self, f):
        refused(f, "y", np.ones((4, 2)), np.ones((5, 3)), says=(2, 3))
        refused(f, "y", np.ones((4, 2)), np.ones(4), says=(2, 1))

    @case(44)
    @each(READERS, side=True)
    def test_rows_of_different_lengths_and_nested_lists_are_refused(self, f, d, side):
        for bad in ([[1.0, 2.0], [3.0]], [[1.0], [2.0, 3.0], []], [[[1.0]], [[2.0, 3.0]]]):
            given = samples(d)
            given[side] = bad
            refused(f, f.sides[side], *given)
        if f.name != "wasserstein_1d":
            given[side] = [[[1.0, 2.0]], [[3.0, 4.0]]]
            refused(f, f.sides[side], *given)

    @case(44)
    @pytest.mark.parametrize(
        "columns", [{"v": [[1.0], [2.0, 3.0]]}, {"v": [1.0, 2.0], "w": [1.0]}, {"v": 3.0}]
    )
    def test_compare_refuses_ragged_columns(self, columns):
        refused(otdist.compare, "reference", columns, {"v": [1.0, 2.0], "w": [1.0, 2.0]}, n_resamples=9)


def on_disk(points, folder):
    file = np.memmap(folder / f"{id(points)}.bin", dtype=points.dtype, mode="w+", shape=points.shape)
    file[:] = points
    return file


def frozen(points):
    points = points.copy()
    points.flags.writeable = False
    return points


LAYOUTS = {
    "fortran": lambda z, _: np.asfortranarray(z),
    "reversed": lambda z, _: z[::-1].copy()[::-1],
    "mirrored": lambda z, _: z[..., ::-1].copy()[..., ::-1],
    "every second": lambda z, _: np.repeat(z, 2, axis=0)[::2],
    "a field": lambda z, _: np.stack([z, z], axis=-1)[..., 1],
    "big-endian": lambda z, _: z.astype(">f8"),
    "read-only": lambda z, _: frozen(z),
    "memmap": on_disk,
    "matrix": lambda z, _: z.copy().view(np.matrix) if z.ndim == 2 else z,
    "list": lambda z, _: z.tolist(),
    "tuple": lambda z, _: tuple(z.tolist()),
    "list of rows": lambda z, _: list(z),
}


class TestLayouts:
    @case(37)
    @each(PUBLIC)
    @pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
    @pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
    def test_the_layout_changes_neither_the_answer_nor_the_array(self, f, d, layout, tmp_path):
        given = [*samples(d), *(weights() if "weights" in f.takes else [])]
        other = [layout(z, tmp_path) for z in given]
        assert f(*other) == f(*given)
        assert all(np.array_equal(old, new) for old, new in zip(given, other, strict=True))

    @case(37)
    @each(DISTANCES)
    def test_arrays_with_stride_zero(self, f, d):
        x = np.broadcast_to(np.array([1.5, -2.0])[:d], (6, d))
        x = x[:, 0] if d == 1 else x
        y = samples(d)[1]
        assert f(x, y) == f(x.copy(), y)
        if "weights" in f.takes:
            assert f(x, y, np.broadcast_to(2.0, 6), np.broadcast_to(0.3, 4)) == pytest.approx(
                f(x, y), rel=1e-15
            )

    @case(41)
    @each(READERS)
    def test_a_generator_is_read_once(self, f, d):
        x, y = samples(d)
        assert f((row for row in x), iter(y.tolist())) == f(x, y)
        assert f(map(np.asarray, x), y) == f(x, y)

    @case(41)
    def test_ranges_and_views_are_read(self):
        assert otdist.w1(range(3), range(1, 4)).value == 1.0
        assert otdist.w1(pd.Index([1.0, 2.0]), memoryview(np.array([1.0, 2.0]))).value == 0.0

    @case(41)
    @pytest.mark.parametrize("f", READERS, ids=lambda f: f.name)
    def test_a_lazy_frame_is_refused_with_collect_as_remedy(self, f):
        lazy = pl.LazyFrame({"u": [1.0, 2.0]})
        for side, name in enumerate(f.sides):
            given = samples()
            given[side] = lazy
            assert "collect" in refused(f, name, *given).remedy


SPARSE = [
    sparse.csr_array,
    sparse.csc_array,
    sparse.coo_array,
    sparse.csr_matrix,
    sparse.dok_array,
    sparse.lil_array,
]


class TestSparse:
    @case(43)
    @pytest.mark.parametrize("make", SPARSE, ids=lambda make: make.__name__)
    @pytest.mark.parametrize("f", [f for f in READERS if 2 in f.dims], ids=lambda f: f.name)
    def test_a_small_sparse_array_gives_the_dense_answer(self, f, make):
        x, y = (np.where(z > 0, z, 0.0) for z in samples(2))
        assert f(make(x), make(y)) == f(x, y)

    @case(43)
    @pytest.mark.parametrize("f", READERS, ids=lambda f: f.name)
    def test_a_huge_sparse_array_is_refused_before_it_is_made_dense(self, f):
        huge = sparse.csr_array((10**6, 10**6))
        with pytest.raises(otdist.BudgetError, match="needs 8000"):
            f(huge, huge)

    @case(43)
    def test_huge_sparse_costs_are_refused_too(self):
        with pytest.raises(otdist.BudgetError):
            otdist.emd(sparse.csr_array((10**6, 10**6)))

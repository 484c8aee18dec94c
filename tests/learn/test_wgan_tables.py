"""Mixed tables: what is encoded comes back, and what is generated is a table like that of the data."""

from __future__ import annotations

import datetime as dt
import json
from importlib import resources

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from pandas.testing import assert_frame_equal
from polars.testing import assert_frame_equal as assert_polars_equal
from wgan_worker import SMALL

import otdist
from otdist.errors import InputError
from otdist.learn import WGAN, fit_wgan
from otdist.learn.wgan import checkpoint
from otdist.learn.wgan.columns.encoder import TableEncoder
from otdist.learn.wgan.columns.generator import TableHead
from otdist.learn.wgan.real import RealData

N = 120


def draw_mixed(n=N, seed=0):
    """A pandas table of every kind of column."""
    rng = np.random.default_rng(seed)
    kinds = pd.CategoricalDtype(["low", "mid", "high", "never"], ordered=True)
    zone = "Europe/Paris"
    return pd.DataFrame(
        {
            "height": rng.normal(170, 10, n),
            "price": np.round(rng.gamma(2, 30, n), 2),
            "count": rng.integers(0, 5, n),
            "short": rng.integers(0, 5, n).astype(np.int8),
            "float32": rng.normal(size=n).astype(np.float32),
            "nullable": pd.array(np.where(rng.random(n) < 0.2, None, rng.integers(0, 9, n)), dtype="Int64"),
            "gaps": np.where(rng.random(n) < 0.3, np.nan, rng.normal(size=n)),
            "flag": rng.random(n) < 0.3,
            "maybe": pd.array(np.where(rng.random(n) < 0.2, None, rng.random(n) < 0.5), dtype="boolean"),
            "city": rng.choice(["Ulm", "Bonn", "Köln"], n),
            "object": pd.Series(np.where(rng.random(n) < 0.2, None, rng.choice(["a", "b"], n)), dtype=object),
            "grade": pd.Categorical(rng.choice(["low", "mid", "high"], n), dtype=kinds),
            "code": pd.Categorical(rng.choice([7, 8], n), categories=[9, 8, 7]),
            "day": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 300, n), unit="D"),
            "zoned": pd.Series(
                pd.Timestamp("2020-01-01", tz=zone) + pd.to_timedelta(rng.integers(0, 9**6, n), unit="s")
            ),
            "lag": pd.to_timedelta(rng.integers(0, 100, n), unit="min"),
            "month": pd.period_range("2020-01", periods=n, freq="M"),
            "date": [dt.date(2020, 1, 1) + dt.timedelta(days=int(k)) for k in rng.integers(0, 50, n)],
        }
    )


def draw_polars(n=N):
    rng = np.random.default_rng(1)
    return pl.DataFrame(
        {
            "level": pl.Series(rng.choice(["a", "b"], n), dtype=pl.Enum(["z", "b", "a"])),
            "label": pl.Series(rng.choice(["x", "y", "w"], n), dtype=pl.Categorical),
            "when": pl.Series(rng.integers(0, 10**9, n)).cast(pl.Datetime("us", "UTC")),
            "small": pl.Series([None, *rng.integers(0, 200, n - 1)], dtype=pl.UInt8),
            "amount": pl.Series(rng.integers(0, 999, n)).cast(pl.Decimal(10, 2)),
            "clock": pl.Series(rng.integers(0, 86_400, n) * 10**9).cast(pl.Time),
            "nan": pl.Series([np.nan, *rng.normal(size=n - 1)]),
            "date": pl.Series([None, *rng.integers(0, 500, n - 1)]).cast(pl.Date),
        }
    )


def fit_encoder(data, **more):
    fitted = TableEncoder.fit(data, **more)
    assert fitted is not None
    return fitted.encoder, fitted.encoder.encode_columns(fitted.columns)


def small(data, **more):
    return fit_wgan(data, **(SMALL | {"steps": 10} | more))


class TestEncoder:
    @pytest.mark.parametrize(
        ("data", "check"), [(draw_mixed(), assert_frame_equal), (draw_polars(), assert_polars_equal)]
    )
    def test_what_is_encoded_comes_back_also_from_json(self, data, check):
        encoder, points = fit_encoder(data)
        assert points.shape == (N, encoder.d) and np.isfinite(points).all()
        stored = TableEncoder.from_json(json.loads(json.dumps(encoder.to_json())))
        assert np.array_equal(stored.encode(data), points)
        for other in (encoder, stored):
            check(other.decode(points), data)

    @pytest.mark.parametrize(
        "data",
        [
            {"a": np.arange(40), "b": np.array(["x", "y"] * 20), "c": np.arange(40) * 0.5},
            [{"a": k / 8, "b": "xyz"[k % 3]} for k in range(40)],
            pa.table({"a": [1.5, None] * 20, "b": ["u", "v"] * 20}),
        ],
    )
    def test_other_containers_come_back_as_they_were(self, data):
        encoder, points = fit_encoder(data)
        back = encoder.decode(points)
        assert type(back) is type(data)
        if isinstance(data, dict):
            assert all(np.array_equal(back[k], v) and back[k].dtype == v.dtype for k, v in data.items())
        else:
            assert back == data

    def test_a_dict_of_columns_of_any_library_gives_arrays(self):
        data = {"a": torch.arange(40.0), "b": pd.Series(["x", "y"] * 20), "c": pl.Series([1, 2] * 20)}
        encoder, points = fit_encoder(data)
        back = encoder.decode(points)
        assert all(np.array_equal(back[name], np.asarray(data[name])) for name in data)

    def test_arrays_of_text_and_structured_ones(self):
        text = np.array([["a", "b"], ["c", "b"]] * 20)
        mixed = np.array([[1, "a"], [2, "b"]] * 20, dtype=object)
        fields = np.array([(1.5, "u"), (2.0, "v")] * 20, dtype=[("p", "f4"), ("q", "U3")])
        for data in (text, mixed, fields, text[:, 0]):
            encoder, points = fit_encoder(data)
            back = encoder.decode(points)
            assert back.dtype == data.dtype and np.array_equal(back, data)

    @pytest.mark.parametrize("series", [pd.Series([1, 2] * 20, name="hey"), pl.Series("q", ["a", "b"] * 20)])
    def test_a_series_is_a_table_of_one_column(self, series):
        encoder, points = fit_encoder(series)
        back = encoder.decode(points)
        assert type(back) is type(series) and back.name == series.name and back.to_list() == series.to_list()

    def test_labels_of_columns_need_not_be_text(self):
        table = pd.DataFrame({0: np.arange(40), 1: ["a", "b"] * 20})
        encoder, points = fit_encoder(table)
        assert_frame_equal(encoder.decode(points), table)
        table.columns = pd.MultiIndex.from_tuples([("a", 1), ("b", 2)])
        encoder, points = fit_encoder(table)
        stored = TableEncoder.from_json(json.loads(json.dumps(encoder.to_json())))
        assert_frame_equal(stored.decode(points), table)

    def test_names_say_what_a_number_stands_for(self):
        table = pd.DataFrame(
            {"age": [1.0, np.nan] * 20, "kind": ["a", "b", "c", None] * 10, "sex": ["m", "f"] * 20}
        )
        encoder, points = fit_encoder(table)
        kinds = ("kind=a", "kind=b", "kind=c", "kind missing")
        assert encoder.names == ("age", "age missing", *kinds, "sex=f") or encoder.names[-1] == "sex=m"
        assert points[1].tolist()[:6] == [1.0, 1.0, 0.0, 1.0, 0.0, 0.0]  # the mean in the place of the gap

    def test_numbers_are_rounded_and_within_the_range_of_the_data(self):
        table = pd.DataFrame(
            {"whole": np.arange(40), "cents": np.arange(40) / 100, "free": np.arange(40) / 3}
        )
        encoder, points = fit_encoder(table)
        back = encoder.decode(points + 0.004)
        assert back["whole"].tolist() == table["whole"].tolist()
        assert back["cents"].tolist() == table["cents"].tolist()
        assert np.allclose(back["free"][:-1], table["free"][:-1] + 0.004)
        far = encoder.decode(points * 100)
        assert far["whole"].max() == 39 and encoder.decode(points * 100, clip=False)["whole"].max() == 3900

    def test_a_type_bounds_numbers_that_are_not_clipped(self):
        encoder, _ = fit_encoder(pd.DataFrame({"a": np.arange(40, dtype=np.uint8)}))
        back = encoder.decode(np.array([[-5.0], [1e6]]), clip=False)
        assert back["a"].tolist() == [0, 255]

    def test_tiny_and_huge_units(self):
        for unit in (1e-170, 1e160):
            table = pd.DataFrame({"a": np.random.default_rng(0).normal(size=64) * unit, "b": ["x", "y"] * 32})
            real = RealData.of(table, held_out=0.25, scale="auto", seed=0)
            z = real.train[:, 0].double()
            assert abs(float(z.std(correction=0)) - 1) < 1e-5
            assert real.encoder is not None
            assert_frame_equal(real.encoder.decode(real.encoder.encode(table)), table)

    def test_columns_of_one_value_or_of_gaps(self):
        table = pd.DataFrame({"a": np.arange(40.0), "one": "x", "none": [None] * 40, "same": 7})
        run = small(table)
        out = run.sample(30)
        assert (out["one"] == "x").all() and out["none"].isna().all() and (out["same"] == 7).all()
        assert out.dtypes.tolist() == table.dtypes.tolist()
        assert any("columns with one value: one, none" in alarm.cause for alarm in run.alarms)


@pytest.fixture(scope="module")
def run():
    """A short run on every kind of column."""
    return small(draw_mixed(), steps=20)


class TestSamples:
    def test_they_have_the_form_of_the_data(self, run):
        data, out = draw_mixed(), run.sample(50)
        assert out.dtypes.tolist() == data.dtypes.tolist() and out.columns.equals(data.columns)
        assert out["grade"].cat.categories.equals(data["grade"].cat.categories)
        for name in ("city", "object", "grade", "code", "flag", "maybe", "count", "nullable"):
            assert set(out[name].dropna()) <= set(data[name].dropna())
        assert (out["day"] == out["day"].dt.normalize()).all() and out["price"].equals(out["price"].round(2))
        for name in data.select_dtypes("number"):
            assert out[name].min() >= data[name].min() and out[name].max() <= data[name].max()

    def test_gaps_and_levels_have_their_shares_from_the_start(self):
        data = draw_mixed()
        out = small(data, steps=1).sample(4000)
        for name in ("gaps", "nullable", "object"):
            assert abs(out[name].isna().mean() - data[name].isna().mean()) < 0.12
        assert abs((out["city"] == "Ulm").mean() - (data["city"] == "Ulm").mean()) < 0.2

    def test_a_run_from_its_file_gives_the_same_table(self, run, tmp_path):
        run.save(tmp_path)
        assert_frame_equal(WGAN.load(tmp_path).sample(30), run.sample(30))

    @pytest.mark.slow
    def test_a_resumed_run_is_the_run_itself(self, tmp_path):
        data = draw_mixed()
        whole = small(data, steps=20, decay_from=0.9)
        small(data, steps=10, decay_from=0.9, folder=tmp_path)
        resumed = fit_wgan(data, steps=20, folder=tmp_path, resume=True)
        assert resumed.steps == whole.steps
        with pytest.raises(InputError, match="data: must be the data of the run"):
            fit_wgan(data.iloc[::-1], steps=30, folder=tmp_path, resume=True)

    def test_the_report_draws_labels_as_bars(self, run, tmp_path):
        page = run.report(tmp_path / "page.html").read_text()
        assert "shares of labels made" in page and "city, total variation" in page and "gaps missing" in page
        run.save(tmp_path / "run")
        WGAN.load(tmp_path / "run").report(tmp_path / "again.html", draw_mixed())

    def test_polars(self):
        data = draw_polars()
        out = small(data).sample(20)
        assert isinstance(out, pl.DataFrame) and out.schema == data.schema

    def test_numbers_alone_are_a_table_as_well(self):
        data = pd.DataFrame({"a": np.random.default_rng(0).normal(size=64), "b": np.arange(64.0)})
        out = small(data).sample(5)
        assert isinstance(out, pd.DataFrame) and np.asarray(out).shape == (5, 2)

    def test_numbers_can_be_labels(self):
        data = pd.DataFrame({"zip": [10, 20, 90] * 20, "x": np.random.default_rng(0).normal(size=60)})
        out = small(data, categorical=["zip"]).sample(50)
        assert set(out["zip"]) <= {10, 20, 90} and out["zip"].dtype == data["zip"].dtype

    @pytest.mark.slow
    def test_penguins_keep_structural_zeros_and_gaps(self):
        with resources.as_file(resources.files("otdist") / "data" / "penguins.csv") as path:
            data = pd.read_csv(path)
        run = fit_wgan(data, steps=900, stop=False, width=64)
        out = run.sample(2000)
        known = set(zip(data["species"], data["island"], strict=True))
        new = [pair not in known for pair in zip(out["species"], out["island"], strict=True)]
        assert np.mean(new) < 0.02
        assert abs(out["sex"].isna().mean() - data["sex"].isna().mean()) < 0.03
        assert float(otdist.w1(out[["bill_length_mm"]].dropna(), data[["bill_length_mm"]].dropna())) < 1.5


class TestHead:
    def test_levels_are_hard_and_gradients_reach_logits(self):
        data = draw_mixed().drop(columns="month")  # whose days are rounded when it is decoded
        real = RealData.of(data, held_out=0.2, scale="auto", seed=0)
        assert real.encoder is not None
        head = TableHead(real.encoder, real.scale)
        logits = torch.randn(50, real.encoder.d, requires_grad=True)
        noise = torch.randn(50, head.n_noise)
        points = head(logits, noise)
        rows = real.encoder.encode(real.encoder.decode(real.scale.inverse_transform(points), clip=False))
        assert np.allclose(real.scale.transform(rows), points.detach(), atol=2e-2)
        (gradient,) = torch.autograd.grad(points.square().sum(), logits)
        assert torch.isfinite(gradient).all() and (gradient.abs().sum(0) > 0).all()

    def test_columns_may_have_different_numbers_of_levels(self):
        table = pd.DataFrame({"a": list("xyz") * 30, "b": list("uvwst") * 18, "c": np.arange(90.0)})
        assert small(table, steps=20).sample(50).notna().all(axis=None)

    def test_levels_are_drawn_with_the_probabilities_of_the_softmax(self):
        table = pd.DataFrame({"k": ["a"] * 10 + ["b"] * 20 + ["c"] * 30, "f": [True, False, False] * 20})
        encoder, _ = fit_encoder(table)
        real = RealData.of(table, held_out=0.2, scale="auto", seed=0)
        head = TableHead(encoder, real.scale)
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn(20_000, head.n_noise, generator=generator)
        out = real.scale.inverse_transform(head(torch.zeros(20_000, encoder.d), noise))
        assert np.allclose(out.mean(0), real.scale.centre, atol=0.015)


class TestRefusals:
    @pytest.mark.parametrize(
        ("column", "said"),
        [
            ([f"id{k}" for k in range(N)], r"data\['c'\]: has 120 labels in 120 rows.*leave it out"),
            ([1, "a"] * (N // 2), r"data\['c'\]: must have values of one type.*astype\(str\)"),
            ([[1], [2]] * (N // 2), r"data\['c'\]: has type Object"),
            ([1.0, np.inf] * (N // 2), r"data\['c'\]: must be finite, row 1 is not"),
            ([1j, 2j] * (N // 2), r"data\['c'\]: has type complex"),
        ],
    )
    def test_a_column_is_named_with_a_remedy(self, column, said):
        with pytest.raises(InputError, match=said):
            small(pd.DataFrame({"a": np.arange(N), "c": column}))

    def test_other_tables(self):
        with pytest.raises(InputError, match="data: must have two distinct points"):
            small(pd.DataFrame({"a": ["x"] * 64}))
        with pytest.raises(InputError, match="data: must have 32 points"):
            small(pd.DataFrame({"a": ["x", "y"]}))
        with pytest.raises(InputError, match="categorical: names 'z'"):
            small(draw_mixed(), categorical=["z"])
        with pytest.raises(InputError, match="categorical: names columns of a table"):
            small(np.random.default_rng(0).normal(size=(64, 2)), categorical=["z"])
        with pytest.raises(InputError, match=r"row 3 is not; .*DataFrame, whose gaps are learned"):
            small(np.where(np.arange(64) == 3, np.nan, 1.0)[:, None] * np.ones(2))

    def test_other_labels_and_columns_are_not_encoded(self):
        encoder, _ = fit_encoder(pd.DataFrame({"a": ["x", "y", "w"] * 20, "b": np.arange(60.0)}))
        with pytest.raises(InputError, match=r"data\['a'\]: must be one of 'x', 'y', 'w', got 'v' in row 1"):
            encoder.encode(pd.DataFrame({"a": ["x", "v"], "b": [1.0, 2.0]}))
        with pytest.raises(InputError, match=r"data\['b'\]: row 0 has a gap"):
            encoder.encode(pd.DataFrame({"a": ["x", "x"], "b": [np.nan, 2.0]}))
        with pytest.raises(InputError, match=r"data: must have the columns of the run, \['b'\]"):
            encoder.encode(pd.DataFrame({"a": ["x", "x"]}))


def test_runs_of_the_previous_format_are_read(tmp_path, monkeypatch):
    data = np.random.default_rng(0).normal(size=(64, 2))
    monkeypatch.setattr(checkpoint, "RUN_FORMAT", "otdist wgan 2")
    run = small(data)
    run.save(tmp_path)
    monkeypatch.undo()
    tensors, metadata = checkpoint.read(tmp_path)
    assert metadata["format"] == "otdist wgan 2"
    for name in ("encoder", "classes"):
        del metadata[name]
    monkeypatch.setattr(checkpoint, "RUN_FORMAT", "otdist wgan 2")
    checkpoint.write(tmp_path, tensors, metadata)
    monkeypatch.undo()
    assert np.array_equal(WGAN.load(tmp_path).sample(5), run.sample(5))

"""One table in every format, compressed, in parts and through a pipe: the report is the same."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import csv, feather, parquet

import otdist
from otdist.cli import main
from otdist.errors import InputError
from otdist.tables.files import Reading, open_file, read_file

ROWS = 40


def table(shift=0.0):
    rng = np.random.default_rng(3)
    return pa.table(
        {
            "length": rng.normal(size=ROWS).round(3) + shift,
            "count": rng.integers(0, 5, ROWS) + int(shift),
            "city": rng.choice(["Köln", "Ulm; Donau", "a,b"], ROWS),
            "day": pa.array(rng.integers(19000, 19100, ROWS).astype("M8[D]") + int(shift), pa.date32()),
            "member": rng.random(ROWS) < 0.5,
        }
    )


def csv_bytes(data, **options):
    sink = io.BytesIO()
    csv.write_csv(data, sink, csv.WriteOptions(**options))
    return sink.getvalue()


def zstd(content):
    return pa.compress(content, codec="zstd", asbytes=True)


def german(data):
    frame = data.to_pandas().assign(day=lambda f: pd.to_datetime(f.day).dt.strftime("%d.%m.%Y"))
    return frame.to_csv(sep=";", decimal=",", index=False).encode("cp1252")


def json_lines(data):
    return data.to_pandas().to_json(orient="records", lines=True, date_format="iso").encode()


def arrow_stream(data):
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, data.schema) as stream:
        stream.write_table(data)
    return sink.getvalue()


def parquet_bytes(data):
    sink = io.BytesIO()
    parquet.write_table(data, sink)
    return sink.getvalue()


def feather_bytes(data):
    sink = io.BytesIO()
    feather.write_feather(data, sink)
    return sink.getvalue()


FORMATS = {
    "t.csv": csv_bytes,
    "semicolon.csv": lambda data: csv_bytes(data, delimiter=";"),
    "t.tsv": lambda data: csv_bytes(data, delimiter="\t"),
    "t.txt": lambda data: csv_bytes(data, delimiter="|"),
    "german.csv": german,
    "utf16.csv": lambda data: csv_bytes(data).decode().encode("utf-16"),
    "index.csv": lambda data: data.to_pandas().to_csv().encode(),
    "t.csv.gz": lambda data: gzip.compress(csv_bytes(data)),
    "t.tsv.gz": lambda data: gzip.compress(csv_bytes(data, delimiter="\t")),
    "t.csv.bz2": lambda data: bz2.compress(csv_bytes(data)),
    "t.csv.xz": lambda data: lzma.compress(csv_bytes(data)),
    "t.csv.zst": lambda data: zstd(csv_bytes(data)),
    "t.parquet": parquet_bytes,
    "t.feather": feather_bytes,
    "t.arrow": arrow_stream,
    "t.jsonl": json_lines,
    "t.jsonl.gz": lambda data: gzip.compress(json_lines(data)),
}


def report(reference, current):
    comparison = otdist.compare(reference, current, n_resamples=9, joint=False)
    return [column.to_dict() | {"note": ""} for column in comparison.columns]


@pytest.fixture
def expected():
    return report(table(), table(1.0))


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_report(tmp_path, expected, name):
    (tmp_path / name).write_bytes(FORMATS[name](table(1.0)))
    assert report(table(), read_file(str(tmp_path / name))) == expected
    only = read_file(str(tmp_path / name), Reading(columns=("city", "count")))
    assert only.column_names == ["city", "count"]


@pytest.mark.parametrize("name", [name for name in FORMATS if "sv" in name or "parquet" in name])
@pytest.mark.parametrize("how", ["folder", "pattern"])
def test_parts_give_the_report_of_the_whole(tmp_path, expected, name, how):
    data = table(1.0)
    for k in range(2):
        (tmp_path / f"year={k}").mkdir()
        (tmp_path / f"year={k}" / f"part-{name}").write_bytes(FORMATS[name](data.slice(k * 20, 20)))
    (tmp_path / "_SUCCESS").touch()
    merged = read_file(str(tmp_path if how == "folder" else tmp_path / "year=*" / "part-*"))
    assert report(table(), merged.select(data.column_names)) == expected
    if how == "folder":
        assert merged["year"].to_pylist() == ["0"] * 20 + ["1"] * 20


@pytest.mark.parametrize("name", ["t.csv", "semicolon.csv", "t.csv.gz", "t.parquet", "t.feather", "t.jsonl"])
def test_standard_input_is_recognised_by_its_bytes(tmp_path, expected, name, monkeypatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(FORMATS[name](table(1.0)))))
    assert report(table(), read_file("-")) == expected


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_arrays_through_a_pipe(name, monkeypatch):
    sink = io.BytesIO()
    (np.save if name == "a.npy" else np.savez)(sink, np.arange(6.0))
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(sink.getvalue())))
    assert np.array_equal(read_file("-"), np.arange(6.0))


class TestRefused:
    def test_a_folder_of_two_formats(self, tmp_path):
        (tmp_path / "a.csv").write_text("a\n1\n")
        parquet.write_table(table(), tmp_path / "b.parquet")
        with pytest.raises(InputError, match=r"\.csv, \.parquet; name one format"):
            read_file(str(tmp_path))

    def test_a_folder_without_files_and_a_pattern_without_matches(self, tmp_path):
        for name in (tmp_path, tmp_path / "*.csv"):
            with pytest.raises(InputError):
                read_file(str(name))

    def test_parts_whose_columns_are_of_two_types(self, tmp_path):
        (tmp_path / "a.csv").write_text("a,b\n1,2\n")
        (tmp_path / "b.csv").write_text("a,b\nx,2\n")
        with pytest.raises(InputError, match="parts of other types"):
            read_file(str(tmp_path))

    @pytest.mark.parametrize(
        "ending", ["csv.gz", "csv.bz2", "csv.zst", "csv.xz", "feather", "jsonl", "arrow"]
    )
    def test_damaged_files(self, tmp_path, ending):
        for content in (b"", b"no such format", bytes(range(256))):
            (tmp_path / f"t.{ending}").write_bytes(content)
            with pytest.raises(InputError) as caught:
                read_file(str(tmp_path / f"t.{ending}"))
            assert "\n" not in str(caught.value)

    def test_an_empty_pipe(self, monkeypatch):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"")))
        with pytest.raises(InputError, match="standard input is empty"):
            read_file("-")


class TestShell:
    @pytest.fixture
    def files(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        for name, last in (("r.csv", "3"), ("c.csv", "4")):
            text = f"x;price;zip\n1;12,5 %;01067\n{last};{last},0 %;10115\n"
            (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path

    def run(self, capsys, *arguments):
        with pytest.raises(SystemExit) as ended:
            main([*arguments])
        out, err = capsys.readouterr()
        return ended.value.code, out, err

    def columns(self, capsys, *arguments):
        code, out, err = self.run(capsys, "compare", *arguments, "--json", "--no-joint", "--resamples", "9")
        assert (code, err) == (0, "")
        record = json.loads(out)
        return {column["name"]: column for column in record["columns"]}, record["notes"]

    def test_a_file_through_a_pipe(self, capsys, files, monkeypatch):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO((files / "c.csv").read_bytes())))
        piped, _ = self.columns(capsys, "r.csv", "-")
        assert piped == self.columns(capsys, "r.csv", "c.csv")[0]

    def test_what_was_taken_for_granted_is_said(self, capsys, files):
        columns, notes = self.columns(capsys, "r.csv", "c.csv")
        assert "r.csv: separated by semicolons" in notes
        assert "numeric reads it" in columns["price"]["note"] and "leading zeros" in columns["zip"]["note"]

    def test_kinds_are_stated(self, capsys, files):
        columns, _ = self.columns(capsys, "r.csv", "c.csv", "--categorical", "x", "--numeric", "price", "zip")
        assert columns["x"]["kind"] == "categorical" and columns["x"]["w1"] == 0.5
        assert (columns["price"]["kind"], columns["price"]["unit"], columns["price"]["w1"]) == (
            "numeric",
            "%",
            0.5,
        )
        assert columns["zip"]["kind"] == "numeric"

    @pytest.mark.parametrize("before", [["r.csv", "c.csv"], ["r.csv"], []])
    def test_files_after_the_names_of_columns_are_files(self, capsys, files, before):
        after = ["r.csv", "c.csv"][len(before) :]
        columns, _ = self.columns(capsys, *before, "--columns", "x", "zip", *after)
        assert list(columns) == ["x", "zip"]

    def test_a_file_that_is_missing_is_asked_for(self, capsys, files):
        code, _, err = self.run(capsys, "compare", "--columns", "x", "zip")
        assert code == 2 and "is missing; usage: otdist compare REFERENCE CURRENT" in err

    def test_w1_of_some_columns(self, capsys, files):
        code, out, _ = self.run(capsys, "w1", "r.csv", "c.csv", "--columns", "x", "--json")
        assert code == 0 and json.loads(out)["value"] == 0.5
        code, _, err = self.run(capsys, "w1", "r.csv", "c.csv")
        assert code == 2 and "--columns" in err
        code, _, err = self.run(capsys, "w1", "r.csv", "c.csv", "--columns", "y")
        assert code == 2 and "choose from ['x', 'price', 'zip']" in err

    @pytest.mark.parametrize("order", [["r.csv", "new.csv"], ["new.csv", "r.csv"]])
    def test_codes_with_zeros_in_one_file_are_labels_in_both(self, capsys, files, order):
        (files / "new.csv").write_text("zip\n10115\n10115\n")
        columns, _ = self.columns(capsys, *order)
        assert (columns["zip"]["kind"], columns["zip"]["w1"]) == ("categorical", 0.5)

    def test_a_name_in_latin_1_is_a_name(self, capsys, files):
        (files / "r.csv").write_bytes("größe\n1\n".encode("latin-1"))
        (files / "c.csv").write_bytes("größe\n2\n".encode("latin-1"))
        columns, notes = self.columns(capsys, "r.csv", "c.csv")
        assert columns["größe"]["w1"] == 1 and "r.csv: not UTF-8: read as cp1252" in notes
        code, _, err = self.run(
            capsys, "compare", "r.csv", "c.csv", "--encoding", "utf-8", "--fail-above", "9"
        )
        assert code == 2 and err.count("\n") == 1

    def test_options_that_cannot_be_are_one_line(self, capsys, files):
        for option in (["--sep", ";;"], ["--encoding", "klingon"], ["--date-format", "dmy"]):
            code, _, err = self.run(capsys, "compare", "r.csv", "c.csv", *option)
            assert code == 2 and err.startswith(f"otdist: {option[0]}: ") and err.count("\n") == 1

    def test_a_folder_without_files_is_not_an_option(self, capsys, files):
        (files / "parts").mkdir()
        code, _, err = self.run(capsys, "compare", "parts", "c.csv")
        assert code == 2 and err.startswith("otdist: parts: ")

    def test_an_error_that_nobody_foresaw_is_not_a_threshold(self, capsys, files, monkeypatch):
        import otdist.tables

        monkeypatch.setattr(otdist.tables, "compare", lambda *tables, **options: 1 / 0)
        code, _, err = self.run(capsys, "compare", "r.csv", "c.csv")
        assert code == 2 and "ZeroDivisionError" in err


@pytest.mark.parametrize("ending", ["jsonl", "parquet", "feather"])
def test_text_that_is_not_utf8_is_a_row_of_the_report_and_stops_no_other_column(ending, tmp_path):
    rows = b'{"a": 1, "g": "\xd2x"}\n{"a": 2, "g": "y"}\n{"a": 4, "g": "y"}\n'
    path, other = (tmp_path / f"{name}.{ending}" for name in ("damaged", "whole"))
    for file, content in ((path, rows), (other, rows.replace(b"\xd2", b"x"))):
        texts = [b"\xd2x" if file is path else b"xx", b"y", b"y"]
        table = pa.table({"a": [1, 2, 4], "g": pa.array(texts, pa.binary()).view(pa.string())})
        if ending == "jsonl":
            file.write_bytes(content)
        elif ending == "parquet":
            parquet.write_table(table, file)
        else:
            feather.write_feather(table, str(file))
    report = otdist.compare(*map(open_file, map(str, (other, path))), joint=False, n_resamples=19, rng=0)
    assert report["g"].verdict == "unreadable" and "not UTF-8" in report["g"].note
    assert report["a"].w1 == 0.0


def test_names_of_columns_that_are_not_utf8_are_refused_with_the_file(tmp_path):
    path = tmp_path / "names.jsonl"
    path.write_bytes(b'{"a\xff": 1}\n{"a\xff": 2}\n')
    with pytest.raises(InputError, match=r"names\.jsonl: cannot be read \('utf-8' codec"):
        open_file(str(path))


def test_a_parquet_file_with_fewer_rows_than_its_footer_says_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "short.parquet"
    parquet.write_table(pa.table({"a": [1.0, 2.0, 3.0]}), path)
    monkeypatch.setattr(parquet.ParquetFile, "iter_batches", lambda *_, **__: iter(()))
    with pytest.raises(InputError, match=r"short\.parquet: must hold 3 rows of 'a' by its footer, got 0"):
        otdist.compare(open_file(str(path)), {"a": [1.0, 2.0]}, joint=False)


TEXTS = pa.array([b"\xd2", b"y"], pa.binary()).view(pa.string())
POINTING_OUTSIDE = {
    "offset": pa.StringArray.from_buffers(
        2, pa.py_buffer(np.array([0, 100, 2], np.int32)), pa.py_buffer(b"ab")
    ),
    "index": pa.DictionaryArray.from_arrays(pa.array([0, 7]), TEXTS, safe=False),
    "negative index": pa.DictionaryArray.from_arrays(pa.array([-7, 0]), TEXTS, safe=False),
}


@pytest.mark.parametrize("values", POINTING_OUTSIDE.values(), ids=list(POINTING_OUTSIDE))
@pytest.mark.parametrize("ending", ["feather", "feather.gz"])
def test_a_feather_file_that_points_outside_of_its_buffers_is_refused(values, ending, tmp_path):
    path = tmp_path / f"damaged.{ending}"
    file = io.BytesIO()
    feather.write_feather(pa.table({"a": [1, 2], "g": values}), file, compression="uncompressed")
    path.write_bytes(gzip.compress(file.getvalue()) if ending.endswith("gz") else file.getvalue())
    with pytest.raises(InputError, match=r"damaged\.feather(\.gz)?: cannot be read \(.* out of bounds"):
        open_file(str(path))


UNCHECKED = {
    "list": pa.ListArray.from_arrays([0, 1, 2], TEXTS),
    "struct": pa.StructArray.from_arrays([TEXTS], ["text"]),
    "part of a day": pa.array([5, 86_400_000], pa.int64()).view(pa.date64()),
    "more than a day": pa.array([5, 90_000], pa.int32()).view(pa.time32("s")),
}


@pytest.mark.parametrize("values", UNCHECKED.values(), ids=list(UNCHECKED))
def test_values_of_a_feather_column_do_not_refuse_the_file(values, tmp_path):
    path = tmp_path / "values.feather"
    feather.write_feather(pa.table({"a": [1, 2], "g": values}), str(path), compression="uncompressed")
    report = otdist.compare({"a": [1, 2]}, open_file(str(path)), columns=["a"], joint=False)
    assert report["a"].w1 == 0.0


NO_OBJECTS = {
    "null": b"null\n",
    "spaces": b'  null, "g": 1\n',
    "many spaces": b" " * 5000 + b"null\n",
    "second block": b'{"a": 1}\n' + b"null\n" * 400_000,
    "array": b"[1]\n",
    "number": b"3\n",
}


@pytest.mark.parametrize("content", NO_OBJECTS.values(), ids=list(NO_OBJECTS))
@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz"])
def test_json_lines_that_are_no_objects_are_refused(content, ending, tmp_path):
    path = tmp_path / f"values.{ending}"
    path.write_bytes(gzip.compress(content) if ending.endswith("gz") else content)
    with pytest.raises(InputError, match=r"each line must hold a JSON object, one begins with"):
        open_file(str(path))

"""Parquet read column by column: the report is that of the table in memory, and little stays in memory."""

from __future__ import annotations

import json
import weakref

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

import otdist
from otdist.cli import main
from otdist.errors import InputError
from otdist.stats.relabelling import MAX_UNGROUPED_ROWS
from otdist.tables.columns import Column, open_table
from otdist.tables.files import Reading, open_file, read_file, table_notes
from otdist.tables.files.parquet import ParquetTable, Part


def mixed(seed, rows, shift=0.0):
    rng = np.random.default_rng(seed)

    def some(values, dtype=None):
        return pa.array(values, dtype, mask=rng.random(rows) < 0.1)

    return pa.table(
        {
            "amount": some(np.round(rng.lognormal(3 + shift, 1, rows), 2)),
            "score": rng.normal(size=rows),
            "weight": some(rng.gamma(2, 2, rows).astype(np.float32)),
            "items": some(rng.poisson(4, rows)),
            "stamp": 2**60 + rng.integers(0, 1000, rows),
            "express": some(rng.random(rows) < 0.3),
            "country": pa.array(rng.choice(["DE", "FR", "IT"], rows)).dictionary_encode(),
            "shop": some(np.char.add("shop ", rng.integers(0, 30, rows).astype(str)).tolist()),
            "code": some(rng.choice([b"a", b"b"], rows).tolist(), pa.binary()),
            "size": pa.DictionaryArray.from_arrays(rng.integers(0, 3, rows), ["S", "M", "L"], ordered=True),
            "price": rng.choice(["1,5", "2,25", "3,0"], rows),
            "day": some(rng.integers(19000, 19100, rows).astype("M8[D]"), pa.date32()),
            "time": pa.array(rng.integers(0, 10**15, rows), pa.timestamp("us", "UTC")),
            "empty": pa.nulls(rows),
            "list": [[1]] * rows,
        }
    )


def written(path, data, groups=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(data, path, row_group_size=max(1, len(data) // groups))
    return str(path)


def report_of(reference, current, **options):
    few = {"n_resamples": 49, "max_rows": 60, "test_rows": 40}
    return otdist.compare(reference, current, **few | options).to_dict()


@pytest.fixture(scope="module")
def short():
    return mixed(1, 300), mixed(2, 200)


@pytest.fixture(scope="module")
def long():
    names = ["amount", "score", "weight", "items", "stamp", "country", "shop", "day"]
    return mixed(1, MAX_UNGROUPED_ROWS + 500).select(names), mixed(2, MAX_UNGROUPED_ROWS + 100).select(names)


@pytest.fixture(scope="module")
def long_report(long):
    return report_of(*long)


class TestOneFile:
    @pytest.mark.slow
    @pytest.mark.parametrize("groups", [1, 7, 100])
    def test_the_report_is_that_of_the_table_in_memory(self, tmp_path, short, groups):
        files = [written(tmp_path / f"{k}.parquet", side, groups) for k, side in enumerate(short)]
        assert report_of(*map(open_file, files)) == report_of(*short) == report_of(*map(read_file, files))

    @pytest.mark.slow
    @pytest.mark.parametrize("groups", [1, 40])
    def test_so_it_is_for_a_long_table(self, tmp_path, monkeypatch, long, long_report, groups):
        monkeypatch.setattr("otdist.tables.files.parquet.PARQUET_BATCH_ROWS", 3000)
        files = [written(tmp_path / f"{k}.parquet", side, groups) for k, side in enumerate(long)]
        assert report_of(*map(open_file, files)) == long_report

    @pytest.mark.slow
    def test_and_for_pandas_and_polars(self, tmp_path, long):
        polars = pytest.importorskip("polars")
        long = [side.select(["amount", "score", "weight", "items", "shop"]) for side in long]
        files = [written(tmp_path / f"{k}.parquet", side) for k, side in enumerate(long)]
        report = report_of(*map(open_file, files), joint=False)
        assert report == report_of(*(side.to_pandas() for side in long), joint=False)
        assert report == report_of(*map(polars.from_arrow, long), joint=False)

    @pytest.mark.slow
    def test_what_the_caller_declares_is_kept(self, tmp_path, short):
        files = [written(tmp_path / f"{k}.parquet", side) for k, side in enumerate(short)]
        options = {
            "categorical": ["items"],
            "numeric": ["price"],
            "periodic": {"score": 3},
            "units": {"amount": "EUR"},
            "weights": "stamp",
            "groups": "shop",
        }
        short = [side.filter(pa.compute.is_valid(side["shop"])) for side in short]
        files = [written(tmp_path / f"{k}.parquet", side) for k, side in enumerate(short)]
        assert report_of(*map(open_file, files), **options) == report_of(*short, **options)

    @pytest.mark.slow
    def test_the_shell_says_the_same(self, tmp_path, capsys, short):
        short = [side.select(["amount", "items", "country", "shop"]) for side in short]
        expected = otdist.compare(*short, n_resamples=19).to_json()
        files = [written(tmp_path / f"{k}.parquet", side, 3) for k, side in enumerate(short)]
        with pytest.raises(SystemExit) as stop:
            main(["compare", *files, "--json", "--resamples", "19", "--names", "reference", "current"])
        assert stop.value.code == 0
        assert json.loads(capsys.readouterr().out) == json.loads(expected)

    def test_names_with_dots_and_without_letters(self, tmp_path):
        names = ["a.b", "a", "", " ", "ü", "a.b.c", "list", "list.element"]
        data = pa.table({name: [float(k), k + 1.0] for k, name in enumerate(names)})
        table = open_table(open_file(written(tmp_path / "a.parquet", data)), "reference")
        assert list(table.names) == names
        for k, name in enumerate(names):
            assert table.read(name).values.tolist() == [k, k + 1]

    def test_the_index_of_pandas_is_not_a_column(self, tmp_path):
        pandas = pytest.importorskip("pandas")
        frame = pandas.DataFrame({"a": range(5)}, index=pandas.Index(range(3, 8), name="row"))
        frame.to_parquet(tmp_path / "a.parquet")
        assert open_file(str(tmp_path / "a.parquet")).column_names == ["a"]

    def test_dictionaries_that_differ_between_row_groups(self, tmp_path):
        rows = pa.chunked_array(
            [
                pa.DictionaryArray.from_arrays([0, 1, 1], ["b", "a"]),
                pa.DictionaryArray.from_arrays([2, 0], ["c", "z", "b"]),
            ]
        )
        written(tmp_path / "a.parquet", pa.table({"l": rows}), 2)
        table = open_table(open_file(str(tmp_path / "a.parquet")), "reference")
        column = table.read("l")
        assert [column.labels[int(code)] for code in column.values] == ["b", "a", "a", "b", "c"]


class TestParts:
    def parts(self, folder, data, count, **changes):
        step = len(data) // count
        for k in range(count):
            piece = data.slice(k * step, step if k < count - 1 else None)
            change = changes.get(f"part_{k}", lambda part: part)
            written(folder / f"{k}.parquet", change(piece), 2)
        return str(folder)

    @pytest.mark.slow
    def test_parts_are_one_table(self, tmp_path, short):
        folders = [self.parts(tmp_path / str(k), side, 4) for k, side in enumerate(short)]
        patterns = [f"{folder}/*.parquet" for folder in folders]
        expected = report_of(*short)
        assert report_of(*map(open_file, folders)) == report_of(*map(open_file, patterns)) == expected

    @pytest.mark.slow
    def test_a_column_missing_in_one_part_is_missing_there(self, tmp_path, short):
        changes = {
            "part_1": lambda part: part.drop_columns(["shop", "amount", "country", "day", "express"]),
            "part_2": lambda part: part.set_column(3, "items", part["items"].cast(pa.int16())),
        }
        folders = [self.parts(tmp_path / str(k), side, 3, **changes) for k, side in enumerate(short)]
        report = report_of(*map(open_file, folders))
        assert report == report_of(*map(read_file, folders))
        assert next(c for c in report["columns"] if c["name"] == "shop")["missing_reference"] > 0.3

    def test_folders_name_columns(self, tmp_path):
        for year in (2025, 2026):
            written(tmp_path / f"year={year}" / "a.parquet", pa.table({"a": [1.0, 2.0]}))
        lazy, read = open_file(str(tmp_path)), read_file(str(tmp_path))
        assert lazy.column_names == read.column_names == ["a", "year"]
        assert lazy.num_rows == 4 and report_of(lazy, lazy) == report_of(read, read)

    def test_parts_of_other_types_are_refused(self, tmp_path):
        written(tmp_path / "a.parquet", pa.table({"a": [1.0]}))
        written(tmp_path / "b.parquet", pa.table({"a": ["x"]}))
        for load in (open_file, read_file):
            with pytest.raises(InputError, match=r"has parts of other types .*write all parts alike"):
                load(str(tmp_path))

    def test_parts_without_rows(self, tmp_path):
        data = pa.table({"a": [1.0, 2.0], "l": ["x", "y"]})
        written(tmp_path / "a.parquet", data.slice(0, 0))
        written(tmp_path / "b.parquet", data)
        lazy = open_file(str(tmp_path))
        assert report_of(lazy, data) == report_of(data, data)
        with pytest.raises(InputError, match="reference: must not be empty"):
            otdist.compare(open_file(str(tmp_path / "a.parquet")), data)


class TestWhatIsRead:
    @pytest.fixture
    def loaded(self, monkeypatch):
        names = []
        iterate_batches = Part.iterate_batches

        def watched(part, name):
            names.append(name)
            return iterate_batches(part, name)

        monkeypatch.setattr(Part, "iterate_batches", watched)
        return names

    @pytest.mark.slow
    def test_only_columns_that_are_asked_for(self, tmp_path, short, loaded):
        files = [written(tmp_path / f"{k}.parquet", side) for k, side in enumerate(short)]
        sides = [open_file(file) for file in files]
        assert not loaded
        otdist.compare(*sides, columns=["score", "shop"], weights="stamp")
        assert loaded == ["stamp", "stamp", "score", "score", "shop", "shop"]
        assert open_file(files[0], Reading(columns=("shop", "score"))).column_names == ["shop", "score"]

    def test_nothing_of_lists_and_structs(self, tmp_path, loaded):
        rows = {
            "a": [1.0, 2.0],
            "vector": pa.array([[1, 2], [3, 4]], pa.list_(pa.int64(), 2)),
            "list": [[1], None],
            "struct": [{"b": 1}, {"b": 2}],
        }
        file = written(tmp_path / "a.parquet", pa.table(rows))
        report = report_of(open_file(file), open_file(file), joint=False)
        assert loaded == ["a", "a"]
        assert report == report_of(read_file(file), read_file(file), joint=False)
        assert [c["verdict"] for c in report["columns"]] == ["not moved"] + 3 * ["unreadable"]

    @pytest.mark.slow
    def test_one_column_at_a_time_is_in_memory(self, tmp_path, monkeypatch, long):
        files = [written(tmp_path / f"{k}.parquet", side) for k, side in enumerate(long)]
        alive = weakref.WeakSet()
        most = []
        read_column = ParquetTable.read_column

        def watched(table, name, *progress):
            most.append(len({column.name for column in alive} | {name}))
            return read_column(table, name, *progress)

        def take(column, rows):
            alive.add(column)
            return cut(column, rows)

        cut = Column.take
        monkeypatch.setattr(ParquetTable, "read_column", watched)
        monkeypatch.setattr(Column, "take", take)
        report_of(*map(open_file, files))
        assert most and max(most) == 1

    def test_progress_moves(self, tmp_path, monkeypatch, short):
        monkeypatch.setattr("otdist.tables.files.parquet.PARQUET_BATCH_ROWS", 50)
        for k in range(2):
            written(tmp_path / f"{k}.parquet", short[k])
        lines = []
        open_file(str(tmp_path)).read_column("score", lines.append)
        assert lines[0] == "score: 0% read (file 1 of 2)" and lines[-1].endswith("read (file 2 of 2)")
        assert len(lines) == len(set(lines)) == 10

    def test_notes_of_a_file_are_kept(self, tmp_path):
        data = pa.table({"a": [1.0]}).replace_schema_metadata({b"otdist": b'["from somewhere"]'})
        written(tmp_path / "a.parquet", data)
        assert table_notes(open_file(str(tmp_path / "a.parquet"))) == ("from somewhere",)
        written(tmp_path / "b.parquet", data)
        assert table_notes(open_file(str(tmp_path))) == ("from somewhere",)

    def test_a_broken_file_is_named(self, tmp_path, short):
        file = written(tmp_path / "a.parquet", short[0])
        content = bytearray((tmp_path / "a.parquet").read_bytes())
        (tmp_path / "b.parquet").write_bytes(content[:-20])
        with pytest.raises(InputError, match=r"b\.parquet: cannot be read \(.*check that it is complete"):
            open_file(str(tmp_path / "b.parquet"))
        content[4:2000] = bytes(1996)
        (tmp_path / "c.parquet").write_bytes(content)
        broken = open_file(str(tmp_path / "c.parquet"))
        with pytest.raises(InputError, match=r"c\.parquet: cannot be read"):
            otdist.compare(open_file(file), broken)

    def test_two_columns_of_one_name(self, tmp_path):
        data = pa.Table.from_arrays([pa.array([1.0]), pa.array([2.0])], names=["a", "a"])
        written(tmp_path / "a.parquet", data)
        with pytest.raises(InputError, match="has two columns of one name"):
            open_file(str(tmp_path / "a.parquet"))

"""Files: each format gives the values that were written, and a broken file gives one readable line."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import csv, parquet

import otdist
from otdist.errors import InputError
from otdist.tables.files import ENDINGS, read_file

POINTS = np.array([[0.1, 2.0], [1e-300, -3.5], [1e17 / 3, 0.0]])
TABLE = pa.table(
    {
        "length": [1.5, None, 3.25],
        "label": ["x", "y, z", "naïve 列"],
        "member": [True, False, None],
        "day": pa.array([19000, 19001, None], type=pa.date32()),
    }
)


def refused(name: str | Path) -> InputError:
    """The error for this file, which must read well on one line, name the file and leave it closed."""
    with warnings.catch_warnings(record=True) as left_open:
        warnings.simplefilter("always")
        error = error_of(str(name))
        gc.collect()
    text = str(error)
    assert "\n" not in text and "\r" not in text
    assert Path(str(name)).name in text
    assert error.remedy
    assert not left_open, left_open[0].message
    return error


def error_of(name: str) -> InputError:
    with pytest.raises(InputError) as caught:
        read_file(name)
    return InputError(*caught.value.args)  # a copy without the traceback, which would keep files open


def test_csv_tsv_and_parquet_give_the_same_table(tmp_path: Path) -> None:
    csv.write_csv(TABLE, tmp_path / "t.csv")
    csv.write_csv(TABLE, tmp_path / "t.tsv", csv.WriteOptions(delimiter="\t"))
    parquet.write_table(TABLE, tmp_path / "t.parquet")
    tables = [read_file(str(tmp_path / f"t.{ending}")) for ending in ("csv", "tsv", "parquet")]
    assert all(table.to_pylist() == TABLE.to_pylist() for table in tables)
    assert [field.type for field in tables[0].schema] == [field.type for field in TABLE.schema]


def test_an_ending_in_capitals_is_the_same_ending(tmp_path: Path) -> None:
    (tmp_path / "T.CSV").write_text("a\n1\n")
    assert read_file(str(tmp_path / "T.CSV")).to_pydict() == {"a": [1]}


@pytest.mark.parametrize("word", ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"])
def test_words_for_missing_are_missing_in_numbers_and_in_labels(tmp_path: Path, word: str) -> None:
    (tmp_path / "t.csv").write_text(f"a,b\n1,x\n{word},{word}\n")
    table = read_file(str(tmp_path / "t.csv"))
    assert table.to_pydict() == {"a": [1, None], "b": ["x", None]}


def test_a_csv_column_without_a_value_is_missing_throughout(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,\n2,\n")
    report = otdist.compare(*[read_file(str(tmp_path / "t.csv"))] * 2, n_resamples=9, joint=False)
    assert [column.status for column in report.columns] == ["ok", "all_missing"]


def test_a_csv_with_a_byte_order_mark_keeps_its_first_name(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"\xef\xbb\xbfa,b\r\n1,2\r\n")
    assert read_file(str(tmp_path / "t.csv")).to_pydict() == {"a": [1], "b": [2]}


def test_npy_gives_the_array_to_the_last_bit(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", POINTS)
    assert np.array_equal(read_file(str(tmp_path / "x.npy")), POINTS)


def test_npz_with_one_array_needs_no_name_and_accepts_it(tmp_path: Path) -> None:
    np.savez(tmp_path / "one.npz", only=POINTS)
    file = str(tmp_path / "one.npz")
    assert np.array_equal(read_file(file), POINTS)
    assert np.array_equal(read_file(f"{file}:only"), POINTS)


@pytest.mark.slow
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_with_several_arrays_needs_a_name(tmp_path: Path, save: Callable[..., None]) -> None:
    save(tmp_path / "two.npz", x=POINTS, y=-POINTS)
    file = str(tmp_path / "two.npz")
    assert np.array_equal(read_file(f"{file}:y"), -POINTS)
    error = refused(file)
    assert "'x', 'y'" in str(error) and f"{file}:x" in error.remedy
    assert "'x', 'y'" in str(refused(f"{file}:z"))


def test_an_npz_without_arrays_is_refused_as_empty(tmp_path: Path) -> None:
    np.savez(tmp_path / "none.npz")
    assert "list index" not in str(refused(tmp_path / "none.npz"))


@pytest.mark.slow
def test_a_pickled_object_is_never_loaded(tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    np.save(tmp_path / "evil.npy", np.array([Touch(witness)], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "evil.npz", x=np.array([Touch(witness)], dtype=object), allow_pickle=True)
    for name in ("evil.npy", "evil.npz:x"):
        refused(tmp_path / name)
    assert not witness.exists()
    np.load(tmp_path / "evil.npy", allow_pickle=True)  # the trap does work
    assert witness.exists()


class Touch:
    """An object whose unpickling writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., None], tuple[Path]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet", "npy", "npz"])
def test_an_empty_file_is_refused(tmp_path: Path, ending: str) -> None:
    (tmp_path / f"empty.{ending}").touch()
    refused(tmp_path / f"empty.{ending}")


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet", "npy", "npz"])
def test_garbage_is_refused_and_the_reader_is_not_told_to_unpickle_it(tmp_path: Path, ending: str) -> None:
    (tmp_path / f"noise.{ending}").write_bytes(np.random.default_rng(3).bytes(4096))
    assert "unsafe" not in str(refused(tmp_path / f"noise.{ending}"))


@pytest.mark.parametrize("ending", ["parquet", "npy", "npz"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.95])
def test_a_truncated_file_is_refused(tmp_path: Path, ending: str, share: float) -> None:
    whole = tmp_path / f"whole.{ending}"
    if ending == "parquet":
        parquet.write_table(pa.table({"a": np.arange(500.0)}), whole)
    elif ending == "npy":
        np.save(whole, np.arange(500.0))
    else:
        np.savez(whole, a=np.arange(500.0), b=np.arange(5.0))
    content = whole.read_bytes()
    (tmp_path / f"cut.{ending}").write_bytes(content[: int(share * len(content))])
    refused(tmp_path / f"cut.{ending}")


def test_a_damaged_npz_member_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", a=np.arange(500.0))
    content = bytearray((tmp_path / "x.npz").read_bytes())
    content[2000] ^= 0xFF
    (tmp_path / "x.npz").write_bytes(bytes(content))
    refused(tmp_path / "x.npz")


def test_a_ragged_csv_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,2\n3\n")
    assert "Expected 2 columns" in str(refused(tmp_path / "t.csv"))


def test_a_csv_that_names_a_column_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,a\n1,2\n2,3\n")
    with pytest.raises(InputError, match="'a'"):
        otdist.compare(*[read_file(str(tmp_path / "t.csv"))] * 2, n_resamples=9)


@pytest.mark.parametrize("name", ["nowhere.csv", "nowhere.npz:x", "nowhere", "nowhere/deep.npy", ".npz:x"])
def test_a_missing_file_is_named_and_the_formats_listed(tmp_path: Path, name: str) -> None:
    error = refused(tmp_path / name)
    assert error.problem == "no such file" and ENDINGS in error.remedy


def test_an_empty_name_is_refused() -> None:
    with pytest.raises(InputError, match="no such file"):
        read_file("")


def test_a_folder_is_not_called_missing(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    assert "folder" in refused(tmp_path / "folder.csv").problem


@pytest.mark.parametrize("name", ["t.xlsx", "t.json", "t.pkl", "t", "t.pkl.gz"])
def test_an_unknown_ending_is_refused_and_the_known_ones_listed(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("a\n1\n")
    error = refused(tmp_path / name)
    assert "ending" in error.problem and ENDINGS in error.remedy


def test_the_index_that_pandas_stores_in_parquet_is_not_a_column(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0]}, index=[7, 3, 5])
    frame.to_parquet(tmp_path / "t.parquet")
    report = otdist.compare(frame, read_file(str(tmp_path / "t.parquet")), n_resamples=9)
    assert [column.name for column in report.columns] == ["a"] and report.notes == ()

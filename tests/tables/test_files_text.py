"""Text files as people have them: each gives the table that was meant, and says what it took for granted."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import otdist
from otdist.errors import InputError
from otdist.tables.files import Reading, column_note, read_file, table_notes


@pytest.fixture
def write(tmp_path: Path):
    def written(content: str | bytes, name: str = "t.csv", encoding: str = "utf-8") -> str:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return str(path)

    return written


def said(table):
    notes = [*table_notes(table), *(column_note(table, name)[0] for name in table.column_names)]
    return "; ".join(filter(None, notes))


class TestSeparator:
    @pytest.mark.parametrize("sep", [",", ";", "\t", "|"])
    @pytest.mark.parametrize("ending", ["csv", "tsv", "txt"])
    def test_it_is_recognised_whatever_the_ending_promises(self, write, sep, ending):
        rows = [["menge", "preis_cent", "ort"], ["1", "250", "Köln"], ["2", "360", "Ulm"]]
        table = read_file(write("\n".join(map(sep.join, rows)) + "\n", f"t.{ending}"))
        assert table.to_pydict() == {"menge": [1, 2], "preis_cent": [250, 360], "ort": ["Köln", "Ulm"]}
        usual = {"csv": ",", "tsv": "\t", "txt": ","}[ending]
        assert ("separated by" in said(table)) == (sep != usual)

    def test_whole_numbers_between_semicolons_are_numbers(self, write):
        a, b = (write(f"x;y\n1.5;2\n{last};3\n", f"{last}.csv") for last in ("2.5", "9.5"))
        report = otdist.compare(read_file(a), read_file(b), n_resamples=9, joint=False)
        assert [(c.name, c.kind, c.w1) for c in report.columns] == [
            ("x", "numeric", 3.5),
            ("y", "numeric", 0),
        ]

    def test_columns_of_spaces_are_what_savetxt_writes(self, write, tmp_path):
        points = np.random.default_rng(0).normal(size=(7, 3))
        np.savetxt(tmp_path / "p.txt", points)
        np.savetxt(tmp_path / "named.txt", points, header="a b c")
        np.savetxt(tmp_path / "p.csv", points, delimiter=",")
        for name in ("p.txt", "named.txt", "p.csv"):
            table = read_file(str(tmp_path / name))
            assert np.array_equal(np.column_stack([table[k] for k in range(3)]), points)
        assert read_file(str(tmp_path / "named.txt")).column_names == ["a", "b", "c"]

    def test_a_separator_within_quotes_or_text_separates_nothing(self, write):
        table = read_file(write('name,note\na,"x;y;z"\nb,"u;v;w"\n'))
        assert table.column_names == ["name", "note"] and said(table) == ""

    def test_newlines_within_quotes_are_kept(self, write):
        table = read_file(write('a,b\n1,"two\nlines"\n2,"one"\n'))
        assert table.to_pydict() == {"a": [1, 2], "b": ["two\nlines", "one"]}

    def test_one_that_is_stated_is_used(self, write):
        file = write("a_b\n1_2\n")
        assert read_file(file, Reading(sep="_")).to_pydict() == {"a": [1], "b": [2]}
        assert read_file(write("sep=;\na;b\n1;2\n")).to_pydict() == {"a": [1], "b": [2]}
        assert read_file(write("a\tb\n1\t2\n"), Reading(sep="tab")).to_pydict() == {"a": [1], "b": [2]}

    @pytest.mark.parametrize("bad", ["", ";;", '"', "\n", "ä"])
    def test_one_that_cannot_be_is_refused(self, bad):
        with pytest.raises(InputError, match=r"^sep: "):
            Reading(sep=bad)


class TestNumbers:
    @pytest.mark.parametrize(
        ("texts", "values"),
        [
            (["1,5", "2,25"], [1.5, 2.25]),
            (["1.234,50", "2"], [1234.5, 2]),
            (["3,100.50", "1,000.00"], [3100.5, 1000]),
            (["1 234,5", "12,25"], [1234.5, 12.25]),
            (["1\u202f234,5", "1\u00a0000,25"], [1234.5, 1000.25]),
            (["1'234.5", "2'000'000"], [1234.5, 2000000]),
            (["1,234,567", "2,000"], [1234567, 2000]),
            (["-1.234,50", "+2,5"], [-1234.5, 2.5]),
            (["−1,5", "2,5"], [-1.5, 2.5]),
            (["1.234,50-", "2,5"], [-1234.5, 2.5]),
        ],
    )
    @pytest.mark.parametrize("sep", [",", ";"])
    def test_local_spellings_are_the_numbers_they_mean(self, write, texts, values, sep):
        table = read_file(write("x" + sep + "g\n" + "".join(f'"{text}"{sep}a\n' for text in texts)))
        assert table["x"].to_pylist() == values
        assert said(table)

    @pytest.mark.parametrize(("decimal", "factor"), [(".", 1000), (",", 1)])
    def test_a_mark_that_may_be_either_is_asked_for(self, write, decimal, factor):
        file = write('x;y\n"1,234";a\n"2,345";b\n')
        report = otdist.compare(*[read_file(file)] * 2, n_resamples=9)
        assert report["x"].kind == "categorical" and "decimal mark" in report["x"].note
        stated = read_file(file, Reading(decimal=decimal))["x"].to_pylist()
        assert stated == [1.234 * factor, 2.345 * factor]

    def test_a_mark_that_another_column_settles_is_not_asked_for(self, write):
        assert read_file(write("x;y\n1,234;2,5\n2,345;3,5\n"))["x"].to_pylist() == [1.234, 2.345]
        assert read_file(write("x;y\n1,234;2.5\n2,345;3.5\n"))["x"].to_pylist() == [1234, 2345]

    @pytest.mark.parametrize("text", ["12,5 %", "€ 3.50", "$1.50", "3.50 EUR"])
    def test_an_amount_with_a_sign_stays_text_and_that_is_said(self, write, text):
        file = write(f'x,g\n"{text}",a\n"{text.replace("5", "6")}",b\n')
        report = otdist.compare(*[read_file(file)] * 2, n_resamples=9)
        assert report["x"].kind == "categorical" and "numeric reads it" in report["x"].note

    @pytest.mark.parametrize("sign", ["-", ".", "?", "--"])
    def test_a_sign_for_nothing_is_missing_among_numbers_and_a_label_among_labels(self, write, sign):
        table = read_file(write(f"x,g\n1,a\n{sign},{sign}\n2,b\n"))
        assert table.to_pydict() == {"x": [1, None, 2], "g": ["a", sign, "b"]}
        assert f"{sign!r} read as missing" in said(table)

    @pytest.mark.parametrize("word", ["#N/A", "#DIV/0!", "#REF!", "<NA>", "NaT", "NULL", "-nan", "1.#IND"])
    def test_words_of_spreadsheets_and_statistics_are_missing(self, write, word):
        assert read_file(write(f"a,b\n1,x\n{word},{word}\n")).to_pydict() == {
            "a": [1, None],
            "b": ["x", None],
        }

    def test_codes_that_begin_with_zero_are_labels(self, write):
        table = read_file(write("zip,n\n01067,1\n10115,2\n"))
        assert table.to_pydict() == {"zip": ["01067", "10115"], "n": [1, 2]}
        assert "leading zeros" in said(table)

    def test_a_zero_far_down_is_seen(self, write):
        table = read_file(write("zip\n" + "10115\n" * 50_000 + "01067\n"))
        assert table["zip"][50_000].as_py() == "01067" and table["zip"][0].as_py() == "10115"

    def test_zeros_of_decimals_and_times_are_numbers_and_times(self, write):
        table = read_file(write("a,b,c\n0.5,0,2024-01-01 00:00:00\n00.5,1,2024-01-01 00:00:01\n"))
        assert table["a"].to_pylist() == [0.5, 0.5] and table["b"].to_pylist() == [0, 1]

    def test_whole_numbers_beyond_63_bits_are_not_rounded(self, write):
        a, b = (read_file(write(f"id\n{top}\n7\n", f"{top}.csv")) for top in (2**64 - 1, 2**64 - 3))
        assert a["id"].to_pylist() == [2**64 - 1, 7] and b["id"].to_pylist() == [2**64 - 3, 7]
        low = [read_file(write(f"id\n{2**64 - k}\n{2**64 - 8}\n", f"{k}.csv")) for k in (1, 3)]
        assert otdist.compare(*low, n_resamples=9, joint=False)["id"].w1 == 1

    def test_one_column_of_decimal_commas(self, write):
        table = read_file(write("preis\n1,5\n2,5\n"))
        assert table.to_pydict() == {"preis": [1.5, 2.5]} and "separated" not in said(table)

    def test_one_stray_word_is_said(self, write):
        report = otdist.compare(*[read_file(write("d\n1\n2\nunknown\n3\n"))] * 2, n_resamples=9)
        assert report["d"].kind == "categorical" and "'unknown'" in report["d"].note


class TestDates:
    def test_dates_with_dots_are_days(self, write):
        table = read_file(write("t,g\n03.11.2025,a\n-,b\n04.11.2025 12:30,c\n"))
        assert table["t"].to_pylist() == [dt.datetime(2025, 11, 3), None, dt.datetime(2025, 11, 4, 12, 30)]
        assert "03 November 2025" in said(table)

    @pytest.mark.parametrize(
        ("texts", "days"),
        [
            (["13/02/2025", "01/02/2025"], [(2, 13), (2, 1)]),
            (["02/13/2025", "01/02/2025"], [(2, 13), (1, 2)]),
        ],
    )
    def test_the_order_of_day_and_month_is_taken_where_it_shows(self, write, texts, days):
        table = read_file(write("t\n" + "\n".join(texts) + "\n"))
        assert table["t"].to_pylist() == [dt.datetime(2025, *day) for day in days]
        assert "read as dates" in said(table)

    def test_and_is_never_guessed(self, write):
        file = write("t\n01/02/2024\n02/02/2024\n")
        assert "state its format" in otdist.compare(*[read_file(file)] * 2, n_resamples=9)["t"].note
        for form, day in (("%d/%m/%Y", (2, 1)), ("%m/%d/%Y", (1, 2))):
            assert read_file(file, Reading(date_format=form))["t"][0].as_py() == dt.datetime(2024, *day)

    @pytest.mark.parametrize("sign", "-/.")
    def test_dates_that_begin_with_the_year_are_days(self, write, sign):
        table = read_file(write(f"t,n\n2025{sign}11{sign}03,1\n-,2\n2025{sign}11{sign}04,3\n"))
        assert table["t"].to_pylist() == [dt.datetime(2025, 11, 3), None, dt.datetime(2025, 11, 4)]

    def test_what_is_no_date_stays_text(self, write):
        assert read_file(write("t\n31.02.2025\n01.01.2025\n"))["t"].to_pylist() == [
            "31.02.2025",
            "01.01.2025",
        ]


class TestEncoding:
    TEXT = "Straße,größe\nMünchen,1\nKöln,2\n"

    @pytest.mark.parametrize(
        "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "cp1252"]
    )
    def test_it_is_recognised(self, write, encoding):
        table = read_file(write(self.TEXT, encoding=encoding))
        assert table.to_pydict() == {"Straße": ["München", "Köln"], "größe": [1, 2]}
        assert bool(said(table)) == (encoding in ("utf-16-le", "utf-16-be", "latin-1", "cp1252"))

    @pytest.mark.parametrize("encoding", ["cp1251", "shift_jis", "gb18030", "mac_roman", "cp437"])
    def test_one_that_is_stated_is_used(self, write, encoding):
        text = {"cp1251": "город\nМосква\n", "shift_jis": "市\n東京\n", "gb18030": "市\n北京\n"}
        text = text.get(encoding, "größe\nklein\n")
        name, value = text.split()
        table = read_file(write(text, encoding=encoding), Reading(encoding=encoding))
        assert table.to_pydict() == {name: [value]}

    def test_one_that_does_not_fit_is_refused(self, write):
        with pytest.raises(InputError, match="is not utf-8"):
            read_file(write(self.TEXT, encoding="latin-1"), Reading(encoding="utf-8"))
        with pytest.raises(InputError, match="neither UTF-8 nor cp1252"):
            read_file(write("市,x\n北京,ÿ\n".encode() + b"\x81\x8d\n"))
        with pytest.raises(InputError, match="'klingon' is unknown"):
            Reading(encoding="klingon")


class TestHeader:
    def test_a_first_row_of_numbers_is_data_and_that_is_said(self, write):
        a = read_file(write("0.0,0.1\n1,1\n2,2\n", "a.csv"))
        b = read_file(write("0.0,0.1\n5,5\n6,6\n", "b.csv"))
        assert "no header" in said(a)
        # The shared point stays; two points move by 4 along the diagonal.
        assert otdist.w1(a, b).value == pytest.approx(2 / 3 * 4 * np.sqrt(2), rel=1e-12)

    @pytest.mark.parametrize("header", [True, False])
    def test_it_can_be_stated(self, write, header):
        table = read_file(write("1.5,2.5\n3,4\n"), Reading(header=header))
        assert len(table) == (1 if header else 2)
        assert table.column_names == (["1.5", "2.5"] if header else ["x0", "x1"])
        assert said(table) == ""

    def test_the_numbers_that_pandas_gives_for_names_are_names(self, write, tmp_path):
        frame = pd.DataFrame(np.arange(6.0).reshape(3, 2))
        frame.to_csv(tmp_path / "p.csv", index=False)
        table = read_file(str(tmp_path / "p.csv"))
        assert table.to_pydict() == {"0": [0, 2, 4], "1": [1, 3, 5]} and "taken as names" in said(table)

    @pytest.mark.parametrize("index", [None, range(5000, 5120), [f"r{k}" for k in range(120)]])
    def test_an_index_without_a_name_is_no_column(self, write, tmp_path, index):
        frame = pd.DataFrame({"x": [1.0, 2, 3, 4] * 30}, index=index)
        frame.to_csv(tmp_path / "i.csv")
        pd.read_csv(tmp_path / "i.csv").to_csv(tmp_path / "twice.csv", index=False)
        for name in ("i.csv", "twice.csv"):
            table = read_file(str(tmp_path / name))
            assert table.column_names == ["x"] and "labels the rows" in said(table)

    def test_a_column_without_a_name_that_repeats_itself_has_a_name_and_stays(self, write):
        table = read_file(write(",x\na,1\na,2\nb,3\n"))
        assert table.column_names == ["Unnamed: 0", "x"]

    def test_a_separator_at_the_end_of_lines_makes_no_column(self, write):
        assert read_file(write("a,b,\n1,2,\n3,4,\n")).column_names == ["a", "b"]


class TestColumns:
    def test_only_those_asked_for_are_loaded(self, write):
        file = write("a,b,c\n1,2,3\n")
        assert read_file(file, Reading(columns=("c", "a"))).to_pydict() == {"c": [3], "a": [1]}
        assert read_file(file, Reading(columns=("a", "z"))).column_names == ["a", "b", "c"]

    def test_one_that_is_to_stay_text_does(self, write):
        assert read_file(write("a,b\n007,2\n8,3\n"), Reading(text=("a", "b"))).to_pydict() == {
            "a": ["007", "8"],
            "b": ["2", "3"],
        }

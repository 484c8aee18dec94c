"""The HTML page and the terminal table: complete, safe to open, and honest about what is missing."""

from __future__ import annotations

import io
import math
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from html_page import HOSTILE, Page

from otdist.errors import InputError
from otdist.pages.axis import Axis
from otdist.result import Result
from otdist.tables import report, svg, terminal
from otdist.tables.comparison import ColumnReport, Comparison, JointReport, Sketch

NAN, INF = math.nan, math.inf
LEVELS = np.linspace(0, 1, 101)


def column(name: str = "length", **changes: Any) -> ColumnReport:
    base = ColumnReport(
        name=name,
        kind="numeric",
        status="ok",
        w1=1.2345,
        scaled=0.61725,
        scale=2.0,
        floor=0.4321,
        pvalue=0.005,
        qvalue=0.0125,
        verdict="moved",
        shift=1.2345,
        draws=199,
        n_reference=1520,
        n_current=680,
        missing_reference=0.0,
        missing_current=0.023,
        sketch=Sketch(10 + LEVELS, 11.2345 + LEVELS, levels=LEVELS),
    )
    return replace(base, **changes)


def columns() -> tuple[ColumnReport, ...]:
    shares = Sketch(np.array([0.75, 0.25]), np.array([0.5, 0.5]), labels=("False", "True"))
    many = Sketch(np.full(30, 1 / 30), np.arange(30) / 435, labels=tuple(f"label {i} <b>" for i in range(30)))
    days = Sketch(19000 + 900 * LEVELS, 19100 + 900 * LEVELS, levels=LEVELS)
    empty = {
        "w1": NAN,
        "scaled": NAN,
        "scale": NAN,
        "floor": NAN,
        "pvalue": NAN,
        "qvalue": NAN,
        "shift": NAN,
        "sketch": None,
    }
    none: dict[str, Any] = {**empty, "n_reference": 0, "n_current": 0, "missing_reference": NAN}
    none |= {"missing_current": NAN, "draws": 0}
    endless = Sketch(3 * LEVELS, np.append(3 * LEVELS[:-1], INF), levels=LEVELS)
    constant = Sketch(np.full(101, 5.0), 5 + LEVELS, levels=LEVELS)
    return (
        column(),
        column(
            "member",
            kind="boolean",
            w1=0.25,
            scaled=0.25,
            unit="share",
            sketch=shares,
            qvalue=0.3,
            verdict="not moved",
            missing_qvalue=0.002,
            missing_verdict="moved",
        ),
        column("signed_up", kind="datetime", w1=100.0, unit="days", sketch=days),
        column("city", kind="categorical", unit="share", sketch=many, note="label 'x' is new"),
        column(
            "gone",
            status="all_missing",
            verdict="not measured",
            n_current=0,
            missing_current=1.0,
            note="all values missing in current",
            **empty,
        ),
        column("fixed", status="undefined_scale", scale=0.0, scaled=NAN, floor=0.0, sketch=constant),
        column("endless", status="infinite", w1=INF, scaled=INF, sketch=endless),
        column("lost", status="gone", verdict="gone", note="not in the current table", **none),
        column("added", status="new", verdict="new", note="not in the reference", **none),
        column("zip", status="retyped", verdict="retyped", note="numeric -> categorical", **none),
        column(
            "tags", status="unreadable", verdict="unreadable", note="current has type List(Int64)", **none
        ),
        column("slow", qvalue=0.06, verdict="undecided"),
        *(column(name, qvalue=0.8, verdict="not moved") for name in HOSTILE),
    )


def joint(**changes: Any) -> JointReport:
    result = Result(0.41236, 0.41231, 0.41239, "exact", metric="mean of |difference| / std", n=152, m=68)
    base = JointReport(result, 0.38, 0.0512, 0.005, ("length", "city"), 152, 68, 68, "6 rows left out")
    return replace(base, **changes)


def comparison(**changes: Any) -> Comparison:
    base = Comparison(columns(), joint(), "std", 1520, 680, 199, HOSTILE[0], "now", notes=("b left out",))
    return replace(base, **changes)


@pytest.fixture(scope="module")
def html() -> str:
    return report.render(comparison())


def test_page_is_well_formed(html: str) -> None:
    page = Page(html)
    assert html.startswith("<!doctype html>")
    assert ("html", {"lang": "en"}) in page.tags
    assert all("scope" in attributes for tag, attributes in page.tags if tag == "th")
    drawings = re.findall(r"<svg.*?</svg>", html, flags=re.S)
    assert len(drawings) > 2 * len(columns())
    for drawing in drawings:
        root = ElementTree.fromstring(drawing)
        assert root.get("role") == "img" and root.findtext("title")


def test_names_are_shown_and_never_obeyed(html: str) -> None:
    page = Page(html)
    assert "script" not in {tag for tag, _ in page.tags} and "img" not in {tag for tag, _ in page.tags}
    assert "<script>alert" not in html
    for name in HOSTILE:
        assert terminal.escape_unprintable(name) in page.text
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", html)
    html.encode()


def test_page_loads_nothing(html: str) -> None:
    for tag, attributes in Page(html).tags:
        assert tag not in {"link", "script", "iframe", "object", "base", "form"}
        assert "src" not in attributes and not any(key.startswith("on") for key in attributes)
        assert (attributes.get("href") or "#").startswith("#")
    assert "@import" not in html and "url(" not in html and "default-src 'none'" in html


def test_ids_are_unique_and_links_lead_somewhere(html: str) -> None:
    tags = Page(html).tags
    ids = [str(attributes["id"]) for _, attributes in tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {str(a["href"])[1:] for _, a in tags if "href" in a} <= set(ids)


def test_no_nan_or_infinity_reaches_the_reader(html: str) -> None:
    text = Page(html).text
    assert not re.search(r"\b(nan|inf|None|undefined)\b", text, flags=re.I)
    assert not re.search(r'="[^"]*\b(nan|inf)\b', html)
    for words in (
        "all values missing in current",
        "reference is constant: no scale",
        "W1 is infinite",
        "∞",
        "–",
    ):
        assert words in text


def test_figures_of_the_comparison_are_there(html: str) -> None:
    text = Page(html).text
    total = len(columns())
    # length, signed_up, city, fixed, endless; four columns cannot be compared
    assert (
        f"5 of {total - 4} columns moved beyond sampling noise: length +1.234, signed_up +1.234 days, "
        "city label 0 <b> 3.3% → 0% and 2 more (false discovery rate 5%)."
    ) in text
    assert "Missing values changed in 1 column: member 0% → 2.3%." in text
    assert "1 column is gone: lost. 1 column is new: added." in text
    assert (
        "1 column is of another kind: zip (numeric -> categorical). 1 column is not readable: tags." in text
    )
    assert "1 column could not be decided with 199 relabellings: slow." in text
    assert "1 column could not be tested: gone." in text
    assert "Whole rows moved" not in text  # their verdict is not "moved"
    for figure in (
        "1.234",
        "0.4321",
        "0.0125",
        "1,520",
        "680",
        "2.3%",
        "0.0512",
        "0.4124",
        "199 relabellings",
    ):
        assert figure in text
    # Outward rounding: the printed interval contains the proved one.
    assert "[0.4123, 0.4124]" in text
    assert "The shaded area between the two curves is W1: 100 days." in text
    assert "+19 others" in text and "6 rows left out" in text and "b left out" in text


def test_without_joint_and_without_columns() -> None:
    empty = comparison(columns=(), joint=None, notes=())
    text = Page(report.render(empty)).text
    assert "No column could be compared." in text and "Not computed" in text
    assert "No column could be compared." in terminal.to_text(empty)
    assert "joint" not in terminal.to_text(empty) and "whole rows" not in terminal.to_text(empty)
    assert "Not computed" in Page(report.render(comparison(joint=None))).text
    rows = comparison(columns=())
    assert "whole rows: joint W1" in terminal.to_text(rows)
    text = Page(report.render(rows)).text
    assert "joint W1 = 0.4124" in text and "Not computed" not in text


def test_solver_that_stopped_early_is_said_so() -> None:
    result = Result(0.5, 0.3, INF, "sinkhorn", converged=False, message="Deadline <5 s>.")
    stopped = comparison(joint=joint(result=result, floor=NAN, pvalue=NAN, marginal=NAN))
    assert "Deadline <5 s>." in Page(report.render(stopped)).text
    assert "not converged: Deadline <5 s>." in terminal.to_text(stopped)


def test_write_returns_the_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    written = comparison().report("page.html")
    assert written == tmp_path.resolve() / "page.html"
    assert written.read_text(encoding="utf-8") == report.render(comparison())
    assert [p.name for p in tmp_path.iterdir()] == ["page.html"]


@pytest.mark.parametrize("fault", ["render", "replace"])
def test_failure_leaves_the_old_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    old = tmp_path / "page.html"
    old.write_text("old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*((report, "render") if fault == "render" else (os, "replace")), fail)
    with pytest.raises(OSError if fault == "render" else InputError, match="No space"):
        report.write_report(comparison(), old)
    assert old.read_text() == "old" and len(list(tmp_path.iterdir())) == 1


def test_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.html").write_text("old")
    (tmp_path / "link.html").symlink_to(tmp_path / "real.html")
    report.write_report(comparison(), tmp_path / "link.html")
    assert (tmp_path / "link.html").is_symlink()
    assert (tmp_path / "real.html").read_text(encoding="utf-8").startswith("<!doctype")


@pytest.mark.parametrize("name", ["no/such/page.html", ".", "a\x00b.html", "file.txt/page.html"])
def test_bad_path_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "file.txt").write_text("")
    with pytest.raises(InputError, match=r"^path: "):
        report.write_report(comparison(), tmp_path / name)


@pytest.mark.parametrize("width", [80, 100, 120])
def test_terminal_text(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    text = terminal.to_text(comparison(), width)
    lines = text.splitlines()
    assert "\x1b" not in text and "\x00" not in text
    assert all(len(line) <= width for line in lines)
    scaled = r" +0\.6172" if width >= 100 else ""
    assert any(re.match(rf"\* +length +\+1\.234 +1\.234{scaled} .* +0 -> 2\.3$", line) for line in lines)
    assert any(re.match(r"\* +member +False 75% -> 50% +25% .* +0\.3 +0 -> 2\.3 \*$", line) for line in lines)
    assert any(re.match(r"\* +lost \[5\] +gone +- ", line) for line in lines)
    assert any(re.match(r"\? +slow .* undecided ", line) for line in lines)
    assert (
        "whole rows: joint W1 = 0.4124 (proved interval [0.4123, 0.4124]), "
        "8.05 times what chance alone shows; floor 0.0512, p = 0.005"
    ) in " ".join(lines)
    assert "[red]x[/red]" in text and r"a\x00b" in text and r"\x1b[31mred" in " ".join(text.split())
    assert "all values missing in current" in text


def test_own_words_of_the_text_are_ascii() -> None:
    # print() of a comparison must work on a pipe that is not UTF-8.
    plain = comparison(columns=columns()[:7], reference_name="a", current_name="b")
    assert terminal.to_text(plain).isascii()


def test_moved_columns_are_red_and_bold() -> None:
    from rich.console import Console

    console = Console(width=100, force_terminal=True, color_system="standard", file=io.StringIO())
    with console.capture() as capture:
        console.print(terminal.make_sheet(comparison()))
    lines = capture.get().splitlines()
    plain = [re.sub(r"\x1b\[[\d;]*m", "", line) for line in lines]
    for names, star in (
        (["length", "member", "lost", "added", "zip", "tags"], "*"),
        (["gone", "a\\x00b"], " "),
        (["slow"], "?"),
    ):
        for name in names:
            k = next(k for k, line in enumerate(plain) if re.match(rf"[*? ] +{re.escape(name)} ", line))
            assert plain[k][0] == star and ("\x1b[1;31m" in lines[k]) == (star == "*")


@pytest.mark.parametrize("width", [40, 60, 80])
def test_names_and_stars_stay_on_a_narrow_screen(width: int) -> None:
    lines = terminal.to_text(comparison(columns=columns()[:12]), width).splitlines()
    assert all(len(line) <= width for line in lines)
    rows = {line[1:].split()[0]: line for line in lines if re.match(r"[*? ] +[a-z_]+ ", line)}
    assert set(rows) >= {"length", "member", "signed_up", "city", "gone", "fixed", "lost", "slow"}
    assert [rows[name][0] for name in ("length", "member", "gone", "lost", "slow")] == [
        "*",
        "*",
        " ",
        "*",
        "?",
    ]
    # A figure is never cut: W1 and q are whole.
    assert " 1.234 " in rows["length"] and "0.0125" in rows["length"] and "undecided" in rows["slow"]


def test_whole_rows_that_moved_are_starred_and_in_the_headline() -> None:
    moved = comparison(joint=joint(verdict="moved", qvalue=0.01))
    text = " ".join(terminal.to_text(moved).split())
    assert "Whole rows moved (8.05 times what chance alone shows)." in text
    assert "* whole rows: joint W1 = 0.4124" in text and "q = 0.01" in text
    assert "Whole rows moved (8.05 times what chance alone shows)." in Page(report.render(moved)).text
    waiting = " ".join(terminal.to_text(comparison(joint=joint(verdict="undecided", draws=1999))).split())
    assert "? whole rows" in waiting
    assert "Whole rows could not be decided with 1,999 relabellings." in waiting


def test_of_many_columns_those_that_did_not_move_are_counted_and_listed_on_request() -> None:
    still = [column(f"still{k}", verdict="not moved", qvalue=0.8) for k in range(60)]
    many = comparison(columns=(*still, *columns()[:12]))
    text = terminal.to_text(many)
    assert "and 60 columns that did not move" in text and "still7" not in text
    assert all(c.name in text for c in columns()[:12])
    from rich.console import Console

    console = Console(width=120, file=io.StringIO())
    with console.capture() as capture:
        console.print(terminal.make_sheet(many, every=True))
    assert all(f"still{k} " in capture.get() for k in range(60)) and "did not move" not in capture.get()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (NAN, "–"),
        (INF, "∞"),
        (0.0, "0"),
        (0.41236, "0.4124"),
        (-1.5, "−1.5"),
        (12345.6, "12,346"),
        (1e-7, "1e-07"),
    ],
)
def test_number(value: float, text: str) -> None:
    assert terminal.format_number(value) == text


@pytest.mark.parametrize("lower", [0.0, 0.412361, 1234.4, 1e-9, 123456.7])
def test_printed_interval_contains_the_proved_one(lower: float) -> None:
    upper = 1.001 * lower + 1e-12
    ends = [float(end.replace(",", "")) for end in terminal.format_interval(lower, upper)[1:-1].split(", ")]
    assert ends[0] <= lower and upper <= ends[1]
    assert terminal.format_interval(0.41236, 0.41236) == "[0.4124, 0.4124]"


@pytest.mark.parametrize("dates", [False, True])
@pytest.mark.parametrize(
    ("lo", "hi"),
    [(0, 0), (0, 1), (-1e-9, 1e-9), (1e9, 1e9 + 3), (19000, 19000.0001), (-7e5, 2e6), (-1e300, 1e300)],
)
def test_axis_has_ticks_inside_the_frame(lo: float, hi: float, dates: bool) -> None:
    if dates and abs(hi) > 1e8:
        return  # beyond any calendar
    values = np.linspace(lo, hi, 101)
    axis = Axis.from_values(values, dates=dates)
    assert axis is not None
    ticks = axis.make_ticks()
    assert 2 <= len(ticks) <= 12
    assert all(svg.PLOT_LEFT <= x <= svg.PLOT_RIGHT for x, _ in ticks)


def test_long_tail_is_cropped_and_said_so() -> None:
    values = np.append(LEVELS[:-1], 1e6)
    page = report.render(comparison(columns=(column(sketch=Sketch(values, values, levels=LEVELS)),)))
    assert "A long tail lies beyond the axis" in Page(page).text


def test_shares_of_rare_labels_still_add_up_to_w1() -> None:
    sketch = columns()[3].sketch
    assert sketch is not None
    rows = svg._make_share_rows(sketch)
    assert len(rows) == svg.MAX_BAR_LABELS
    total_variation = 0.5 * float(np.abs(sketch.reference - sketch.current).sum())
    for side in (1, 2):
        moves = sum(float(row[side]) - row[3] for row in rows)
        assert moves == pytest.approx(total_variation, abs=1e-12)


@pytest.mark.slow
def test_importing_otdist_tables_needs_neither_rich_nor_jinja() -> None:
    import subprocess
    import sys

    code = "import sys, otdist.tables.comparison; sys.exit(bool({'rich', 'jinja2'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

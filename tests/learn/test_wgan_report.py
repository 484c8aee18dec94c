"""What people see of a training run: the page, the log, the line, and what is kept for them."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import struct
import sys
import types
import zlib
from contextlib import nullcontext
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from html_page import HOSTILE, Page
from wgan_worker import SMALL, cloud

from otdist.errors import InputError
from otdist.learn import WGAN, fit_wgan
from otdist.learn.wgan import checkpoint
from otdist.learn.wgan.monitor import log, snapshots
from otdist.learn.wgan.monitor.alarms import Alarm
from otdist.learn.wgan.monitor.best import BestGenerator
from otdist.learn.wgan.monitor.check import Check
from otdist.learn.wgan.report import curves
from otdist.learn.wgan.report import page as report
from otdist.learn.wgan.report.pictures import build_gallery
from otdist.learn.wgan.report.summary import format_duration, merge_versions
from otdist.learn.wgan.schedule import Schedule
from otdist.pages import png
from otdist.pages.chart import Chart
from otdist.pages.formatting import escape_unprintable

rng = np.random.default_rng(0)
WAVES = np.sin(np.linspace(0, 6, 24) + rng.uniform(0, 6, size=(80, 1)))
DATA = {
    "plane": cloud(200, 2),
    "columns": cloud(200, 3),
    "line": cloud(200, 1),
    "table": {"size": cloud(200, 1)[:, 0], "<b>weight</b>": 1000 + rng.normal(size=200)},
    "series": WAVES,
    "image": rng.uniform(0, 16, size=(80, 5, 7)),
    "colour": rng.uniform(0, 1, size=(80, 3, 6, 6)),
}


def frame(data):
    """Tables as data frames, arrays as they are."""
    import pandas as pd

    return pd.DataFrame(data) if isinstance(data, dict) else data


@pytest.fixture(scope="module", params=DATA)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def run(kind):
    return fit_wgan(frame(DATA[kind]), steps=30, **SMALL)


@pytest.fixture
def plain():
    """A run in the plane of its own, which a test may change."""
    return fit_wgan(DATA["plane"], steps=20, **SMALL)


def check(**changes):
    """Figures of a check, all 0.5 but for those given."""
    known = {field.name: 0.5 for field in dataclasses.fields(Check)}
    return Check(**(known | {"step": 10, "n": 16, "n_critic": 3} | changes))


def with_weights(run):
    """The weights of the last generator of a run, as those of a best check."""
    return BestGenerator(weights=dict(run.state.average.state_dict()))


def set_history(run, checks):
    """Give a run other checks, the last of which is shown."""
    run.history, run.best_generator = checks, BestGenerator()


class TestPage:
    @pytest.mark.slow
    def test_it_is_well_formed_and_loads_nothing(self, run):
        html = report.render_page(run)
        page = Page(html)
        assert html.startswith("<!doctype html>")
        drawings = re.findall(r"<svg.*?</svg>", html, flags=re.S)
        assert len(drawings) > 10
        for drawing in drawings:
            root = ElementTree.fromstring(drawing)
            assert root.get("role") == "img" and root.findtext("title")
            assert "nan" not in drawing and "inf" not in drawing
        assert "script" not in {tag for tag, _ in page.tags} and "link" not in {tag for tag, _ in page.tags}
        for tag, attributes in page.tags:
            for name in ("src", "href", "srcset", "data", "poster"):
                value = attributes.get(name)
                assert value is None or value.startswith(("#", "data:image/png;base64,")), (tag, value)
        assert "@import" not in html and not re.search(r"url\(", html)
        policy = next(a["content"] for t, a in page.tags if t == "meta" and "http-equiv" in a)
        assert policy.startswith("default-src 'none';") and "script" not in policy

    @pytest.mark.slow
    def test_it_says_what_the_run_knows(self, run):
        text = Page(report.render_page(run)).text
        last = run.history[-1]
        assert report.distance_sentence(run) in text and run.message in text and run.sha256 in text
        for name, value in run.settings.to_dict().items():
            assert name in text and (not isinstance(value, str) or value in text)
        for name, value in run.versions.items():
            assert f"{name} {value}" in text
        for field in dataclasses.fields(Check):
            value = getattr(last, field.name)
            if field.name not in curves.DRAWN_ELSEWHERE and value is not None and math.isfinite(value):
                assert curves.label(field.name) in text

    def test_pictures_are_of_the_kind_of_the_data(self, run, kind):
        shown = build_gallery(run)
        count = {"columns": 3, "line": 1, "table": 1, "series": 2, "image": 2, "colour": 2}
        assert len(shown.now) == count.get(kind, 1)
        if kind in ("columns", "line"):
            assert not shown.snapshots and shown.now[0].drawing.count('class="rug"') == 4
        else:
            assert [panel.caption for panel in shown.snapshots] == [
                "before training",
                "step 10",
                "step 20",
                "step 30",
            ]
        images = kind in ("image", "colour")
        assert all(bool(panel.image) is images for panel in shown.now + shown.snapshots)

    @pytest.mark.slow
    def test_a_run_from_a_file_is_drawn_alone_or_beside_its_data(self, run, kind, tmp_path):
        run.save(tmp_path / "run")
        loaded = WGAN.load(tmp_path / "run")
        alone = loaded.report(tmp_path / "alone.html").read_text()
        assert "pass data=" in alone and 'class="cloud ref' not in alone and 'class="hist ref"' not in alone
        loaded.report(tmp_path / "both.html", frame(DATA[kind]))
        assert loaded.real is None
        run.report(tmp_path / "first.html")
        assert (tmp_path / "both.html").read_text() == (tmp_path / "first.html").read_text()

    @pytest.mark.slow
    def test_other_data_are_refused(self, plain, tmp_path):
        with pytest.raises(InputError, match="must be the data of the run"):
            plain.report(tmp_path / "page.html", cloud(200, 2, seed=1))
        with pytest.raises(InputError, match="must be in an existing folder"):
            plain.report(tmp_path / "nowhere" / "page.html")
        assert not list(tmp_path.iterdir())

    @pytest.mark.slow
    def test_alarms_stand_with_cause_and_remedy_and_names_are_never_obeyed(self, plain):
        plain.history = [check(step=k) for k in (5, 10, 15)]  # enough for a curve, on which alarms are marked
        plain.alarms = [Alarm(10, name, f"cause of {name}", f"remedy of {name}") for name in HOSTILE]
        html = report.render_page(plain)
        page = Page(html)
        assert "script" not in {tag for tag, _ in page.tags}
        for name in HOSTILE:
            assert (
                f"cause of {escape_unprintable(name)}" in page.text
                and f"remedy of {escape_unprintable(name)}" in page.text
            )
        assert f"{len(HOSTILE)} alarms" in page.text and html.count('class="alarm"') > 0
        plain.alarms = []
        assert "None in 3 checks." in Page(report.render_page(plain)).text

    @pytest.mark.slow
    def test_a_run_without_a_check_has_a_page(self, plain):
        set_history(plain, [])
        assert "No check has been made" in Page(report.render_page(plain)).text

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("estimate", "words"),
        [
            (1.0, "As near to data kept aside as real data"),
            (3.0, "3.00 times as far"),
            (40.0, "40 times as far"),
        ],
    )
    def test_the_verdict_compares_with_the_floor(self, plain, estimate, words):
        set_history(plain, [check(floor=0.6), check(floor=99.0, n=15), check(estimate=estimate, floor=1.4)])
        assert report.distance_sentence(plain).startswith(words)  # with the mean floor of checks of that size

    @pytest.mark.slow
    def test_the_best_check_is_shown_and_named(self, plain):
        first, last = check(step=10, estimate=1.0, floor=1.0), check(step=20, estimate=3.0, floor=1.0)
        set_history(plain, [first, last])
        text = Page(report.render_page(plain)).text
        assert "those of the last check, step 20" in text and "3.00 times as far" in text
        plain.best_generator = dataclasses.replace(with_weights(plain), check=first)
        text = Page(report.render_page(plain)).text
        assert "those of step 10, the best of 2 checks; the last one is at step 20" in text
        assert "As near to data kept aside" in text and "0.5 ± 0.5" in text

    @pytest.mark.slow
    def test_a_floor_of_zero_gives_no_ratio(self, plain):
        set_history(plain, [check(floor=0.0)])
        assert report.distance_sentence(plain).startswith("W1 between 16 fresh")
        assert "∞" not in report.render_page(plain)

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("estimate", "pvalue", "words"),
        [
            (1.0, 0.4, "like real data"),
            (1.0, 0.04, "close to real data"),
            (1.2, 0.4, "close to real data"),
            (1.3, 0.4, "not like real data yet"),
        ],
    )
    def test_the_grade_takes_distance_and_test(self, plain, estimate, pvalue, words):
        set_history(plain, [check(floor=1.0, estimate=estimate, pvalue=pvalue)])
        assert report.grade(plain)[0] == words
        assert words in Page(report.render_page(plain)).text

    @pytest.mark.slow
    def test_no_check_or_no_floor_gives_no_grade(self, plain):
        for history in ([], [check(floor=0.0)]):
            set_history(plain, history)
            assert report.grade(plain) == ("", "") and 'class="badge' not in report.render_page(plain)

    @pytest.mark.slow
    def test_two_checks_are_a_table_and_no_curve(self, plain):
        set_history(plain, [check(step=10, upper=0.875), check(step=20, upper=0.75)])
        html = report.render_page(plain)
        assert 'class="curve' not in html and "<td>0.875</td><td>0.75</td>" in html
        assert curves.draw_bracket(plain.history, []) is None and curves.draw_gaps(plain.history) is None
        names = [figure.name for _, figures in curves.draw_others(plain.history) for figure in figures]
        assert len(names) == len(set(names))  # none in two groups

    @pytest.mark.slow
    def test_the_page_is_headed_by_the_name_that_is_given(self, plain, tmp_path):
        text = plain.report(tmp_path / "page.html", name="<i>.npy").read_text()
        assert "<h1>&lt;i&gt;.npy</h1>" in text and "<h1>Points in the plane</h1>" in report.render_page(
            plain
        )

    def test_no_name_of_a_variable_heads_a_figure(self, run):
        names = [figure.name for _, figures in curves.draw_others(run.history) for figure in figures]
        assert not [name for name in names if re.search(r"_|debiased|pvalue|vendi ", name)]


class TestCurves:
    def test_groups_labels_and_meanings_are_of_figures_that_checks_have(self):
        names = {field.name for field in dataclasses.fields(Check)}
        grouped = [name for group in curves.FIGURE_GROUPS.values() for name in group]
        assert set(grouped) | curves.FIGURE_LABELS.keys() | curves.FIGURE_MEANINGS.keys() <= names
        assert len(set(grouped)) == len(grouped) and set(grouped) | curves.DRAWN_ELSEWHERE == names

    def test_figures_that_nobody_has_heard_of_are_drawn_as_well(self):
        @dataclasses.dataclass(frozen=True, kw_only=True)
        class More(Check):
            """Figures.

            Attributes
            ----------
            novelty, other : float
                How new they are.
            """

            novelty: float
            other: float | None
            label: str

        record = check().to_dict()
        history = [More(**record, novelty=k, other=None, label="a") for k in (1.0, 1.5, 2.0)]
        title, figures = curves.draw_others(history)[-1]
        assert title == curves.OTHER_GROUP and [figure.name for figure in figures] == ["novelty: 2"]
        assert figures[0].caption == "How new they are."

    def test_every_figure_of_a_check_has_its_meaning_from_the_docstring(self):
        meanings = curves._read_meanings(Check)
        assert {field.name for field in dataclasses.fields(Check)} <= meanings.keys()
        assert all("``" not in text and ":func:" not in text for text in meanings.values())

    def test_gaps_in_a_line_stay_gaps(self):
        chart = Chart.from_values(np.arange(5.0), np.array([1.0, 2.0]))
        root = chart.draw_frame("a line")
        chart.draw_line(root, np.arange(5.0), np.array([1.0, 2.0, np.nan, 1.0, np.nan]), "est")
        assert len(root.findall("path")) == 1 and len(root.findall("circle")) == 1

    def test_the_end_of_a_long_fall_is_drawn_again(self):
        steep = [
            check(step=10 * k, lower=0.0, upper=u, estimate=u) for k, u in enumerate([9, 8, 6, 1, 1, 1, 1])
        ]
        late = curves.draw_bracket(steep, [], late=True)
        assert "from step 30 on" in late.caption
        assert curves.draw_bracket(steep[:3], [], late=True) is None
        assert curves.draw_bracket([check(step=k) for k in range(20)], [], late=True) is None

    def test_long_runs_are_thinned_from_the_end(self):
        steps, values = curves._tabulate([check(step=k, estimate=float(k)) for k in range(1, 1202)])
        assert len(steps) <= curves.MAX_DRAWN_CHECKS and steps[-1] == 1201 and values["estimate"][-1] == 1201


class TestSnapshots:
    @pytest.mark.slow
    @pytest.mark.parametrize("checks", [1, 5, 8, 9, 23, 100])
    def test_at_most_eight_are_kept_the_last_and_even_ones_before(self, plain, checks):
        kept = snapshots.Snapshots()
        for k in range(checks + 1):
            plain.state.step = 10 * k
            kept.add(plain.state, k)
        assert (
            len(kept.checks) <= snapshots.MAX_SNAPSHOTS and kept.checks[0] == 0 and kept.checks[-1] == checks
        )
        assert len(kept.checks) >= min(checks + 1, 4)
        assert len(set(np.diff(kept.checks[:-1]))) <= 1
        assert kept.steps == [10 * k for k in kept.checks]

    @pytest.mark.slow
    def test_the_same_latent_numbers_are_drawn_each_time(self, plain):
        first, second = snapshots.Snapshots(), snapshots.Snapshots()
        first.add(plain.state, 0)
        second.add(plain.state, 7)
        assert torch.equal(first.points[0], second.points[0])
        assert not torch.equal(plain.snapshots.points[0], plain.snapshots.points[-1])

    @pytest.mark.slow
    def test_training_is_the_same_without_them(self, monkeypatch):
        one = fit_wgan(DATA["plane"], steps=20, **SMALL)
        monkeypatch.setattr(snapshots.Snapshots, "add", lambda *given: None)
        other = fit_wgan(DATA["plane"], steps=20, **SMALL)
        left, right = checkpoint.collect_tensors(one.state), checkpoint.collect_tensors(other.state)
        assert left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)

    @pytest.mark.slow
    def test_a_run_that_is_resumed_has_those_of_one_that_was_not(self, tmp_path):
        whole = fit_wgan(DATA["plane"], steps=120, **SMALL)
        fit_wgan(DATA["plane"], steps=120, folder=tmp_path, **SMALL)
        again = WGAN.load(tmp_path)
        assert whole.snapshots.checks == again.snapshots.checks == [0, 2, 4, 6, 8, 10, 12]
        for one, other in zip(whole.snapshots.points, again.snapshots.points, strict=True):
            assert torch.equal(one, other)

    @pytest.mark.slow
    def test_files_of_a_run_hold_no_row_of_its_data(self, tmp_path):
        data = np.float32(DATA["plane"]).astype(float)
        run = fit_wgan(data, steps=20, folder=tmp_path, **SMALL)
        tensors, _ = checkpoint.read(tmp_path)
        rows = run.scale.transform(data)
        for name, tensor in tensors.items():
            if tensor.ndim == 2 and tensor.shape[1] == 2 and tensor.dtype == torch.float32:
                assert torch.cdist(tensor, rows).min() > 0, name


def pixels(file):
    """Pixels of a PNG file without filters, by its specification."""
    assert file[:8] == b"\x89PNG\r\n\x1a\n"
    found, place = {}, 8
    while place < len(file):
        (size,), name = struct.unpack(">I", file[place : place + 4]), file[place + 4 : place + 8]
        content = file[place + 8 : place + 8 + size]
        assert struct.unpack(">I", file[place + 8 + size : place + 12 + size])[0] == zlib.crc32(
            name + content
        )
        found[name], place = content, place + 12 + size
    width, height, depth, colour = struct.unpack(">IIBB", found[b"IHDR"][:10])
    rows = np.frombuffer(zlib.decompress(found[b"IDAT"]), np.uint8).reshape(height, -1)
    assert depth == 8 and not rows[:, 0].any() and list(found) == [b"IHDR", b"IDAT", b"IEND"]
    return rows[:, 1:].reshape(height, width, {0: 1, 2: 3}[colour])


class TestPictures:
    @pytest.mark.parametrize("shape", [(3, 5), (1, 1), (4, 7, 3)])
    def test_png_files_hold_what_was_given(self, shape):
        given = np.random.default_rng(0).integers(256, size=shape).astype(np.uint8)
        assert np.array_equal(pixels(png.encode_png(given)).reshape(shape), given)

    def test_a_grid_has_images_row_by_row_and_a_line_between(self):
        images = np.arange(3.0).reshape(3, 1, 1, 1) * np.ones((3, 2, 4, 1))
        sheet = png.arrange_grid(images, 2, (0.0, 2.0))
        assert sheet.shape == (5, 9)
        assert (sheet[:2, :4] == 0).all() and (sheet[:2, 5:] == 128).all() and (sheet[3:, :4] == 255).all()
        assert (sheet[2] == 128).all() and (sheet[:, 4] == 128).all()

    def test_the_nearest_real_image_stands_below(self, monkeypatch):
        data = DATA["image"]
        run = fit_wgan(data, steps=1, **SMALL)
        train = run.scale.inverse_transform(run.real.train)
        monkeypatch.setattr(WGAN, "sample_encoded", lambda self, n, rng=0: train[5:6].repeat(n, 0))
        import base64

        sheet = pixels(base64.b64decode(build_gallery(run).now[0].image.partition(",")[2]))[..., 0]
        assert np.array_equal(sheet[:5], sheet[6:11])  # a copy looks like what stands below it


class TestLines:
    @pytest.mark.slow
    def test_repr_is_one_line_and_str_tells_alarms(self, plain):
        plain.alarms = [Alarm(10, "collapse", "few kinds", "pack points")]
        assert repr(plain) == f"<WGAN of points in the plane; 20 steps; {plain.w1}; 1 alarm>"
        assert f"at step {plain.best.step}" in repr(plain)
        lines = str(plain).splitlines()
        assert re.fullmatch(
            r"sampling noise taken off: -?[\d.]+ ± [\d.]+, at step 20, the last check", lines[2]
        )
        assert lines[0].startswith("WGAN of points in the plane, 20 steps in ") and lines[1] == str(plain.w1)
        assert lines[-1] == "alarm at step 10: collapse: few kinds; pack points"

    def test_steps_are_shown_between_checks(self, monkeypatch):
        lines = []
        monkeypatch.setattr("otdist.learn.wgan.loop.PROGRESS_SECONDS", 0.0)
        monkeypatch.setattr(
            "otdist.learn.wgan.loop.display_progress", lambda *given: nullcontext(lines.append)
        )
        fit_wgan(DATA["plane"], steps=4, **SMALL)
        assert [line.partition("  ")[0].partition(",")[0] for line in lines[1:4]] == [
            "step 1",
            "step 2",
            "step 3",
        ]
        assert all("first check at step 10" in line for line in lines[:4])

    @pytest.mark.slow
    def test_the_progress_line_fits_a_terminal_of_100_columns(self, plain):
        plain.state.step, plain.seconds = 12_345, 3599.0
        plain.schedule = Schedule(20_000, None, 0.3)
        plain.alarms = [Alarm(1, "a", "b", "c")] * 2
        set_history(plain, [check(lower=0.0412, upper=0.0523, estimate=0.0581, floor=0.0302)])
        line = log.progress_line(plain)
        assert len("x training: " + line) <= 100 and "\n" not in line
        assert line.startswith(
            "W1 in [0.0412, 0.0523]  samples 0.0581, floor 0.0302  2 alarms  step 12,345, "
        )
        set_history(plain, [])
        assert "first check at step 10" in log.progress_line(plain)

    @pytest.mark.parametrize(
        ("seconds", "words"),
        [(0.123, "0.12 s"), (9.96, "10 s"), (99.4, "99 s"), (99.6, "2 min"), (7140, "1 h 59 min")],
    )
    def test_seconds_as_people_say_them(self, seconds, words):
        assert format_duration(seconds) == words

    def test_versions_of_a_run_that_went_on_are_told_in_turn(self):
        now = merge_versions({})
        assert merge_versions(now) == now
        assert merge_versions(now | {"torch": "1.0"})["torch"] == f"1.0, then {now['torch']}"


class TestRunLog:
    def test_each_alarm_stands_with_the_check_that_follows_it(self, tmp_path):
        history = [check(step=10), check(step=20)]
        alarms = [Alarm(0, "data", "b", "c"), Alarm(7, "one", "b", "c"), Alarm(20, "two", "b", "c")]
        kept = log.RunLog(tmp_path, history, alarms)
        kept.write(check(step=30), [*alarms, Alarm(25, "three", "b", "c")])
        records = [json.loads(line) for line in (tmp_path / log.LOG_FILE).read_text().splitlines()]
        told = [[alarm["name"] for alarm in record.get("alarms", [])] for record in records]
        assert told == [["data", "one"], ["two"], ["three"]]
        again = log.RunLog(tmp_path, [*history, check(step=30)], [*alarms, Alarm(25, "three", "b", "c")])
        assert [json.loads(line) for line in (tmp_path / log.LOG_FILE).read_text().splitlines()] == records
        again.close()

    @pytest.mark.slow
    def test_a_run_writes_a_line_a_check(self, tmp_path):
        run = fit_wgan(DATA["plane"], steps=30, folder=tmp_path, **SMALL)
        records = [json.loads(line) for line in (tmp_path / log.LOG_FILE).read_text().splitlines()]
        assert [{k: v for k, v in r.items() if k != "alarms"} for r in records] == [
            one.to_dict() for one in run.history
        ]

    @pytest.mark.slow
    def test_scalars_go_to_tensorboard_where_it_is_installed(self, tmp_path, monkeypatch):
        class Writer:
            said: list = []  # noqa: RUF012
            open = 0

            def __init__(self, folder, purge_step):
                self.said.append((folder, purge_step))
                Writer.open += 1

            def add_scalar(self, name, value, step):
                self.said.append((name, value, step))

            def flush(self):
                self.said.append("flush")

            def close(self):
                Writer.open -= 1

        board = types.ModuleType("tensorboard")
        board.SummaryWriter = Writer
        monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", board)
        fit_wgan(DATA["plane"], steps=10, **SMALL)
        assert Writer.said == []  # no folder, no board
        run = fit_wgan(DATA["plane"], steps=20, folder=tmp_path, **SMALL)
        assert Writer.said[0] == (str(tmp_path / "tensorboard"), 1) and Writer.open == 0
        for one in run.history:
            assert ("estimate", one.estimate, one.step) in Writer.said
        names = {item[0] for item in Writer.said if len(item) == 3}
        assert {"lower", "upper", "floor", "coverage"} <= names and "step" not in names
        fit_wgan(DATA["plane"], steps=30, folder=tmp_path, resume=True)
        assert (str(tmp_path / "tensorboard"), 21) in Writer.said and Writer.open == 0

    def test_without_tensorboard_there_is_a_log_and_no_word(self, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
        fit_wgan(DATA["plane"], steps=10, folder=tmp_path, **SMALL)
        assert {file.name for file in tmp_path.iterdir()} == {checkpoint.RUN_FILE, log.LOG_FILE}

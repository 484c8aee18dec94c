"""HTML report of a run: distance to the data, curves, samples, alarms and settings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from otdist.errors import InputError
from otdist.learn.wgan.monitor.stopping import TEST_LEVEL
from otdist.learn.wgan.report import curves
from otdist.learn.wgan.report.pictures import build_gallery
from otdist.learn.wgan.report.summary import format_duration, format_with_error
from otdist.pages.formatting import DASH, capitalise, format_count, format_interval, format_number
from otdist.pages.page import load_template, write_page
from otdist.runtime.files import check_target
from otdist.runtime.versions import get_version

if TYPE_CHECKING:
    from otdist.learn.wgan.real import RealData, WGANData, WGANLabels
    from otdist.learn.wgan.wgan import WGAN

LIKE_REAL_FLOORS = 1.05  # distance in floors within the variation of real data
CLOSE_FLOORS = 1.25  # distance in floors that only large samples detect


def write_report(
    run: WGAN,
    path: Path,
    data: WGANData | None = None,
    name: str | None = None,
    y: WGANLabels | None = None,
) -> Path:
    """Write the page with heading ``name``; ``data`` are the data of a run that does not hold them.

    Raises
    ------
    InputError
        If the page cannot be written, or data are not the data of the run.
    """
    target = check_target(path)  # before the work of drawing
    previous_data = run.real
    try:
        if data is not None:
            run.real = _read_data(run, data, y)
        return write_page(render_page(run, name), target)
    finally:
        run.real = previous_data


def render_page(run: WGAN, name: str | None = None) -> str:
    """Return the page as a string."""
    template = load_template(
        "otdist.learn.wgan.report", "report.html.j2", counted=_format_integer, shown=_format_setting
    )
    history, check = run.history, run.reported_check
    steps = [alarm.step for alarm in run.alarms]
    card = run.card
    return template.render(
        run=run,
        card=card,
        name=name or capitalise(card["subject"]),
        badge=grade(run),
        check_steps=[f"{check.step:,}" for check in history],
        few=0 < len(history) < curves.MIN_CURVE_CHECKS,
        check=None if check is None else check.to_dict(),
        which=which_check(run),
        debiased="" if check is None else format_with_error(check.debiased, check.debiased_error),
        floor=_mean_floor(run),
        ratio=_floor_ratio(run),
        interval="" if check is None else format_interval(check.lower, check.upper),
        verdict=distance_sentence(run),
        unit="in the units of the data" if run.scale.common else "in standard deviations of the columns",
        duration=format_duration(run.seconds),
        checks=format_count(len(history), "check"),
        bracket=curves.draw_bracket(history, steps),
        late=curves.draw_bracket(history, steps, late=True),
        gaps=curves.draw_gaps(history),
        others=curves.draw_others(history),
        gallery=build_gallery(run),
        alarms=[asdict(alarm) for alarm in run.alarms],
        settings=_format_settings(card["settings"]),
        version=get_version(),
        min_curve_checks=curves.MIN_CURVE_CHECKS,
        like_real_floors=LIKE_REAL_FLOORS,
        close_floors=CLOSE_FLOORS,
        test_level=TEST_LEVEL,
        dash=DASH,
    )


def which_check(run: WGAN) -> str:
    """Describe which check the figures and samples are from; empty if it is the only one."""
    check, last = run.reported_check, run.history[-1] if run.history else None
    if check is None or last is None or len(run.history) == 1:
        return ""
    if check.step == last.step:
        return f"Figures and samples are those of the last check, step {check.step:,}."
    total = format_count(len(run.history), "check")
    return (
        f"Figures and samples are those of step {check.step:,}, the best of {total}; the last one is at step "
        f"{last.step:,}."
    )


def distance_sentence(run: WGAN) -> str:
    """Describe the distance to the data in one sentence."""
    check, floor = run.reported_check, _mean_floor(run)
    if check is None:
        return "No check has been made, so nothing is known of the distance to the data."
    samples = (
        f"W1 between {check.n} fresh and {check.n} held-out points is {format_number(check.estimate)}, "
        f"between real and real {format_number(floor)}"
    )
    ratio = check.estimate / floor if floor > 0 else math.nan
    if not math.isfinite(ratio):
        return f"{samples}."
    if ratio <= LIKE_REAL_FLOORS:
        comparison = "As near to data kept aside as real data are to one another"
    else:
        comparison = f"{_format_ratio(ratio)} as far from data kept aside as real data are from one another"
    return f"{comparison}: {samples}."


def grade(run: WGAN) -> tuple[str, str]:
    """Return a grade of a run in a few words, and its CSS class."""
    if run.diverged:
        return "training failed", "bad"
    check, floor = run.reported_check, _mean_floor(run)
    ratio = check.estimate / floor if check is not None and floor > 0 else math.nan
    if check is None or not math.isfinite(ratio):
        return "", ""
    if ratio > CLOSE_FLOORS:
        return "not like real data yet", "bad"
    if ratio > LIKE_REAL_FLOORS or check.pvalue < TEST_LEVEL:
        return "close to real data", "fair"
    return "like real data", "good"


def _mean_floor(run: WGAN) -> float:
    """Return the mean floor of all checks of the size of the reported one: a single floor is noisy."""
    check = run.reported_check
    floors = [] if check is None else [other.floor for other in run.history if other.n == check.n]
    return math.fsum(floors) / len(floors) if floors else math.nan


def _floor_ratio(run: WGAN) -> str:
    check, floor = run.reported_check, _mean_floor(run)
    if check is None or not floor > 0 or not math.isfinite(check.estimate):
        return DASH
    return f"{check.estimate / floor:.3g}×"


def _format_ratio(ratio: float) -> str:
    return f"{ratio:.2f} times" if ratio < 10 else f"{ratio:.0f} times"


def _format_settings(settings: Mapping[str, object]) -> list[tuple[str, str]]:
    return [(name, _format_setting(value)) for name, value in settings.items()]


def _format_setting(value: object) -> str:
    """Format the value of a setting."""
    if isinstance(value, float):
        return f"{value:g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _format_integer(value: int) -> str:
    return f"{value:,}"


def _read_data(run: WGAN, data: WGANData, y: WGANLabels | None) -> RealData:
    real = run.read_data(data, y)
    if real.sha256 != run.sha256:
        raise InputError("data", "must be the data of the run", "leave them out")
    return real

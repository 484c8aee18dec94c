"""A run as one HTML page: how far from the data, curves, samples, alarms, and every setting."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from otdist.errors import InputError
from otdist.learn.wgan import curves
from otdist.learn.wgan.card import counted, duration
from otdist.learn.wgan.pictures import gallery
from otdist.learn.wgan.real import Real
from otdist.pages.page import target_of, template_of, version, write_page
from otdist.pages.words import DASH, interval, number

if TYPE_CHECKING:
    from otdist.learn.wgan.wgan import WGAN

NEAR = 1.05  # in floors: what real data vary by


def write_report(run: WGAN, path: Path, data: Any = None) -> Path:
    """Write the page; ``data`` are those of the run, if it does not hold them.

    Raises
    ------
    InputError
        If the page cannot be written, or data are others than those of the run.
    """
    target = target_of(path)  # before the work of drawing
    before = run.real
    try:
        if data is not None:
            run.real = _real(run, data)
        return write_page(render(run), target)
    finally:
        run.real = before


def render(run: WGAN) -> str:
    """Give the page as a string."""
    template = template_of("otdist.learn.wgan", "report.html.j2", counted=_count, shown=_shown)
    history, last = run.history, run.history[-1] if run.history else None
    steps = [alarm.step for alarm in run.alarms]
    card = run.card
    return template.render(
        run=run,
        card=card,
        last=None if last is None else last.to_dict(),
        floor=_floor(run),
        ratio=_ratio(run),
        interval="" if last is None else interval(last.lower, last.upper),
        verdict=verdict(run),
        unit="in the units of the data" if run.scale.common else "in spreads of the columns",
        duration=duration(run.seconds),
        checks=counted(len(history), "check"),
        bracket=curves.bracket(history, steps),
        late=curves.bracket(history, steps, late=True),
        gaps=curves.gaps(history),
        others=curves.others(history),
        gallery=gallery(run),
        alarms=[asdict(alarm) for alarm in run.alarms],
        settings=_settings(card["settings"]),
        version=version(),
        dash=DASH,
    )


def verdict(run: WGAN) -> str:
    """How far from the data, in one sentence."""
    if not run.history:
        return "No check has been made, so nothing is known of the distance to the data."
    last, floor = run.history[-1], _floor(run)
    samples = (
        f"W1 between {last.n} fresh and {last.n} held-out points is {number(last.estimate)}, "
        f"between real and real {number(floor)}"
    )
    ratio = last.estimate / floor if floor > 0 else math.nan
    if not math.isfinite(ratio):
        return f"{samples}."
    if ratio <= NEAR:
        how = "As near to data kept aside as real data are to one another"
    else:
        how = f"{_times(ratio)} as far from data kept aside as real data are from one another"
    return f"{how}: {samples}."


def _floor(run: WGAN) -> float:
    """Mean floor of all checks of the last one's size: it is of the data alone, and one check's is noisy."""
    floors = [check.floor for check in run.history if check.n == run.history[-1].n]
    return math.fsum(floors) / len(floors) if floors else math.nan


def _ratio(run: WGAN) -> str:
    floor = _floor(run)
    if not floor > 0 or not math.isfinite(run.history[-1].estimate):
        return DASH
    return f"{run.history[-1].estimate / floor:.3g}×"


def _times(ratio: float) -> str:
    return f"{ratio:.2f} times" if ratio < 10 else f"{ratio:.0f} times"


def _settings(settings: dict[str, Any]) -> list[tuple[str, str]]:
    return [(name, _shown(value)) for name, value in settings.items()]


def _shown(value: Any) -> str:
    """A setting as it would be typed."""
    if isinstance(value, float):
        return f"{value:g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _count(value: int) -> str:
    return f"{value:,}"


def _real(run: WGAN, data: Any) -> Real:
    real = Real.of(data, held_out=run.settings.held_out, scale=run.settings.scale, seed=run.state.seed)
    if real.sha256 != run.sha256:
        raise InputError("data", "are not those that the run was made with", "leave them out")
    return real

"""Summary of a run: its card, a line and a paragraph."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import nn

from otdist.learn.wgan.networks import network_sizes
from otdist.pages.formatting import format_count, format_number
from otdist.runtime.versions import get_version

if TYPE_CHECKING:
    from otdist.learn.wgan.wgan import WGAN

RECORDED_PACKAGES = ("otdist", "torch", "numpy", "scipy")
MIN_SERIES_LENGTH = 8  # entries from which a point without column names counts as a series


def point_kind(shape: tuple[int, ...], columns: tuple[str, ...] | None) -> str:
    """Return the kind of points: "image", "series" or "row"."""
    if len(shape) > 1 and min(shape[-2:]) > 1:
        return "image"
    return "row" if columns is not None or max(shape) < MIN_SERIES_LENGTH else "series"


def describe_points(shape: tuple[int, ...], columns: tuple[str, ...] | None) -> str:
    """Describe the generated points in words."""
    kind = point_kind(shape, columns)
    if kind == "image":
        channels = f" in {shape[0]} channels" if len(shape) > 2 and shape[0] > 1 else ""
        return f"images of {shape[-2]} x {shape[-1]}{channels}"
    if kind == "series":
        return f"series of {max(shape)} numbers"
    if columns is not None:
        return f"a table of {format_count(len(columns), 'column')}"
    return {1: "points on a line", 2: "points in the plane"}.get(
        max(shape), f"points in {max(shape)} columns"
    )


def describe_run(run: WGAN) -> str:
    """Describe the generated points and their classes in words."""
    points = describe_points(run.shape, run.columns)
    return points if run.classes is None else f"{points}, in {run.classes.count} classes"


def one_line_summary(run: WGAN) -> str:
    """Summarise a run in one line."""
    parts = [f"WGAN of {describe_run(run)}", f"{run.steps:,} steps"]
    if run.reported_check is not None:
        parts.append(str(run.w1))
    if run.alarms:
        parts.append(format_count(len(run.alarms), "alarm"))
    return f"<{'; '.join(parts)}>"


def summarise(run: WGAN) -> str:
    """Summarise a run in some lines, with its alarms."""
    points, seconds = describe_run(run), format_duration(run.seconds)
    heading = f"WGAN of {points}, {run.steps:,} steps in {seconds}"
    lines = [heading, *_describe_distance(run)]
    lines += [run.message] if run.message else []
    return "\n".join(lines + [f"alarm at {alarm}" for alarm in run.alarms])


def _describe_distance(run: WGAN) -> list[str]:
    """Describe the reported check in two lines: its bracket, and the distance less sampling noise."""
    check = run.reported_check
    if check is None:
        return ["no check has been made"]
    distance = format_with_error(check.debiased, check.debiased_error)
    which = "last" if check.step == run.history[-1].step else "best"
    return [str(run.w1), f"sampling noise taken off: {distance}, at step {check.step:,}, the {which} check"]


def format_with_error(value: float, error: float | None) -> str:
    """Format a value with its standard error, if that is known."""
    return format_number(value) if error is None else f"{format_number(value)} ± {format_number(error)}"


def build_card(run: WGAN) -> dict[str, Any]:
    """Collect settings, data, networks, versions and time of a run, without details of the machine."""
    state = run.state
    return {
        "subject": describe_run(run),
        "steps": run.steps,
        "seconds": run.seconds,
        "message": run.message,
        "best step": None if run.best is None else run.best.step,
        "seed": state.seed,
        "budget": {"steps": run.schedule.steps, "max_seconds": run.schedule.max_seconds},
        "settings": run.settings.to_dict() | {"latent": network_sizes(run.settings, state.d)[0]},
        "n_critic now": state.n_critic,
        "points": {"trained on": run.sizes[0], "kept aside": run.sizes[1]},
        "shape": list(run.shape),
        "columns": None if run.columns is None else list(run.columns),
        "classes": None if run.classes is None else list(run.classes.codec.labels),
        "sha256 of the data": run.sha256,
        "networks": {name: _network(getattr(state, name)) for name in ("generator", "critic")},
        "versions": dict(run.versions),
    }


def merge_versions(previous: Mapping[str, str]) -> dict[str, str]:
    """Return the versions of Python and packages, after those that a run started with."""
    current = {"python": platform.python_version()}
    current |= {name: get_version(name) for name in RECORDED_PACKAGES}
    return {
        name: version
        if previous.get(name, version).endswith(version)
        else f"{previous[name]}, then {version}"
        for name, version in current.items()
    }


def format_duration(seconds: float) -> str:
    """Format a time in seconds, minutes or hours."""
    if seconds < 99.5:
        return f"{seconds:.2g} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def _network(module: nn.Module) -> dict[str, object]:
    return {"parameters": sum(p.numel() for p in module.parameters()), "layers": repr(module)}

"""What a reader of a figure needs to know of the run that it comes from."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib import metadata
from typing import TYPE_CHECKING, Any

from torch import nn

if TYPE_CHECKING:
    from otdist.learn.wgan.wgan import WGAN

PACKAGES = ("otdist", "torch", "numpy", "scipy")
SERIES = 8  # numbers without names from which a point is taken for a series


def kind(shape: tuple[int, ...], columns: tuple[str, ...] | None) -> str:
    """What points are: "image", "series" or "row"."""
    if len(shape) > 1 and min(shape[-2:]) > 1:
        return "image"
    return "row" if columns is not None or max(shape) < SERIES else "series"


def subject(shape: tuple[int, ...], columns: tuple[str, ...] | None) -> str:
    """What is generated, in words."""
    what = kind(shape, columns)
    if what == "image":
        channels = f" in {shape[0]} channels" if len(shape) > 2 and shape[0] > 1 else ""
        return f"images of {shape[-2]} x {shape[-1]}{channels}"
    if what == "series":
        return f"series of {max(shape)} numbers"
    if columns is not None:
        return f"a table of {counted(len(columns), 'column')}"
    return {1: "points on a line", 2: "points in the plane"}.get(
        max(shape), f"points in {max(shape)} columns"
    )


def line(run: WGAN) -> str:
    """Everything at a glance, in one line."""
    parts = [f"WGAN of {subject(run.shape, run.columns)}", f"{run.steps:,} steps"]
    if run.history:
        parts.append(str(run.w1))
    if run.alarms:
        parts.append(counted(len(run.alarms), "alarm"))
    return f"<{'; '.join(parts)}>"


def paragraph(run: WGAN) -> str:
    """The same in some lines, with alarms."""
    first = f"WGAN of {subject(run.shape, run.columns)}, {run.steps:,} steps in {duration(run.seconds)}"
    lines = [first, str(run.w1) if run.history else "no check has been made"]
    lines += [run.message] if run.message else []
    return "\n".join(lines + [f"alarm at {alarm}" for alarm in run.alarms])


def card_of(run: WGAN) -> dict[str, Any]:
    """Settings, data, networks, versions and time of a run; nothing of the machine."""
    state = run.state
    return {
        "subject": subject(run.shape, run.columns),
        "steps": run.steps,
        "seconds": run.seconds,
        "message": run.message,
        "seed": state.seed,
        "budget": {"steps": run.schedule.steps, "max_seconds": run.schedule.max_seconds},
        "settings": run.settings.to_dict() | {"latent": state.latent},
        "n_critic now": state.n_critic,
        "points": {"trained on": run.sizes[0], "kept aside": run.sizes[1]},
        "shape": list(run.shape),
        "columns": None if run.columns is None else list(run.columns),
        "sha256 of the data": run.sha256,
        "networks": {name: _network(getattr(state, name)) for name in ("generator", "critic")},
        "versions": dict(run.versions),
    }


def versions(before: Mapping[str, str]) -> dict[str, str]:
    """Versions of what computes, after those that a run began with."""
    now = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            now[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            now[name] = "unknown"
    return {
        name: version if before.get(name, version).endswith(version) else f"{before[name]}, then {version}"
        for name, version in now.items()
    }


def counted(count: int, noun: str) -> str:
    """A number of things."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 99.5:
        return f"{seconds:.2g} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def _network(module: nn.Module) -> dict[str, Any]:
    return {"parameters": sum(p.numel() for p in module.parameters()), "layers": repr(module)}

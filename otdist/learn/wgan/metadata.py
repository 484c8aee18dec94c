"""Metadata of a run for its file, and a run from its file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from otdist.errors import InputError, get_reason
from otdist.learn.wgan import checkpoint
from otdist.learn.wgan.columns.classes import Classes
from otdist.learn.wgan.columns.encoder import TableEncoder
from otdist.learn.wgan.columns.generator import Assembly
from otdist.learn.wgan.monitor.alarms import Alarm
from otdist.learn.wgan.monitor.best import BestGenerator
from otdist.learn.wgan.monitor.check import Check
from otdist.learn.wgan.monitor.snapshots import Snapshots
from otdist.learn.wgan.real import Scale
from otdist.learn.wgan.schedule import Schedule
from otdist.learn.wgan.settings import Settings
from otdist.learn.wgan.state import State, build_state

if TYPE_CHECKING:
    from otdist.learn.wgan.wgan import WGAN

UserModules = tuple[nn.Module | None, nn.Module | None]  # the caller's generator and critic


def collect_metadata(run: WGAN) -> dict[str, object]:
    """Collect everything about a run that is not a tensor, for JSON."""
    state = run.state
    return {
        "settings": run.settings.to_dict(),
        "seed": state.seed,
        "step": state.step,
        "n_critic": state.n_critic,
        "rate_scale": state.rate_scale,
        "gaps": state.gaps,
        "schedule": vars(run.schedule),
        "shape": list(run.shape),
        "columns": None if run.columns is None else list(run.columns),
        "centre": run.scale.centre.tolist(),
        "unit": run.scale.unit.tolist(),
        "common": run.scale.common,
        "sha256": run.sha256,
        "user_modules": list(run.user_modules),
        "history": [check.to_dict() for check in run.history],
        "alarms": [alarm.to_dict() for alarm in run.alarms],
        "seconds": run.seconds,
        "message": run.message,
        "stop_reason": run.stop_reason,
        "sizes": list(run.sizes),
        "snapshots": run.snapshots.metadata(),
        "best": run.best_generator.metadata(),
        "versions": run.versions,
        "encoder": None if run.encoder is None else run.encoder.to_json(),
        "classes": None if run.classes is None else run.classes.to_json(),
    }


def read_run(run_class: type[WGAN], folder: Path, user_modules: UserModules, device: torch.device) -> WGAN:
    """Read the run of a folder."""
    tensors, metadata = checkpoint.read(folder)
    for name in metadata["user_modules"]:
        if dict(zip(("generator", "critic"), user_modules, strict=True))[name] is None:
            raise InputError(name, "must be given, since the run was made with yours", f"pass {name}=...")
    history = [Check(**check) for check in metadata["history"]]
    best = BestGenerator.of(metadata.get("best"), tensors, history)  # files before it have none
    scale = Scale(np.array(metadata["centre"]), np.array(metadata["unit"]), metadata["common"])
    # Runs of the first format have neither.
    encoder, classes = metadata.get("encoder"), metadata.get("classes")
    assembly = Assembly(
        None if encoder is None else TableEncoder.from_json(encoder),
        None if classes is None else Classes.from_json(classes),
        scale,
    )
    return run_class(
        _state(metadata, tensors, user_modules, device, assembly),
        scale,
        tuple(metadata["shape"]),
        Schedule(**metadata["schedule"]),
        metadata["sha256"],
        None if metadata["columns"] is None else tuple(metadata["columns"]),
        tuple(metadata["user_modules"]),
        history,
        [Alarm(**alarm) for alarm in metadata["alarms"]],
        metadata["seconds"],
        metadata["message"],
        tuple(metadata["sizes"]),
        Snapshots.of(metadata["snapshots"], tensors),
        metadata["versions"],
        stop_reason=metadata["stop_reason"],
        best_generator=best,
        encoder=assembly.encoder,
        classes=assembly.classes,
    )


def _state(
    metadata: dict[str, Any],
    tensors: dict[str, Tensor],
    user_modules: UserModules,
    device: torch.device,
    assembly: Assembly,
) -> State:
    """Build the training state from metadata and tensors."""
    settings = Settings(**metadata["settings"])
    state = build_state(settings, tuple(metadata["shape"]), metadata["seed"], *user_modules, device, assembly)
    try:
        checkpoint.restore(state, tensors)
    except (RuntimeError, KeyError, ValueError) as error:
        problem = f"does not fit these networks: {get_reason(error)}"
        raise InputError("folder", problem, "pass the modules that the run was made with") from error
    state.step, state.n_critic, state.rate_scale = (
        metadata["step"],
        metadata["n_critic"],
        metadata["rate_scale"],
    )
    state.gaps = list(metadata["gaps"])
    return state

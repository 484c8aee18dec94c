"""A run as facts and tensors, and back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from otdist.errors import InputError
from otdist.learn.wgan import checkpoint
from otdist.learn.wgan.alarms import Alarm
from otdist.learn.wgan.check import Check
from otdist.learn.wgan.real import Scale
from otdist.learn.wgan.schedule import Schedule
from otdist.learn.wgan.settings import Settings
from otdist.learn.wgan.state import State, state_of
from otdist.learn.wgan.strips import Strips

if TYPE_CHECKING:
    from otdist.learn.wgan.wgan import WGAN

Own = tuple[nn.Module | None, nn.Module | None]  # the caller's generator and critic


def facts_of(run: WGAN) -> dict[str, Any]:
    """Everything about a run that is no tensor, for JSON."""
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
        "own": list(run.own),
        "history": [check.to_dict() for check in run.history],
        "alarms": [alarm.to_dict() for alarm in run.alarms],
        "seconds": run.seconds,
        "message": run.message,
        "sizes": list(run.sizes),
        "strips": run.strips.facts(),
        "versions": run.versions,
    }


def read_run(kind: type[WGAN], folder: Path, own: Own, device: torch.device) -> WGAN:
    """The run that a folder holds."""
    tensors, facts = checkpoint.read(folder)
    for name in facts["own"]:
        if dict(zip(("generator", "critic"), own, strict=True))[name] is None:
            raise InputError(name, "the run was made with your own one", f"pass it: {name}=...")
    return kind(
        _state(facts, tensors, own, device),
        Scale(np.array(facts["centre"]), np.array(facts["unit"]), facts["common"]),
        tuple(facts["shape"]),
        Schedule(**facts["schedule"]),
        facts["sha256"],
        None if facts["columns"] is None else tuple(facts["columns"]),
        tuple(facts["own"]),
        [Check(**check) for check in facts["history"]],
        [Alarm(**alarm) for alarm in facts["alarms"]],
        facts["seconds"],
        facts["message"],
        tuple(facts["sizes"]),
        Strips.of(facts["strips"], tensors),
        facts["versions"],
    )


def _state(facts: dict[str, Any], tensors: dict[str, Tensor], own: Own, device: torch.device) -> State:
    """Networks and all that goes with them, as they were."""
    settings = Settings(**facts["settings"])
    state = state_of(settings, tuple(facts["shape"]), facts["seed"], *own, device)
    try:
        checkpoint.restore(state, tensors)
    except (RuntimeError, KeyError, ValueError) as error:
        what = f"does not fit these networks: {str(error).splitlines()[0]}"
        raise InputError("folder", what, "pass the modules that the run was made with") from error
    state.step, state.n_critic, state.rate_scale = facts["step"], facts["n_critic"], facts["rate_scale"]
    state.gaps = list(facts["gaps"])
    return state

"""Critics on disk: tensors in safetensors, the rest in JSON, nothing that runs code when read."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from otdist.errors import InputError
from otdist.learn.critics.anchors import Anchors
from otdist.learn.critics.fitted import Fitted, Placement
from otdist.learn.critics.folds import Folds
from otdist.learn.critics.frame import Frame
from otdist.learn.critics.landmarks import Landmarks
from otdist.learn.critics.orthogonal import Orthogonal
from otdist.learn.critics.penalised import Penalised
from otdist.learn.critics.pieces import Pieces
from otdist.learn.critics.subspace import Subspace
from otdist.metrics import Metric
from otdist.metrics.names import resolve

FORMAT = "otdist critic 1"
TENSORS, FACTS = "critic.safetensors", "critic.json"


def write_critic(folder: Path, fitted: Fitted, facts: dict[str, Any]) -> Path:
    """Write a critic, and facts about it; files that exist are replaced one by one, whole."""
    from safetensors.torch import save

    frame, placement = fitted.frame, fitted.placement
    if named(frame.metric.name) is not frame.metric:
        raise InputError("metric", f"{frame.metric.name!r} cannot be written", "use a metric with a name")
    module = {
        f"module.{name}": value.contiguous().cpu() for name, value in fitted.module.state_dict().items()
    }
    arrays = {"centre": frame.centre, "landmarks": frame.landmarks, "placement": placement.centre}
    frames = {f"frame.{name}": torch.as_tensor(a) for name, a in arrays.items() if a is not None}
    head = {
        "format": FORMAT,
        "kind": type(fitted.module).__name__,
        "name": fitted.name,
        "metric": frame.metric.name,
        "unit": frame.unit,
        "tau": getattr(fitted.module, "tau", None),
        "poles": getattr(fitted.module, "poles", None),
        "constraint": getattr(fitted.module, "constraint", None),
        "activation": getattr(fitted.module, "activation", None),
        "exponent": placement.exponent,
        "degree": placement.degree,
        "box": fitted.box,
    }
    tensors = save(module | frames)
    head["sha256"] = hashlib.sha256(tensors).hexdigest()  # tells a pair that does not belong together
    text = json.dumps(head | facts, indent=1, default=_plain)
    folder.mkdir(parents=True, exist_ok=True)
    _replace({folder / TENSORS: tensors, folder / FACTS: text.encode()})
    return folder


def read_critic(folder: Path, device: torch.device, kept: tuple[str, ...]) -> tuple[Fitted, dict[str, Any]]:
    """Read a critic, and the facts about it that were kept."""
    try:
        facts = json.loads((folder / FACTS).read_bytes())
        content = (folder / TENSORS).read_bytes()
    except FileNotFoundError as error:
        raise InputError(
            "folder", f"{error.filename} is not there", "give a folder that save wrote"
        ) from error
    except (OSError, ValueError) as error:
        raise InputError("folder", f"{folder} is damaged: {error}", "write it again by save") from error
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise InputError(
            "folder", f"{folder / FACTS} holds no critic of this version", "write it again by save"
        )
    if hashlib.sha256(content).hexdigest() != facts.get("sha256"):
        raise InputError(
            "folder", f"{folder / TENSORS} is damaged or of another critic", "write it again by save"
        )
    try:
        return _read(facts, content, device), {name: facts[name] for name in kept}
    except KeyError as error:
        raise InputError("folder", f"{folder / FACTS} lacks {error}", "write it again by save") from error


def _read(facts: dict[str, Any], content: bytes, device: torch.device) -> Fitted:
    from safetensors.torch import load

    tensors = load(content)
    state = {name.removeprefix("module."): v for name, v in tensors.items() if name.startswith("module.")}
    arrays = {name: _array(tensors, name) for name in ("centre", "landmarks", "placement")}
    centre = arrays["centre"]
    assert centre is not None
    frame = Frame(resolve(facts["metric"]), centre, facts["unit"], device, arrays["landmarks"])
    placement = Placement(arrays["placement"], facts["exponent"], facts["degree"])
    module = _module(facts, state).to(device)
    return Fitted.of(facts["name"], module, frame, placement, facts["box"])


def named(name: str) -> Metric | None:
    """Metric of a name, or None."""
    try:
        return resolve(name)
    except InputError:
        return None


def _module(facts: dict[str, Any], state: dict[str, torch.Tensor]) -> torch.nn.Module:
    kind, tau = facts["kind"], facts["tau"]
    own = torch.Generator()  # for first weights, which are replaced: the caller's generator stays as it is
    if kind == "Anchors":
        module: torch.nn.Module = Anchors(
            state["anchors"], poles=facts["poles"], metric=facts["metric"], tau=tau
        )
    elif kind == "Landmarks":
        module = Landmarks(state["offsets"].shape[1], poles=facts["poles"], tau=tau)
    elif kind == "Pieces":
        members, groups, d = state["slopes"].shape
        module = Pieces(torch.zeros(groups, d), members=members, tau=tau, generator=own)
    elif kind == "Folds":
        heads, d = len(state["offsets"]), state["weights.0"].shape[1]
        module = Folds(torch.zeros(heads, d), poles=facts["poles"], tau=tau, generator=own)
    elif kind == "Subspace":
        inner = Anchors(state["inner.anchors"], poles=facts["poles"], tau=tau)
        module = Subspace(state["weights.0"], inner)
    elif kind == "Penalised":
        width = len(state["network.0.bias"])
        d = next(v for name, v in state.items() if name.startswith("network.0") and v.ndim == 2).shape[1]
        module = Penalised(d, facts["constraint"], width=width, generator=own)
    elif kind == "Orthogonal":
        depth = sum(name.startswith("weights.") for name in state)
        width, d = state["weights.0"].shape
        heads = 1 if state["head"].ndim == 1 else len(state["head"])
        module = Orthogonal(
            d,
            width=width,
            depth=depth,
            activation=facts["activation"],
            heads=heads,
            poles=facts["poles"] or "max",  # files of one head have none
            generator=own,
        )
        if heads > 1:
            module.tau = tau
    else:
        raise InputError("folder", f"holds a critic of the unknown kind {kind!r}", "update otdist")
    module = module.double()
    module.load_state_dict(state)
    return module


def _array(tensors: dict[str, torch.Tensor], name: str) -> Any:
    found = tensors.get(f"frame.{name}")
    return None if found is None else np.asarray(found.numpy(), dtype=np.float64)


def _plain(value: Any) -> Any:
    """Numbers of numpy, which a caller may have given, for JSON."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} cannot be written")


def _replace(contents: dict[Path, bytes]) -> None:
    """Write all of them beside the files first, so that a full disk leaves the old ones."""
    beside = {path.with_suffix(path.suffix + ".part"): path for path in contents}
    try:
        for part, path in beside.items():
            part.write_bytes(contents[path])
        for part, path in beside.items():
            part.replace(path)
    finally:
        for part in beside:
            part.unlink(missing_ok=True)

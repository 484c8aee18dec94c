"""Critics on disk: tensors in safetensors, metadata in JSON; no code runs when they are read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from otdist.errors import InputError
from otdist.inputs.arguments import format_value
from otdist.learn.critics.families.affine import Pieces
from otdist.learn.critics.families.anchors import Anchors
from otdist.learn.critics.families.folds import Folds
from otdist.learn.critics.families.landmarks import Landmarks
from otdist.learn.critics.families.orthogonal import Orthogonal
from otdist.learn.critics.families.penalised import Penalised
from otdist.learn.critics.families.subspace import Subspace
from otdist.learn.critics.feature_map import FeatureMap, exact_device
from otdist.learn.critics.fitted import ExactScaling, Fitted
from otdist.metrics import Metric
from otdist.metrics.names import resolve
from otdist.runtime.files import make_folder, replace_files
from otdist.typing import Array

CRITIC_FORMAT = "otdist critic 2"
TENSOR_FILE, METADATA_FILE = "critic.safetensors", "critic.json"


def write_critic(folder: Path, fitted: Fitted, metadata: dict[str, object]) -> Path:
    """Write a critic and its metadata; each existing file is replaced atomically."""
    from safetensors.torch import save

    feature_map, scaling = fitted.feature_map, fitted.scaling
    if find_metric(feature_map.metric.name) is not feature_map.metric:
        raise InputError(
            "metric",
            f"must be a metric of otdist by name, got {feature_map.metric.name!r}",
            "use one such as 'euclidean'",
        )
    module = {
        f"module.{name}": value.contiguous().cpu() for name, value in fitted.module.state_dict().items()
    }
    arrays = {"centre": feature_map.centre, "landmarks": feature_map.landmarks, "placement": scaling.centre}
    frames = {f"frame.{name}": torch.as_tensor(a) for name, a in arrays.items() if a is not None}
    header = {
        "format": CRITIC_FORMAT,
        "kind": type(fitted.module).__name__,
        "name": fitted.name,
        "metric": feature_map.metric.name,
        "unit": feature_map.unit,
        "tau": getattr(fitted.module, "tau", None),
        "orientation": getattr(fitted.module, "orientation", None),
        "constraint": getattr(fitted.module, "constraint", None),
        "activation": getattr(fitted.module, "activation", None),
        "exponent": scaling.exponent,
        "degree": scaling.degree,
        "box": fitted.box,
    }
    tensors = save(module | frames)
    header["sha256"] = hashlib.sha256(tensors).hexdigest()  # detects files that do not belong together
    text = json.dumps(header | metadata, indent=1, default=_to_plain)
    make_folder(folder)
    replace_files({folder / TENSOR_FILE: tensors, folder / METADATA_FILE: text.encode()}, "folder")
    return folder


def read_critic(folder: Path, device: torch.device, fields: tuple[str, ...]) -> tuple[Fitted, dict[str, Any]]:
    """Read a critic and the given fields of its metadata."""
    try:
        metadata = json.loads((folder / METADATA_FILE).read_bytes())
        content = (folder / TENSOR_FILE).read_bytes()
    except FileNotFoundError as error:
        raise InputError(
            "folder", f"must hold a saved critic, {error.filename} is missing", "give a folder of Critic.save"
        ) from error
    except (OSError, ValueError) as error:
        raise InputError("folder", f"{folder} cannot be read: {error}", "save the critic again") from error
    found = metadata.get("format") if isinstance(metadata, dict) else None
    if found != CRITIC_FORMAT:
        problem = f"must hold a critic of format {CRITIC_FORMAT!r}, got {format_value(found)}"
        raise InputError("folder", problem, "fit it again, or read it with the version that wrote it")
    if hashlib.sha256(content).hexdigest() != metadata.get("sha256"):
        raise InputError(
            "folder",
            f"{folder / TENSOR_FILE} is damaged or belongs to another critic",
            "save the critic again",
        )
    with name_damage(folder):
        return _build_fitted(metadata, content, device), {name: metadata[name] for name in fields}


@contextmanager
def name_damage(folder: Path) -> Iterator[None]:
    """Convert errors of a critic's metadata to InputErrors: the tensors have a checksum."""
    try:
        yield
    except KeyError as error:
        raise InputError(
            "folder", f"{folder / METADATA_FILE} lacks {error}", "save the critic again"
        ) from error
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise InputError(
            "folder", f"{folder / METADATA_FILE} is damaged ({reason})", "save the critic again"
        ) from error


def _build_fitted(metadata: dict[str, Any], content: bytes, device: torch.device) -> Fitted:
    from safetensors.torch import load

    tensors = load(content)
    state = {name.removeprefix("module."): v for name, v in tensors.items() if name.startswith("module.")}
    arrays = {name: _array(tensors, name) for name in ("centre", "landmarks", "placement")}
    centre = arrays["centre"]
    assert centre is not None
    feature_map = FeatureMap(
        resolve(metadata["metric"]), centre, metadata["unit"], device, arrays["landmarks"]
    )
    scaling = ExactScaling(arrays["placement"], metadata["exponent"], metadata["degree"])
    module = _build_module(metadata, state).to(exact_device(device))
    return Fitted.of(metadata["name"], module, feature_map, scaling, metadata["box"])


def find_metric(name: str) -> Metric | None:
    """Return the metric of a name, or None."""
    try:
        return resolve(name)
    except InputError:
        return None


def _build_module(metadata: dict[str, Any], state: dict[str, torch.Tensor]) -> torch.nn.Module:
    kind, tau = metadata["kind"], metadata["tau"]
    generator = torch.Generator()  # for initial weights, which are replaced; keeps torch's own state
    if kind == "Anchors":
        module: torch.nn.Module = Anchors(
            state["anchors"], orientation=metadata["orientation"], metric=metadata["metric"], tau=tau
        )
    elif kind == "Landmarks":
        module = Landmarks(state["offsets"].shape[1], orientation=metadata["orientation"], tau=tau)
    elif kind == "Pieces":
        members, groups, d = state["slopes"].shape
        module = Pieces(torch.zeros(groups, d), members=members, tau=tau, generator=generator)
    elif kind == "Folds":
        heads, d = len(state["offsets"]), state["weights.0"].shape[1]
        module = Folds(
            torch.zeros(heads, d), orientation=metadata["orientation"], tau=tau, generator=generator
        )
    elif kind == "Subspace":
        inner = Anchors(state["inner.anchors"], orientation=metadata["orientation"], tau=tau)
        module = Subspace(state["weights.0"], inner)
    elif kind == "Penalised":
        width = len(state["network.0.bias"])
        d = next(v for name, v in state.items() if name.startswith("network.0") and v.ndim == 2).shape[1]
        module = Penalised(d, metadata["constraint"], width=width, generator=generator)
    elif kind == "Orthogonal":
        depth = sum(name.startswith("weights.") for name in state)
        width, d = state["weights.0"].shape
        heads = 1 if state["head"].ndim == 1 else len(state["head"])
        module = Orthogonal(
            d,
            width=width,
            depth=depth,
            activation=metadata["activation"],
            heads=heads,
            orientation=metadata["orientation"] or "max",  # not stored for a single head
            generator=generator,
        )
        if heads > 1:
            module.tau = tau
    else:
        raise InputError("folder", f"holds a critic of unknown kind {kind!r}", "update otdist")
    module = module.double()
    module.load_state_dict(state)
    return module


def _array(tensors: dict[str, torch.Tensor], name: str) -> Array | None:
    tensor = tensors.get(f"frame.{name}")
    return None if tensor is None else np.asarray(tensor.numpy(), dtype=np.float64)


def _to_plain(value: object) -> object:
    """Convert NumPy scalars for JSON."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} cannot be written")

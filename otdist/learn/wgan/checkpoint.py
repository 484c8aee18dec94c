"""Checkpoint of a run: tensors and metadata in one file, which is replaced atomically."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from otdist.errors import InputError
from otdist.inputs.arguments import format_value
from otdist.learn.wgan.state import State
from otdist.runtime.files import make_folder, replace_files

RUN_FORMAT = "otdist wgan 3"
READABLE_FORMATS = ("otdist wgan 2", RUN_FORMAT)  # the former has no encoder of tables, and no classes
RUN_FILE = "wgan.safetensors"
METADATA_KEY, DIGEST_KEY = "otdist", "sha256"  # keys of metadata and checksum in the header of the file


def collect_tensors(state: State) -> dict[str, Tensor]:
    """Collect all tensors of the training state by name, including random states."""
    tensors: dict[str, Tensor] = {}
    for name in ("generator", "average", "critic"):
        module = getattr(state, name)
        tensors |= {f"{name}.{key}": value for key, value in module.state_dict().items()}
    for name, optimiser in state.optimisers.items():
        for index, entry in optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{name}.{index}.{key}": torch.as_tensor(v) for key, v in entry.items()}
    tensors |= {f"random.{name}": value for name, value in state.get_random_states().items()}
    # Copies, since safetensors refuses shared memory and a stored state must not change.
    return {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}


def restore(state: State, tensors: dict[str, Tensor]) -> None:
    """Restore a state from tensors of :func:`collect_tensors`."""
    for name in ("generator", "average", "critic"):
        getattr(state, name).load_state_dict(_select_prefix(tensors, f"{name}."))
    for name, optimiser in state.optimisers.items():
        states: dict[int, dict[str, Tensor]] = {}
        for key, value in _select_prefix(tensors, f"optimiser.{name}.").items():
            index, _, field = key.partition(".")
            states.setdefault(int(index), {})[field] = value.clone()
        optimiser.load_state_dict(optimiser.state_dict() | {"state": states})
    state.set_random_states({name: tensors[f"random.{name}"].clone() for name in state.streams})
    state.failed_at = torch.full_like(state.failed_at, math.inf)


def write(folder: Path, tensors: dict[str, Tensor], metadata: dict[str, object]) -> Path:
    """Write a run into a folder; an existing file is replaced atomically."""
    from safetensors.torch import save

    make_folder(folder)
    path = folder / RUN_FILE
    metadata_text = json.dumps({"format": RUN_FORMAT} | metadata)
    header = {METADATA_KEY: metadata_text, DIGEST_KEY: _compute_digest(tensors, metadata_text)}
    replace_files({path: save(tensors, header)}, "folder")
    return path


def read(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read the tensors and the metadata of a run.

    Raises
    ------
    InputError
        If the folder holds no run, or its file is damaged or not a checkpoint.
    """
    from safetensors import SafetensorError, safe_open

    path = folder / RUN_FILE
    if not path.is_file():
        raise InputError("folder", f"must hold a saved run, {path} is missing", "give a folder of a run")
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  no mapping
        metadata = json.loads(header.get(METADATA_KEY, "{}"))
        if METADATA_KEY in header and header.get(DIGEST_KEY) != _compute_digest(
            tensors, header[METADATA_KEY]
        ):
            raise ValueError("wrong checksum")
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(
            "folder", f"{path} cannot be read: {error}", "use another copy of the file"
        ) from error
    found = metadata.get("format") if isinstance(metadata, dict) else None
    if found not in READABLE_FORMATS:
        problem = f"must hold a run of format {RUN_FORMAT!r}, got {format_value(found)} in {path}"
        raise InputError(
            "folder", problem, "give a folder of a run, or read it with the version that wrote it"
        )
    return tensors, metadata


def has_run(folder: Path) -> bool:
    """Return True if the folder holds a run."""
    return (folder / RUN_FILE).exists()


def _compute_digest(tensors: dict[str, Tensor], metadata_text: str) -> str:
    total = hashlib.sha256(metadata_text.encode())
    for name in sorted(tensors):
        total.update(name.encode())
        total.update(tensors[name].view(torch.uint8).numpy() if tensors[name].ndim else tensors[name].numpy())
    return total.hexdigest()


def _select_prefix(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): v for name, v in tensors.items() if name.startswith(prefix)}

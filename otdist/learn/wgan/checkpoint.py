"""A run in one file: tensors and facts together, so that there is no half of it."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from otdist.errors import InputError
from otdist.learn.wgan.state import State

FORMAT = "otdist wgan 1"
FILE = "wgan.safetensors"
KEY, DIGEST = "otdist", "sha256"  # of the facts, and of all that is in the file, in its header


def tensors_of(state: State) -> dict[str, Tensor]:
    """Every tensor that training moves, by name; random streams are tensors as well."""
    found: dict[str, Tensor] = {}
    for name in ("generator", "average", "critic"):
        module = getattr(state, name)
        found |= {f"{name}.{key}": value for key, value in module.state_dict().items()}
    for name, optimiser in state.optimisers.items():
        for place, one in optimiser.state_dict()["state"].items():
            found |= {f"optimiser.{name}.{place}.{key}": torch.as_tensor(v) for key, v in one.items()}
    found |= {f"random.{name}": stream.get_state() for name, stream in state.streams.items()}
    # A copy of each: safetensors takes no two names for one memory, and a kept state must not move on.
    return {name: value.detach().cpu().contiguous().clone() for name, value in found.items()}


def restore(state: State, tensors: dict[str, Tensor]) -> None:
    """Bring a state back to tensors that :func:`tensors_of` gave."""
    for name in ("generator", "average", "critic"):
        getattr(state, name).load_state_dict(_part(tensors, f"{name}."))
    for name, optimiser in state.optimisers.items():
        known: dict[int, dict[str, Tensor]] = {}
        for key, value in _part(tensors, f"optimiser.{name}.").items():
            place, _, what = key.partition(".")
            known.setdefault(int(place), {})[what] = value.clone()
        optimiser.load_state_dict(optimiser.state_dict() | {"state": known})
    for name, stream in state.streams.items():
        stream.set_state(tensors[f"random.{name}"].clone())


def write(folder: Path, tensors: dict[str, Tensor], facts: dict[str, Any]) -> Path:
    """Write a run into a folder; the file that was there is replaced whole, or not at all."""
    from safetensors.torch import save

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    told = json.dumps({"format": FORMAT} | facts)
    header = {KEY: told, DIGEST: _digest(tensors, told)}
    part = path.with_suffix(".part")
    try:
        with part.open("wb") as file:
            file.write(save(tensors, header))
            file.flush()
            os.fsync(file.fileno())  # otherwise the name may outlive a power cut, and the content not
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return path


def read(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and facts of a run.

    Raises
    ------
    InputError
        If there is no run in the folder, or its file is damaged or of something else.
    """
    from safetensors import SafetensorError, safe_open

    path = folder / FILE
    if not path.is_file():
        raise InputError("folder", f"{path} is not there", "give a folder that a run was saved in")
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  no mapping
        facts = json.loads(header.get(KEY, "{}"))
        if KEY in header and header.get(DIGEST) != _digest(tensors, header[KEY]):
            raise ValueError("its checksum is another one")
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError("folder", f"{path} is damaged: {error}", "use another copy of it") from error
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise InputError("folder", f"{path} holds no run of this version", "give a folder of a run")
    return tensors, facts


def occupied(folder: Path) -> bool:
    """Whether a run is in the folder."""
    return (folder / FILE).exists()


def _digest(tensors: dict[str, Tensor], told: str) -> str:
    total = hashlib.sha256(told.encode())
    for name in sorted(tensors):
        total.update(name.encode())
        total.update(tensors[name].view(torch.uint8).numpy() if tensors[name].ndim else tensors[name].numpy())
    return total.hexdigest()


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): v for name, v in tensors.items() if name.startswith(prefix)}

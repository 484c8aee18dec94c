"""Devices of torch: the one of a name, if this machine has it."""

from __future__ import annotations

import torch

from otdist.errors import InputError
from otdist.inputs.arguments import format_value


def resolve_device(device: str | torch.device) -> torch.device:
    """Return the device of a name; "auto" is CUDA if available, else the CPU.

    Raises
    ------
    InputError
        If torch does not know the name, or this machine does not have the device.
    """
    if isinstance(device, str) and device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if not isinstance(device, str | torch.device):
        problem = f"must be the name of a device, got {format_value(device)}"
        raise InputError("device", problem, "use 'auto', 'cpu' or 'cuda'")
    try:
        probe = torch.zeros((), device=device)
        probe.item()  # the device "meta" has no values
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).partition("\n")[0]
        problem = f"must be an available device, got {str(device)!r} ({reason})"
        raise InputError("device", problem, "use 'auto' or 'cpu'") from error
    return probe.device

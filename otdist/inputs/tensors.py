"""Conversion of torch tensors of any layout, type and subclass to NumPy; torch is not imported."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from otdist.errors import InputError, get_reason
from otdist.inputs.numbers import from_array
from otdist.inputs.table import Table
from otdist.runtime.budget import require_memory

if TYPE_CHECKING:
    from torch import Tensor


def from_torch(values: Tensor, name: str) -> Table:
    """Read a tensor of any layout, type and device, without its gradient; raises InputError."""
    if values.is_complex():
        raise InputError(
            name, f"must be real, got dtype {values.dtype}", "pass real and imaginary parts as two columns"
        )
    if values.device.type == "meta":
        raise InputError(name, "is on the device meta, which holds no numbers", "pass a tensor with data")
    if str(values.layout) != "torch.strided" and not values.is_nested:
        require_memory(
            8 * math.prod(values.shape),
            f"{name}: a dense copy of this sparse tensor of shape {tuple(values.shape)}",
            "reduce the columns first (for instance by a principal component analysis)",
        )
    try:
        return from_array(_to_numpy(values), name)
    except MemoryError:
        raise
    except Exception as error:  # tensors without their own data raise various errors
        if isinstance(error, InputError):
            raise
        problem = f"{type(values).__name__} holds no numbers to read ({get_reason(error)})"
        raise InputError(name, problem, "pass a plain tensor") from None


def _to_numpy(values: Tensor) -> NDArray[Any]:
    """Convert a real tensor of any layout and type to an array."""
    dense = values.detach()
    if dense.is_quantized:
        dense = dense.dequantize()
    if str(dense.layout) != "torch.strided":
        dense = dense.to_dense()
    dense = dense.cpu()  # before double(): MPS devices have no float64
    if dense.is_floating_point():
        dense = dense.double()
    array: NDArray[Any] = dense.resolve_neg().numpy()
    return array

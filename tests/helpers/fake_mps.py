"""A device "mps" for tests on any machine: the CPU computes, and what Apple's devices lack raises.

Tensors that were made on the device, or from one there, are marked. A marked tensor in float64 raises, as do
operations on marked and unmarked tensors together, but for numbers without axes.
"""

from __future__ import annotations

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

MPS = torch.device("mps")
WIDE = (torch.float64, torch.complex128)
DEVICES = ("cpu", "mps")
MIXING = ("copy_", "__getitem__", "__setitem__", "index_select", "__set__", "backward", "to")
MIXING += ("_has_compatible_shallow_copy_type",)


def marked(value):
    """Whether a tensor is on the device."""
    return isinstance(value, torch.Tensor) and "_on_mps" in value.__dict__


def is_mps(value):
    """Whether an argument names the device."""
    return str(value) == "mps" if isinstance(value, str | torch.device) else False


class FakeMps(TorchFunctionMode):
    """Within it "mps" is a device."""

    def __enter__(self):
        # Parameters are made by a function that modes do not see.
        self.make = torch.Tensor._make_subclass

        def make_marked(kind, data, *args):
            return _mark(self.make(kind, data, *args), marked(data))

        torch.Tensor._make_subclass = staticmethod(make_marked)
        return super().__enter__()

    def __exit__(self, *args):
        del torch.Tensor._make_subclass
        return super().__exit__(*args)

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = getattr(function, "__name__", "")
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        here = any(map(marked, tensors))
        if name == "__get__" and function == torch.Tensor.device.__get__:
            return MPS if marked(args[0]) else function(*args)
        if name == "__set__" and function == torch.Tensor.data.__set__:  # how modules are moved
            function(*args)
            return _mark(args[0], marked(args[1]))
        if name == "_parse_to":  # what Module.to passes on
            return function(*args, **kwargs)
        leaves = tree_leaves((args, kwargs))
        named = [
            leaf
            for leaf in leaves
            if isinstance(leaf, torch.device) or (isinstance(leaf, str) and leaf in DEVICES)
        ]
        target = is_mps(named[-1]) if named else None
        if name == "cpu":
            target = False
        if target is None:
            target = here if name != "to" or not marked(args[-1]) else True
            if here and name not in MIXING and any(not marked(t) and t.ndim for t in tensors):
                raise RuntimeError(f"{name}: expected all tensors to be on the same device")
        args, kwargs = tree_map(lambda leaf: torch.device("cpu") if is_mps(leaf) else leaf, (args, kwargs))
        if here and name in ("numpy", "__array__"):
            raise TypeError("can't convert mps:0 device type tensor to numpy")
        found = function(*args, **kwargs)
        return tree_map(lambda value: self._placed(value, target, tensors, name), found)

    def _placed(self, value, target, tensors, name):
        if not isinstance(value, torch.Tensor):
            return value
        if target and value.dtype in WIDE:
            raise TypeError(f"{name}: Cannot convert a MPS Tensor to float64 dtype")
        if marked(value) != target and any(value is t for t in tensors):
            value = value.view_as(value)  # the CPU's own copy is the same object
        return _mark(value, target)


def _mark(value, on):
    if on:
        value._on_mps = True
    else:
        value.__dict__.pop("_on_mps", None)
    return value

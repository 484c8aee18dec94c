"""Stand-in for ``ot.utils``, for POT's compiled module."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def dist(*args: object, **options: object) -> object:
    """Call POT's function of this name; its solver on the line needs it, which otdist does not use."""
    from ot.utils import dist

    call: Callable[..., object] = dist
    return call(*args, **options)

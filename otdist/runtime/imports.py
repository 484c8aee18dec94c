"""Modules that are imported when they are first asked for, and those that another thread is importing."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from types import ModuleType


def wait_for_imports(names: Iterable[str]) -> None:
    """Wait until those of the modules that are being imported have their contents.

    A module is listed in ``sys.modules`` before it is run. Whoever looks there finds one without
    its classes while another thread imports it.
    """
    for name in names:
        spec = getattr(sys.modules.get(name), "__spec__", None)
        if getattr(spec, "_initializing", False):
            with suppress(ImportError):  # whoever imports it is told
                importlib.import_module(name)


def import_when_asked(package: str, names: Iterable[str]) -> Callable[[str], ModuleType]:
    """Make the ``__getattr__`` of a package that imports some of its modules at their first use.

    A module that needs a package which is missing is an AttributeError that says what to install, so that
    ``hasattr`` answers False. To import it by ``import`` is an ImportError that says the same.
    """
    lazy = frozenset(names)

    def get_module(name: str) -> ModuleType:
        if name not in lazy:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        try:
            return importlib.import_module(f"{package}.{name}")
        except ImportError as error:
            # A name without an object keeps Python from guessing what was meant.
            raise AttributeError(str(error), name=name, obj=None) from error

    return get_module

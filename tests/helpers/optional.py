"""Packages that some tests of a module use: where one is missing, those are skipped and others run."""

from __future__ import annotations

import importlib
from typing import Any

import pytest


class Missing:
    """Stands for a package that is not installed: a test that touches it is skipped."""

    def __init__(self, package: str) -> None:
        self.package = package

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # looked for by pytest in everything that a module holds
            raise AttributeError(name)
        pytest.skip(f"{self.package} is not installed", allow_module_level=True)


def package_or_skip(package: str) -> Any:
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name not in (package, "torch"):
            raise
        return Missing(package)


torch = package_or_skip("torch")
geomloss = package_or_skip("geomloss")

"""Description of the machine of a measurement."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

VERSIONED_PACKAGES = ("otdist", "numpy", "scipy", "POT", "numba", "torch", "geomloss", "lapx", "ortools")


def describe_machine() -> dict[str, Any]:
    """Return processor, cores, Python and package versions of this process."""
    versions = {}
    for package in VERSIONED_PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "cpu": _read_cpu_model(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": versions,
    }


def _read_cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    models = (line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.machine())

"""What a figure was measured on."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("otdist", "numpy", "scipy", "POT", "numba", "torch", "geomloss", "lapx", "ortools")


def machine() -> dict[str, Any]:
    """Processor, cores, Python and versions of packages, of the process that asks."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "cpu": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": versions,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    found = (line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    return next(found, platform.machine())

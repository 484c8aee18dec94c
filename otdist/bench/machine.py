"""Description of the machine of a measurement."""

from __future__ import annotations

import os
import platform
from typing import Any

from otdist.runtime.versions import get_versions, read_cpu_model

VERSIONED_PACKAGES = ("otdist", "numpy", "scipy", "POT", "numba", "torch", "geomloss", "lapx", "ortools")


def describe_machine() -> dict[str, Any]:
    """Return processor, cores, Python and package versions of this process."""
    return {
        "cpu": read_cpu_model(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": get_versions(VERSIONED_PACKAGES),
    }

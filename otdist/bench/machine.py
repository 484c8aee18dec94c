"""Description of the machine and the code of a measurement."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

from otdist.runtime.versions import get_versions, read_cpu_model

VERSIONED_PACKAGES = (
    *("otdist", "numpy", "scipy", "POT", "numba", "torch", "geomloss", "pykeops", "lapx", "ortools"),
    *("wasserstein", "pyemd", "jax", "ott-jax", "mdot-tnt", "deel-torchlip"),
)
PACKAGE_FOLDER = Path(__file__).parents[1]


def describe_machine() -> dict[str, object]:
    """Return processor, cores, Python, package versions and the commit of otdist."""
    return {
        "cpu": read_cpu_model(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": get_versions(VERSIONED_PACKAGES),
        "commit": read_commit(),
    }


def read_commit() -> str | None:
    """Return the commit of otdist's sources, with a plus if they differ; None if not in a checkout."""
    if not (PACKAGE_FOLDER.parent / ".git").exists():
        return None
    commit = _run_git("rev-parse", "--short", "HEAD")
    return commit and commit + ("+" if _run_git("status", "--porcelain", ".") else "")


def _run_git(*arguments: str) -> str | None:
    try:
        process = subprocess.run(
            ["git", *arguments], capture_output=True, text=True, check=False, cwd=PACKAGE_FOLDER
        )
    except OSError:  # git is not installed
        return None
    return process.stdout.strip() if process.returncode == 0 else None

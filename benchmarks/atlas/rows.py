"""Measured rows of the atlas on disk."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from otdist.bench.machine import describe_machine
from otdist.bench.table import Runs

RESULTS = Path(__file__).parents[1] / "results" / "atlas.json"
Row = dict[str, Any]


def load(path: Path = RESULTS) -> list[Row]:
    """Rows that were saved, each with its true error."""
    rows = json.loads(path.read_text())["rows"] if path.exists() else []
    return Runs(rows).rows


def save(rows: list[Row], path: Path = RESULTS) -> None:
    """Write all rows with their true errors and the machine: a whole file, or none."""
    rows = Runs(rows).rows
    part = path.with_suffix(".part")
    part.write_text(json.dumps({"machine": describe_machine(), "rows": rows}, indent=1) + "\n")
    part.replace(path)


def commit() -> str:
    """Commit of the code as it is; with a plus where otdist differs from it."""
    return _git("rev-parse", "--short", "HEAD") + ("+" if _git("status", "--porcelain", "../otdist") else "")


def _git(*command: str) -> str:
    folder = RESULTS.parents[1]
    return subprocess.run(["git", *command], capture_output=True, text=True, cwd=folder).stdout.strip()

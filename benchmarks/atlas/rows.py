"""Measured rows of the atlas on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.common.harness import commit as commit
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

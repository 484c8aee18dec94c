"""Measured rows of the atlas on disk, with their true errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.common import harness
from otdist.bench.table import Runs

Row = dict[str, Any]


def load(folder: Path = harness.RESULTS) -> list[Row]:
    return Runs(harness.load("atlas", folder) or []).rows


def save(rows: list[Row], folder: Path = harness.RESULTS) -> None:
    harness.save("atlas", Runs(rows).rows, folder)

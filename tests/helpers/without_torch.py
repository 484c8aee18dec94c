"""Without torch, modules that cannot be imported without it are skipped, and say so."""

from __future__ import annotations

import re
from collections.abc import Generator
from importlib.util import find_spec

import pytest

HAS_TORCH = find_spec("torch") is not None
NEEDS_TORCH = re.compile(
    r"No module named '(torch|geomloss|torchmetrics|safetensors)\b|otdist\.learn needs torch"
)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn the error of a module into a skip where torch, which it imports, is not installed."""
    report = yield
    if not HAS_TORCH and report.failed and NEEDS_TORCH.search(report.longreprtext):
        report.outcome = "skipped"
        report.longrepr = (str(collector.path), 1, "Skipped: torch is not installed")
    return report

"""Memory is asked for before it is taken, on any system."""

from __future__ import annotations

import pytest

from otdist import budget
from otdist.errors import BudgetError


def test_small_requests_are_granted_without_looking(monkeypatch):
    monkeypatch.setattr(budget, "free_memory", lambda: pytest.fail("looked"))
    budget.require_memory(1000, "a cup of tea", "drink water")


def test_half_of_what_is_free_is_the_limit(monkeypatch):
    monkeypatch.setattr(budget, "free_memory", lambda: 2 * 10**9)
    budget.require_memory(10**9, "as much", "none")
    with pytest.raises(BudgetError, match=r"too much needs 1\.1 GB, the budget is 1\.0 GB; take less"):
        budget.require_memory(11 * 10**8, "too much", "take less")


def test_a_system_that_does_not_say_grants(monkeypatch):
    monkeypatch.setattr(budget, "free_memory", lambda: None)
    budget.require_memory(10**15, "a lot", "none")


def test_the_tighter_of_machine_and_container_counts(monkeypatch):
    monkeypatch.setattr(budget, "_meminfo", lambda: 8 * 10**9)
    monkeypatch.setattr(budget, "_cgroup", lambda: 3 * 10**9)
    assert budget.free_memory() == 3 * 10**9


def test_without_either_the_physical_memory_counts(monkeypatch):
    monkeypatch.setattr(budget, "_meminfo", lambda: None)
    monkeypatch.setattr(budget, "_cgroup", lambda: None)
    assert budget.free_memory() is None or budget.free_memory() > 10**6


def test_a_container_leaves_its_limit_less_what_it_uses(monkeypatch, tmp_path):
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("400\n")
    monkeypatch.setattr(budget, "Path", lambda path: tmp_path)
    assert budget._cgroup() == 600
    (tmp_path / "memory.max").write_text("max\n")
    assert budget._cgroup() is None

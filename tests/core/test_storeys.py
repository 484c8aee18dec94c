"""Storeys of the package: modules import from their own storey and from lower ones, never in a circle."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).parents[2] / "otdist"

# From the lowest to the highest. A module belongs to the longest name that its own begins with.
STOREYS = (
    ("errors", "typing"),
    ("runtime",),
    ("pages",),
    ("inputs", "number", "autograd"),
    ("metrics",),
    ("problem", "result", "bounds", "batch", "atlas.costs"),
    ("solvers.answer", "solvers.distance_blocks", "solvers.mass_sums", "solvers.merge", "solvers.costs"),
    ("solvers.line", "solvers.cumulative_weights", "solvers.quick"),
    ("solvers.linear", "solvers.bottleneck"),
    ("gradient", "solvers.transport"),
    ("solvers.pairs", "solvers.circle"),
    ("solvers.entropic",),
    ("solvers.sparse",),
    ("solvers.sinkhorn",),
    ("solvers.critic",),
    ("solvers",),
    ("solvers.sliced",),
    ("solvers.divergence",),
    ("solvers.unbalanced",),
    ("api",),
    ("stats",),
    ("tables",),
    ("closed", "atlas"),
    ("learn.modes", "learn.devices", "learn.distributed"),
    ("learn.constraints", "learn.evaluation"),
    ("learn.sinkhorn",),
    ("learn.critics",),
    ("learn.critic", "learn.w1loss", "learn.w1metric"),
    ("learn.wgan",),
    ("learn",),
    ("bench",),
    ("cli",),
    ("", "bench.methods.ours"),  # otdist itself, and what calls it as users do
)

# Imports of a higher storey inside of functions: each loads what most calls do not need.
LAZY_IMPORTS_UPWARDS = {
    ("solvers.critic", "learn.critics"): "the solver trains a critic",
    ("solvers.answer", "solvers.pairs"): "costs of many pairs are compiled",
}


class Import(NamedTuple):
    module: str
    target: str
    is_lazy: bool


@cache
def read_imports() -> list[Import]:
    """Imports between modules of the package, without its name; those for type checkers are left out."""
    names = {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path for path in PACKAGE.rglob("*.py")
    }
    modules = {name.removesuffix("__init__").rstrip("."): path for name, path in names.items()}
    trees = {module: ast.parse(path.read_text()) for module, path in modules.items()}
    return [found for module, tree in trees.items() for found in _imports_of(module, tree, set(modules))]


def _imports_of(module: str, node: ast.AST, modules: set[str], is_lazy: bool = False) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        for target in _targets(child, modules):
            yield Import(module, target, is_lazy)
        is_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from _imports_of(module, child, modules, is_lazy or is_function)


def _targets(node: ast.AST, modules: set[str]) -> list[str]:
    if isinstance(node, ast.Import):
        found = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        assert not node.level, "imports are absolute"
        found = [f"{node.module}.{alias.name}" for alias in node.names]
    else:
        return []
    names = [name.removeprefix("otdist").lstrip(".") for name in found if re.match(r"otdist(\.|$)", name)]
    return [name if name in modules else name.rpartition(".")[0] for name in names]


def storey_of(module: str) -> int:
    best = max((name for names in STOREYS for name in names if is_in(module, name)), key=len)
    return next(level for level, names in enumerate(STOREYS) if best in names)


def is_in(module: str, folder: str) -> bool:
    return not folder or module == folder or module.startswith(folder + ".")


def test_no_module_imports_from_a_higher_storey():
    upwards = [
        (found.module, found.target)
        for found in read_imports()
        if not found.is_lazy and storey_of(found.target) > storey_of(found.module)
    ]
    assert not upwards


def test_lazy_imports_of_a_higher_storey_are_those_listed():
    upwards = {
        (found.module, found.target)
        for found in read_imports()
        if found.is_lazy and storey_of(found.target) > storey_of(found.module)
    }
    listed = {
        pair: [key for key in LAZY_IMPORTS_UPWARDS if is_in(pair[0], key[0]) and is_in(pair[1], key[1])]
        for pair in upwards
    }
    assert not [pair for pair, keys in listed.items() if not keys]
    assert {key for keys in listed.values() for key in keys} == set(LAZY_IMPORTS_UPWARDS)


def test_modules_do_not_load_each_other_in_a_circle():
    graph = defaultdict(set)
    for found in read_imports():
        if not found.is_lazy and found.target:
            graph[found.module].add(found.target)
    list(TopologicalSorter(graph).static_order())


def test_every_storey_has_a_module():
    modules = {name for found in read_imports() for name in (found.module, found.target)}
    for name in (name for names in STOREYS for name in names):
        assert any(is_in(module, name) for module in modules), name


def test_compiled_functions_stand_in_the_folders_whose_fingerprint_is_taken():
    from otdist.solvers.pairs.compiled import COMPILED_FOLDERS

    users = {
        found.module
        for found in read_imports()
        if found.target == "solvers.pairs.compiled" and not found.is_lazy
    }
    assert {name.split(".")[1] for name in users} == set(COMPILED_FOLDERS)


def test_adapters_and_their_worker_import_nothing_of_otdist():
    names = {path.stem for path in (PACKAGE / "bench/methods").glob("of_*.py")}
    adapters = {f"bench.methods.{name}" for name in names} | {"bench.worker"}
    assert not [found for found in read_imports() if found.module in adapters]

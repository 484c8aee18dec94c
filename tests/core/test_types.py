"""Options that are named twice, in a class and for checkers of types."""

import ast
from dataclasses import fields
from pathlib import Path

import pytest

import otdist
from otdist.solvers.solve import METHODS


def annotated_names(path, name):
    """Return the fields of a class in a source file, of one that may only exist for checkers of types."""
    tree = ast.parse(path.read_text())
    (body,) = (node.body for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == name)
    return {item.target.id for item in body if isinstance(item, ast.AnnAssign)}


def test_options_of_methods():
    named = annotated_names(Path(otdist.__file__).with_name("typing.py"), "MethodOptions")
    assert named == {field.name for method in METHODS.values() for field in fields(method) if field.init}


def test_options_of_a_run_and_of_a_divergence():
    pytest.importorskip("torch")
    from otdist.learn.sinkhorn.options import DivergenceOptions, Options
    from otdist.learn.wgan.settings import SettingOptions, Settings

    for named, options in ((SettingOptions, Settings), (DivergenceOptions, Options)):
        assert set(named.__annotations__) == {field.name for field in fields(options)}

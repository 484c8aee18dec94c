"""Questions to put to estimators of W1: two samples each, some of laws whose W1 is known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from otdist.bench import problems
from otdist.bench.questions import real, recipes
from otdist.bench.questions.images import images
from otdist.bench.questions.samples import Question
from otdist.errors import InputError
from otdist.inputs.arguments import Rng, check_seed

__all__ = ["FIXED", "KINDS", "Question", "question"]

SIDE = 2.0  # how far apart the two laws of a shift are
Made = Callable[[str, int, int, int], Question]

# Kinds in as many columns as asked for, and those whose columns are given.
OPEN: dict[str, Made] = {
    "shift": recipes.of_laws(lambda d: problems.shift(np.full(d, SIDE / d**0.5))),
    "radial": recipes.of_laws(problems.radial),
    "funnels": recipes.of_laws(lambda d: problems.funnels(d, 16, rng=0)),
    "min_max": recipes.of_laws(lambda d: problems.min_max(d, 16, rng=0)),
    "moved grid": recipes.moved_grid,
    "ties": recipes.ties,
    "clusters": recipes.clusters,
    "heavy tails": recipes.heavy_tails,
}
FIXED: dict[str, Made] = {
    "line": recipes.line,
    "images": images,
    "penguins": real.drawn(real.penguins),
    "digits": real.drawn(real.digits),
    "wine": real.drawn(real.wine),
    "italy power": real.drawn(real.italy_power),
    "california": real.drawn(real.california),
    "cells": real.drawn(real.cells),
}
KINDS = OPEN | FIXED


def question(name: str, *, rng: Rng = 0) -> Question:
    """Question by name, such as ``"shift n=1000 d=16"``.

    Parameters
    ----------
    name : str
        A kind of KINDS, the number of points ``n`` and, where the kind leaves it open, of columns ``d``,
        which is 2 if it is not given.
    rng : int or numpy.random.Generator
        Seed of the samples; a generator gives one now.

    Returns
    -------
    Question
        The samples, and what is known about them.

    Raises
    ------
    InputError
        If the kind is unknown, sizes are missing or make no sense, or the package that holds the data is not
        installed.

    Notes
    -----
    Cost: below a second; the points are held in memory. Source: docs/bench.md says what the samples are, and
    names packages and licences of the real ones: digits, wine, italy power, california, cells.

    Examples
    --------
    >>> from otdist import bench
    >>> bench.question("clusters n=500 d=3").x.shape
    (500, 3)
    >>> bench.question("penguins n=500").y.shape
    (500, 4)
    """
    rng = check_seed(rng)
    words = name.split()
    kind = " ".join(word for word in words if "=" not in word)
    sizes = {}
    for word in words:
        key, equals, value = word.partition("=")
        if equals:
            if key not in ("n", "d") or not value.isdigit() or int(value) < 1:
                raise InputError("questions", f"{word!r} in {name!r} is no size", "write n=1000 d=16")
            sizes[key] = int(value)
    if kind not in KINDS:
        raise InputError("questions", f"{name!r} is unknown", f"use some of {sorted(KINDS)}, with n= and d=")
    if "n" not in sizes:
        raise InputError("questions", f"{name!r} has no n", "write n=1000")
    if kind in FIXED and "d" in sizes:
        raise InputError("questions", f"the columns of {kind!r} are given", f"leave out d={sizes['d']}")
    return KINDS[kind](name, sizes["n"], sizes.get("d", 2), rng)

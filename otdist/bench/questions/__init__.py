"""Questions for estimators of W1: two samples each, some from distributions with known W1."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from otdist.bench import problems
from otdist.bench.questions import real, synthetic
from otdist.bench.questions.images import make_images
from otdist.bench.questions.samples import Question
from otdist.errors import InputError
from otdist.inputs.arguments import Rng, check_seed

__all__ = ["FIXED", "KINDS", "Question", "question"]

SHIFT_DISTANCE = 2.0  # length of the translation
QuestionFactory = Callable[[str, int, int, int], Question]

# Kinds with any number of columns, and kinds with a fixed number.
FREE_COLUMNS: dict[str, QuestionFactory] = {
    "shift": synthetic.question_factory_from_pair(
        lambda d: problems.shift(np.full(d, SHIFT_DISTANCE / d**0.5))
    ),
    "radial": synthetic.question_factory_from_pair(problems.radial),
    "funnels": synthetic.question_factory_from_pair(lambda d: problems.funnels(d, 16, rng=0)),
    "min_max": synthetic.question_factory_from_pair(lambda d: problems.min_max(d, 16, rng=0)),
    "moved grid": synthetic.make_moved_grid,
    "ties": synthetic.make_ties,
    "clusters": synthetic.make_clusters,
    "heavy tails": synthetic.make_heavy_tails,
}
FIXED: dict[str, QuestionFactory] = {
    "line": synthetic.make_line,
    "images": make_images,
    "penguins": real.question_factory_from_rows(real.read_penguins),
    "digits": real.question_factory_from_rows(real.read_digits),
    "wine": real.question_factory_from_rows(real.read_wine),
    "italy power": real.question_factory_from_rows(real.read_italy_power),
    "california": real.question_factory_from_rows(real.read_california),
    "cells": real.question_factory_from_rows(real.read_cells),
}
KINDS = FREE_COLUMNS | FIXED


def question(name: str, *, rng: Rng = 0) -> Question:
    """Create a question from its name, such as ``"shift n=1000 d=16"``.

    Parameters
    ----------
    name : str
        A kind of KINDS, the number of points ``n`` and, where the kind does not fix it, the number of columns
        ``d``, 2 by default.
    rng : int or numpy.random.Generator
        Seed of the samples; from a generator a seed is drawn.

    Returns
    -------
    Question
        The samples, and what is known about them.

    Raises
    ------
    InputError
        If the kind is unknown, sizes are missing or invalid, or the package that contains the data is not
        installed.

    Notes
    -----
    Cost: below a second; the points are stored in memory. Source: docs/bench.md describes the samples, with
    packages and licences of the real ones: digits, wine, italy power, california, cells.

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
                raise InputError(
                    "questions",
                    f"sizes must be such as n=1000 d=16, got {word!r} in {name!r}",
                    "use whole numbers from 1 on",
                )
            sizes[key] = int(value)
    if kind not in KINDS:
        problem = f"must be a kind of question, got {name!r}"
        raise InputError("questions", problem, f"use some of {sorted(KINDS)}, with n= and d=")
    if "n" not in sizes:
        raise InputError("questions", f"must have a size n, got {name!r}", "write n=1000")
    if kind in FIXED and "d" in sizes:
        raise InputError("questions", f"the columns of {kind!r} are given", f"leave out d={sizes['d']}")
    return KINDS[kind](name, sizes["n"], sizes.get("d", 2), rng)

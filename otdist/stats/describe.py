"""One-line descriptions of tests and noise floors, for terminals and notebooks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from otdist.pages.formatting import escape_unprintable, format_count
from otdist.typing import Array

if TYPE_CHECKING:
    from otdist.stats.null import NoiseFloor, NullTest

LIMIT_LEVEL = 0.95  # level of the quantile in a description


def describe_test(test: NullTest) -> str:
    """Describe a test in one line.

    Parameters
    ----------
    test : NullTest
        Result of ``otdist.stats.permutation_test``.

    Returns
    -------
    str
        Distance, p-value, and the distance that 95 % of relabellings do not exceed.
    """
    limit = f"; {_format_limit(test)}" if len(test.null) else ""
    return escape_unprintable(f"{_format_distance(test)}{_format_proof(test)}, {_format_pvalue(test)}{limit}")


def show_test(test: NullTest) -> str:
    """Return the text of :func:`describe_test` as HTML."""
    from otdist.pages.notebook import render_line

    detail = f"{_format_limit(test)}; {test.result._source()}" if len(test.null) else test.result._source()
    return render_line(f"{_format_distance(test)}{_format_proof(test)}", _format_pvalue(test), detail)


def describe_floor(floor: NoiseFloor) -> str:
    """Describe a noise floor in one line.

    Parameters
    ----------
    floor : NoiseFloor
        Result of ``otdist.stats.noise_floor``.

    Returns
    -------
    str
        Mean, and the distance that 95 % of the draws do not exceed.
    """
    return escape_unprintable(f"{_format_mean(floor)}, {_format_spread(floor)}, {_format_sizes(floor)}")


def show_floor(floor: NoiseFloor) -> str:
    """Return the text of :func:`describe_floor` as HTML."""
    from otdist.pages.notebook import render_line

    return render_line(_format_mean(floor), _format_spread(floor), _format_sizes(floor))


def _format_distance(test: NullTest) -> str:
    return f"{test.result.name} = {float(test.result):.4g}{_format_unit(test.result.unit)}"


def _format_proof(test: NullTest) -> str:
    return test.result._proof()


def _format_pvalue(test: NullTest) -> str:
    count = len(test.null)
    if math.isnan(test.pvalue) or count == 0:
        return "p = nan (a value is missing)"
    digits = len(str(count)) + 1  # the smallest p-value, 1 / (1 + count), has two digits or more
    return f"p = {test.pvalue:.{digits}f} ({format_count(count, 'relabelling')})"


def _format_limit(test: NullTest) -> str:
    return (
        f"95 % of relabellings give at most {_compute_limit(test.null):.3g}{_format_unit(test.result.unit)}"
    )


def _format_mean(floor: NoiseFloor) -> str:
    return f"W1 by chance = {floor.mean:.4g}{_format_unit(floor.unit)} on average"


def _format_spread(floor: NoiseFloor) -> str:
    draws = format_count(len(floor.draws), "draw")
    return f"95 % of {draws} give at most {_compute_limit(floor.draws):.4g}{_format_unit(floor.unit)}"


def _format_sizes(floor: NoiseFloor) -> str:
    return f"n={floor.n}/{floor.m}"


def _compute_limit(draws: Array) -> float:
    """Return the ``LIMIT_LEVEL`` quantile as one of the draws, without interpolation."""
    return float(np.quantile(draws, LIMIT_LEVEL, method="higher"))


def _format_unit(unit: str) -> str:
    return f" {unit}" if unit else ""

"""Tests and noise floors in one line, for terminals and notebooks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from otdist.pages.words import visible

if TYPE_CHECKING:
    from otdist.stats.null import NoiseFloor, NullTest

LEVEL = 0.95  # share of the draws that a line names the limit of


def describe_test(test: NullTest) -> str:
    """Describe a test in one line.

    Parameters
    ----------
    test : NullTest
        What ``otdist.stats.permutation_test`` returned.

    Returns
    -------
    str
        Distance, p-value, and the distance that 95 % of relabellings do not exceed.
    """
    chance = f"; {_limit(test)}" if len(test.null) else ""
    return visible(f"{_distance(test)}{_proof(test)}, {_pvalue(test)}{chance}")


def show_test(test: NullTest) -> str:
    """HTML of what :func:`describe_test` says."""
    from otdist.pages.notebook import line

    detail = f"{_limit(test)}; {test.result._source()}" if len(test.null) else test.result._source()
    return line(f"{_distance(test)}{_proof(test)}", _pvalue(test), detail)


def describe_floor(floor: NoiseFloor) -> str:
    """Describe a noise floor in one line.

    Parameters
    ----------
    floor : NoiseFloor
        What ``otdist.stats.noise_floor`` returned.

    Returns
    -------
    str
        Mean, and the distance that 95 % of the draws do not exceed.
    """
    return visible(f"{_mean(floor)}, {_spread(floor)}, {_sizes(floor)}")


def show_floor(floor: NoiseFloor) -> str:
    """HTML of what :func:`describe_floor` says."""
    from otdist.pages.notebook import line

    return line(_mean(floor), _spread(floor), _sizes(floor))


def _distance(test: NullTest) -> str:
    return f"{test.result.name} = {float(test.result):.4g}{_unit(test.result.unit)}"


def _proof(test: NullTest) -> str:
    return test.result._proof()


def _pvalue(test: NullTest) -> str:
    count = len(test.null)
    if math.isnan(test.pvalue) or count == 0:
        return "p = nan (a value is missing)"
    digits = len(str(count)) + 1  # the smallest p-value, 1 / (1 + count), has two digits or more
    return f"p = {test.pvalue:.{digits}f} ({count:,} relabelling{'' if count == 1 else 's'})"


def _limit(test: NullTest) -> str:
    return f"95 % of relabellings give at most {_quantile(test.null):.3g}{_unit(test.result.unit)}"


def _mean(floor: NoiseFloor) -> str:
    return f"W1 by chance = {floor.mean:.4g}{_unit(floor.unit)} on average"


def _spread(floor: NoiseFloor) -> str:
    draws = f"{len(floor.draws):,} draw{'' if len(floor.draws) == 1 else 's'}"
    return f"95 % of {draws} give at most {_quantile(floor.draws):.4g}{_unit(floor.unit)}"


def _sizes(floor: NoiseFloor) -> str:
    return f"n={floor.n}/{floor.m}"


def _quantile(draws: NDArray[np.float64]) -> float:
    """One of the draws, not a mean of two: that share of them is at most as large."""
    return float(np.quantile(draws, LEVEL, method="higher"))


def _unit(unit: str) -> str:
    return f" {unit}" if unit else ""

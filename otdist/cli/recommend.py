"""``otdist recommend``: the method to use for samples of a given size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from otdist.cli.app import Flag, Integer, app
from otdist.cli.shell import dump_json, shell_errors

if TYPE_CHECKING:
    from otdist.atlas import Recommendation

RECORD_FIELDS = ("method", "options", "seconds", "loading", "bytes", "exact")


@app.command
def recommend(
    n: Integer,
    d: Integer,
    /,
    *,
    tol: float = 0.0,
    m: Integer | None = None,
    metric: str = "euclidean",
    device: Literal["cpu", "cuda"] = "cpu",
    calls: Integer = 1,
    max_bytes: Integer | None = None,
    json: Flag = False,
) -> int:
    """Recommend a method for W1 between samples of a given size, by measured costs.

    Prints the time and memory to expect, what else would do, and why other methods would not.

    Parameters
    ----------
    n
        Points of the first sample.
    d
        Columns.
    tol
        Relative gap of the proved interval that is enough; 0: exact.
    m
        Points of the second sample. Default: as many as of the first.
    metric
        Ground metric: euclidean, cityblock, chebyshev, angular, gower, great_circle, ...
    device
        Where the points are.
    calls
        Problems like this one that a process will solve.
    max_bytes
        Memory it may take. Default: half of what is free.
    json
        Print JSON.
    """
    from otdist.atlas import recommend as recommended

    with shell_errors({"n": "N", "d": "D"}):
        recommendation = recommended(
            n, d, tol, m=m, metric=metric, device=device, calls=calls, max_bytes=max_bytes
        )
    print(dump_json(_make_record(recommendation)) if json else recommendation)
    return 0


def _make_record(recommendation: Recommendation) -> dict[str, object]:
    first, *others = (
        {name: getattr(item, name) for name in RECORD_FIELDS}
        for item in (recommendation, *recommendation.alternatives)
    )
    return first | {"why": recommendation.why, "alternatives": others, "left_out": recommendation.left_out}

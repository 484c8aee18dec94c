"""``otdist recommend``: which method to take for samples of a given size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from otdist.cli.app import Flag, Whole, app
from otdist.cli.shell import dumped, shell_errors

if TYPE_CHECKING:
    from otdist.atlas import Recommendation

TOLD = ("method", "options", "seconds", "loading", "bytes", "exact")


@app.command
def recommend(
    n: Whole,
    d: Whole,
    /,
    *,
    tol: float = 0.0,
    m: Whole | None = None,
    metric: str = "euclidean",
    device: Literal["cpu", "cuda"] = "cpu",
    calls: Whole = 1,
    max_bytes: Whole | None = None,
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
        choice = recommended(n, d, tol, m=m, metric=metric, device=device, calls=calls, max_bytes=max_bytes)
    print(dumped(_record(choice)) if json else choice)
    return 0


def _record(choice: Recommendation) -> dict[str, Any]:
    first, *others = ({name: getattr(one, name) for name in TOLD} for one in (choice, *choice.alternatives))
    return first | {"why": choice.why, "alternatives": others, "left_out": choice.left_out}

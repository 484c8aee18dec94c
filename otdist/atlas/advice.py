"""Which method to take for samples of a given size: recommend."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from otdist.atlas import costs
from otdist.budget import SHARE, free_memory
from otdist.errors import BudgetError, InputError, Option, Remedy
from otdist.inputs.arguments import check_choice, check_integer, check_number
from otdist.metrics import NAMED, Metric
from otdist.metrics.names import is_gower, resolve
from otdist.pages.words import number

LOOPS = ("euclidean", "sqeuclidean", "cityblock", "chebyshev")  # metrics with compiled code
CAUTION = 2.0  # how much quicker "sinkhorn" has to be: for tight clusters it was up to 1,000 times slower
NEVER = {
    "sliced": "another distance: a lower bound of W1, however long it takes",
    "critic": "proves a lower bound alone; for streams, and for points that no other method can hold",
}


@dataclass(frozen=True)
class Recommendation:
    """A method, what it is expected to cost, and the others in order.

    Attributes
    ----------
    method : str
        Its name.
    options : dict
        What to call it with: ``otdist.w1(x, y, **options)``.
    seconds : float or None
        Expected seconds of a call whose code is loaded. None: not measured.
    loading : float
        Seconds that the first call of a process takes longer.
    bytes : int
        Memory it is expected to take.
    exact : bool
        Whether the answer is exact up to rounding; else its proved gap is at most ``tol``.
    why : str
        A sentence for a person.
    alternatives : tuple of Recommendation
        The other methods that fit, the quickest first.
    left_out : dict
        Methods that do not fit, each with the reason.
    n, m, d : int
        Points of both samples, and columns, that were asked about.
    """

    method: str
    options: dict[str, Any]
    seconds: float | None
    loading: float
    bytes: int
    exact: bool
    why: str = ""
    alternatives: tuple[Recommendation, ...] = ()
    left_out: dict[str, str] = field(default_factory=dict)
    n: int = 0
    m: int = 0
    d: int = 0

    def __str__(self) -> str:
        lines = [f"{self._sizes()}: {self._short()}", f"  {self.why}"]
        lines += [f"  then {other._short()}" for other in self.alternatives]
        lines += [f"  not {name}: {reason}" for name, reason in self.left_out.items()]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<Recommendation: {self._sizes()}: {self._short()}>"

    def _repr_html_(self) -> str:
        from otdist.pages.notebook import table

        rows = [one._cells() for one in (self, *self.alternatives)]
        notes = [self.why, *(f"not {name}: {reason}" for name, reason in self.left_out.items())]
        header = ("method", "time", "to load", "memory", "answer")
        bold = [True] + [False] * len(self.alternatives)
        return table(header, rows, caption=self._sizes(), notes=notes, bold=bold, words=(0, 4))

    def _cells(self) -> tuple[str, ...]:
        loading = _time(self.loading) if self.loading else ""
        return self._call(), _time(self.seconds), loading, self._size(), self._goal()

    def _short(self) -> str:
        loading = f" after {_time(self.loading)} to load" if self.loading else ""
        return f"{self._call()}: {_time(self.seconds)}{loading}, {self._size()}, {self._goal()}"

    def _sizes(self) -> str:
        return f"n={self.n}/{self.m}, d={self.d}"

    def _call(self) -> str:
        options = (f" {key}={value:g}" for key, value in self.options.items() if key != "method")
        return f"{self.method}{''.join(options)}"

    def _size(self) -> str:
        return _size(self.bytes)

    def _goal(self) -> str:
        return "exact" if self.exact else f"gap at most {self.options['tol']:g}"


@dataclass(frozen=True)
class _Asked:
    """The question, checked."""

    n: int
    m: int
    d: int
    tol: float
    metric: Metric | None  # None: gower, which takes its scales from the samples
    calls: int
    max_bytes: float

    @property
    def loops(self) -> bool:
        """Whether costs are computed when they are needed, by compiled code."""
        return self.metric is not None and any(self.metric is NAMED[name] for name in LOOPS)

    @property
    def closed(self) -> str | None:
        """Method with a closed form."""
        if self.d > 1 or self.metric is None:
            return None
        if self.metric.line_power is not None:
            return "line"
        return None if self.metric.period is None else "circle"


def recommend(
    n: int,
    d: int,
    tol: float = 0.0,
    *,
    m: int | None = None,
    metric: str | Metric | Callable[..., float] = "euclidean",
    device: str = "cpu",
    calls: int = 1,
    max_bytes: int | None = None,
) -> Recommendation:
    """Recommend a method for W1 between samples of a given size, by measured costs.

    Parameters
    ----------
    n : int
        Points of the first sample, at least 1.
    d : int
        Columns, at least 1.
    tol : float
        Relative gap of the proved interval that is good enough, below 1. 0: exact.
    m : int, optional
        Points of the second sample. None: as many as of the first.
    metric : str, Metric or callable
        Ground metric, as in :func:`otdist.w1`.
    device : {"cpu", "cuda"}
        Where the points are. The methods run on the CPU in any case.
    calls : int
        Problems like this one that the process will solve: they share the time that it takes to load
        compiled code.
    max_bytes : int, optional
        Memory it may take. None: half of what is free.

    Returns
    -------
    Recommendation
        The quickest method that fits, with the others in order. For one call, the first exact one among
        them is what ``method="auto"`` takes.

    Raises
    ------
    InputError
        If an argument makes no sense.
    BudgetError
        If no method fits into the memory.

    Notes
    -----
    Seconds are those of two cores, for normal samples with equal weights under "euclidean": others differ
    by a factor of two, and by more for "sinkhorn", which comes first only where it is expected to take less
    than half the time of the others. Cost: some microseconds. Source: the atlas, ``benchmarks/atlas``.

    Examples
    --------
    >>> import otdist
    >>> otdist.recommend(300, 2).method
    'dense'
    >>> choice = otdist.recommend(50_000, 16)
    >>> choice.options, choice.exact
    ({'method': 'sparse'}, True)
    >>> choice.left_out["sinkhorn"]
    'not exact: it goes on to a gap that is above 0'
    """
    asked = _asked(n, d, tol, n if m is None else m, metric, calls, max_bytes)
    check_choice(device, "device", ("cpu", "cuda"))
    left_out = _unfit(asked)
    names = ("line", "circle", "dense", "sparse", "sinkhorn")
    found = [_candidate(asked, name) for name in names if name not in left_out]
    if not found:
        raise BudgetError(
            f"no method takes {asked.n} x {asked.m} points in {_size(asked.max_bytes)}",
            Remedy(
                "pass a random subset, raise {}, or train an otdist.learn.Critic, which takes streams",
                Option("max_bytes"),
            ),
        )
    found.sort(key=lambda one: _total(one, asked.calls))
    first, *others = found
    left_out |= NEVER if asked.closed is None else {}
    reasons = {name: reason for name, reason in left_out.items() if reason}
    why = _why(asked, first, device)
    if any(_plain(one, asked.calls) < _plain(first, asked.calls) for one in others):
        why += f" 'sinkhorn' has to be {CAUTION:g} times as quick to come first: its time depends on the law."
    return replace(first, why=why, alternatives=tuple(others), left_out=reasons)


def _asked(n: Any, d: Any, tol: Any, m: Any, metric: Any, calls: Any, max_bytes: Any) -> _Asked:
    """Judge the arguments."""
    sizes = {
        name: check_integer(value, name) for name, value in (("n", n), ("d", d), ("m", m), ("calls", calls))
    }
    tol = check_number(tol, "tol", at_least=0, remedy="give a gap from 0, exact, to below 1")
    if tol >= 1:
        raise InputError("tol", f"must be below 1, got {tol:g}", "give a gap from 0, exact, to below 1")
    if max_bytes is not None:
        limit: float = check_integer(max_bytes, "max_bytes")
    else:
        free = free_memory()
        limit = math.inf if free is None else SHARE * free
    ground = None if is_gower(metric) else resolve(metric)
    return _Asked(sizes["n"], sizes["m"], sizes["d"], tol, ground, calls=sizes["calls"], max_bytes=limit)


def _unfit(asked: _Asked) -> dict[str, str]:
    """Methods that do not fit, with the reason; those that are of no interest here with none."""
    if asked.closed is not None:
        names = ("line", "circle", "dense", "sparse", "sinkhorn")
        return {name: "" for name in names if name != asked.closed}
    found = {"line": "", "circle": ""}
    if asked.tol == 0:
        found["sinkhorn"] = "not exact: it goes on to a gap that is above 0"
    elif asked.tol < costs.finest("sinkhorn"):
        found["sinkhorn"] = f"measured down to a gap of {costs.finest('sinkhorn'):g}"
    elif not asked.loops:
        found["sinkhorn"] = "no compiled loops for this metric: it would work on all pairs, which is slow"
    for name in ("dense", "sparse", "sinkhorn"):
        needed = costs.memory(name, asked.n, asked.m, asked.d, not asked.loops)
        if name not in found and needed > asked.max_bytes:
            found[name] = f"needs {_size(needed)}, more than {_size(asked.max_bytes)}"
    return found


def _candidate(asked: _Asked, name: str) -> Recommendation:
    """What one method costs."""
    exact = name in ("line", "circle", "dense") or asked.tol == 0
    options = {"method": name} | ({} if exact else {"tol": asked.tol})
    expected = None if name == "circle" else costs.seconds(name, asked.n, asked.m, asked.d, asked.tol)
    needed = costs.memory(name, asked.n, asked.m, asked.d, not asked.loops)
    loading, (n, m, d) = costs.loading(name), (asked.n, asked.m, asked.d)
    return Recommendation(name, options, expected, loading, needed, exact, n=n, m=m, d=d)


def _total(one: Recommendation, calls: int) -> float:
    """Seconds by which methods are ordered."""
    return _plain(one, calls) * (CAUTION if one.method == "sinkhorn" else 1.0)


def _plain(one: Recommendation, calls: int) -> float:
    """Seconds of a call, with its share of what the first one loads and compiles."""
    return (one.seconds or 0.0) + costs.start(one.method) / calls


def _why(asked: _Asked, first: Recommendation, device: str) -> str:
    if asked.closed is not None:
        text = "A closed form: exact, and nothing is quicker."
    elif asked.calls == 1:
        text = "The quickest that fits, for one call in a new process."
    else:
        text = f"The quickest that fits, for {number(asked.calls)} calls in one process."
    if asked.closed is None and asked.metric is not NAMED["euclidean"]:
        text += " Seconds are those of 'euclidean'."
    if first.seconds is not None and _beyond(asked, first):
        text += " Beyond what was measured: seconds are extrapolated."
    if device == "cuda":
        text += " Points are copied to the CPU, where all methods run."
    return text


def _beyond(asked: _Asked, first: Recommendation) -> bool:
    columns = costs.columns(first.method)
    largest = costs.largest(first.method, min(asked.d, columns), asked.tol)
    return asked.d > columns or math.sqrt(asked.n * asked.m) > 1.001 * largest


def _time(value: float | None) -> str:
    if value is None:
        return "not measured"
    if value < 0.0995:
        return f"{number(float(f'{1e3 * value:.2g}'))} ms"
    return f"{number(float(f'{value:.2g}'))} s"


def _size(value: float) -> str:
    return f"{value / 1e9:.3g} GB" if value >= 1e9 else f"{max(value / 1e6, 0.01):.3g} MB"

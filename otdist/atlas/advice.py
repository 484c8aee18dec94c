"""Recommendation of a method for samples of a given size."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from otdist.atlas import costs
from otdist.errors import BudgetError, Option, Remedy
from otdist.inputs.arguments import check_choice, check_integer, check_number
from otdist.metrics import NAMED, Metric
from otdist.metrics.names import is_gower, resolve
from otdist.pages.formatting import format_number
from otdist.runtime.budget import SHARE, format_bytes, free_memory
from otdist.typing import GroundMetric

COMPILED_METRICS = ("euclidean", "sqeuclidean", "cityblock", "chebyshev")  # metrics with compiled costs
SINKHORN_SAFETY_FACTOR = (
    2.0  # required speed-up of "sinkhorn": for tight clusters it was up to 1,000 times slower
)
NEVER_RECOMMENDED = {
    "sliced": "another distance: a lower bound of W1, however long it takes",
    "critic": "proves a lower bound alone; for streams, and for points that no other method can hold",
}


@dataclass(frozen=True)
class Recommendation:
    """Recommended method with its expected cost, and the other methods in order.

    Attributes
    ----------
    method : str
        Name of the method.
    options : dict
        Arguments of the call: ``otdist.w1(x, y, **options)``.
    seconds : float or None
        Expected seconds of a call whose code is loaded. None: not measured.
    loading : float
        Additional seconds of the first call of a process.
    bytes : int
        Expected memory.
    exact : bool
        Whether the value is exact up to rounding; otherwise its proved gap is at most ``tol``.
    why : str
        Explanation in a sentence.
    alternatives : tuple of Recommendation
        Other suitable methods, the fastest first.
    left_out : dict
        Unsuitable methods, each with the reason.
    n, m, d : int
        Requested numbers of points of both samples, and of columns.
    """

    method: str
    options: dict[str, float | str]
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
        lines = [f"{self._format_sizes()}: {self._summarise()}", f"  {self.why}"]
        lines += [f"  then {other._summarise()}" for other in self.alternatives]
        lines += [f"  not {name}: {reason}" for name, reason in self.left_out.items()]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<Recommendation: {self._format_sizes()}: {self._summarise()}>"

    def _repr_html_(self) -> str:
        from otdist.pages.notebook import render_table

        rows = [candidate._format_cells() for candidate in (self, *self.alternatives)]
        notes = [self.why, *(f"not {name}: {reason}" for name, reason in self.left_out.items())]
        header = ("method", "time", "to load", "memory", "answer")
        bold = [True] + [False] * len(self.alternatives)
        return render_table(header, rows, caption=self._format_sizes(), notes=notes, bold=bold, words=(0, 4))

    def _format_cells(self) -> tuple[str, ...]:
        loading = _format_seconds(self.loading) if self.loading else ""
        return (
            self._format_call(),
            _format_seconds(self.seconds),
            loading,
            self._format_bytes(),
            self._format_goal(),
        )

    def _summarise(self) -> str:
        loading = f" after {_format_seconds(self.loading)} to load" if self.loading else ""
        seconds = f"{_format_seconds(self.seconds)}{loading}"
        return f"{self._format_call()}: {seconds}, {self._format_bytes()}, {self._format_goal()}"

    def _format_sizes(self) -> str:
        return f"n={self.n}/{self.m}, d={self.d}"

    def _format_call(self) -> str:
        options = (f" {key}={value:g}" for key, value in self.options.items() if key != "method")
        return f"{self.method}{''.join(options)}"

    def _format_bytes(self) -> str:
        return format_bytes(self.bytes)

    def _format_goal(self) -> str:
        return "exact" if self.exact else f"gap at most {self.options['tol']:g}"


@dataclass(frozen=True)
class _Request:
    """Checked arguments of `recommend`."""

    n: int
    m: int
    d: int
    tol: float
    metric: Metric | None  # None: gower, which takes its scales from the samples
    calls: int
    max_bytes: float

    @property
    def has_compiled_costs(self) -> bool:
        """True if compiled code computes costs on demand."""
        return self.metric is not None and any(self.metric is NAMED[name] for name in COMPILED_METRICS)

    @property
    def closed_form(self) -> str | None:
        """Method with a closed form, or None."""
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
        Number of points of the first sample, at least 1.
    d : int
        Number of columns, at least 1.
    tol : float
        Sufficient relative gap of the proved interval, below 1. 0: exact.
    m : int, optional
        Number of points of the second sample. None: n.
    metric : str, Metric or callable
        Ground metric, as in :func:`otdist.w1`.
    device : {"cpu", "cuda"}
        Device of the points. All methods run on the CPU.
    calls : int
        Number of similar problems that the process will solve; they share the time to load compiled code.
    max_bytes : int, optional
        Memory limit. None: half of the free memory.

    Returns
    -------
    Recommendation
        Fastest suitable method, with the others in order. For one call, ``method="auto"`` takes the first
        exact one among them.

    Raises
    ------
    InputError
        If an argument is invalid.
    BudgetError
        If no method fits into memory.

    Notes
    -----
    Seconds were measured on two cores, for normal samples with equal weights under "euclidean": other
    problems differ by a factor of two, and by more for "sinkhorn", which comes first only where it is
    expected to take less than half the time of the others. Cost: some microseconds. Source: the atlas,
    ``benchmarks/atlas``.

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
    request = _check_request(n, d, tol, n if m is None else m, metric, calls, max_bytes)
    check_choice(device, "device", ("cpu", "cuda"))
    left_out = _find_unsuitable(request)
    names = ("line", "circle", "dense", "sparse", "sinkhorn")
    candidates = [_make_candidate(request, name) for name in names if name not in left_out]
    if not candidates:
        raise BudgetError(
            f"no method takes {request.n} x {request.m} points in {format_bytes(request.max_bytes)}",
            Remedy(
                "pass a random subset, raise {}, or train an otdist.learn.Critic, which takes streams",
                Option("max_bytes"),
            ),
        )
    candidates.sort(key=lambda candidate: _compute_ranking_seconds(candidate, request.calls))
    first, *others = candidates
    left_out |= NEVER_RECOMMENDED if request.closed_form is None else {}
    reasons = {name: reason for name, reason in left_out.items() if reason}
    why = _explain_choice(request, first, device)
    if any(
        _compute_seconds(candidate, request.calls) < _compute_seconds(first, request.calls)
        for candidate in others
    ):
        why += f" 'sinkhorn' has to be {SINKHORN_SAFETY_FACTOR:g} times as quick to come first:"
        why += " its time depends on the distribution."
    return replace(first, why=why, alternatives=tuple(others), left_out=reasons)


def _check_request(
    n: int, d: int, tol: float, m: int | None, metric: GroundMetric, calls: int, max_bytes: int | None
) -> _Request:
    """Check the arguments of `recommend`."""
    sizes = {
        name: check_integer(value, name) for name, value in (("n", n), ("d", d), ("m", m), ("calls", calls))
    }
    tol = check_number(tol, "tol", at_least=0, below=1, remedy="pass a gap from 0, exact, to below 1")
    if max_bytes is not None:
        limit: float = check_integer(max_bytes, "max_bytes")
    else:
        free = free_memory()
        limit = math.inf if free is None else SHARE * free
    ground_metric = None if is_gower(metric) else resolve(metric)
    return _Request(
        sizes["n"], sizes["m"], sizes["d"], tol, ground_metric, calls=sizes["calls"], max_bytes=limit
    )


def _find_unsuitable(request: _Request) -> dict[str, str]:
    """Find the unsuitable methods, with the reasons; an empty reason is not reported."""
    if request.closed_form is not None:
        names = ("line", "circle", "dense", "sparse", "sinkhorn")
        return {name: "" for name in names if name != request.closed_form}
    reasons = {"line": "", "circle": ""}
    if request.tol == 0:
        reasons["sinkhorn"] = "not exact: it goes on to a gap that is above 0"
    elif request.tol < costs.get_smallest_gap("sinkhorn"):
        reasons["sinkhorn"] = f"measured down to a gap of {costs.get_smallest_gap('sinkhorn'):g}"
    elif not request.has_compiled_costs:
        reasons["sinkhorn"] = "no compiled loops for this metric: it would work on all pairs, which is slow"
    for name in ("dense", "sparse", "sinkhorn"):
        required_bytes = costs.estimate_memory(
            name, request.n, request.m, request.d, not request.has_compiled_costs
        )
        if name not in reasons and required_bytes > request.max_bytes:
            reasons[name] = (
                f"needs {format_bytes(required_bytes)}, more than {format_bytes(request.max_bytes)}"
            )
    return reasons


def _make_candidate(request: _Request, name: str) -> Recommendation:
    """Return a method with its expected cost."""
    exact = name in ("line", "circle", "dense") or request.tol == 0
    options = {"method": name} | ({} if exact else {"tol": request.tol})
    expected = (
        None
        if name == "circle"
        else costs.estimate_seconds(name, request.n, request.m, request.d, request.tol)
    )
    required_bytes = costs.estimate_memory(
        name, request.n, request.m, request.d, not request.has_compiled_costs
    )
    loading, (n, m, d) = costs.get_loading_seconds(name), (request.n, request.m, request.d)
    return Recommendation(name, options, expected, loading, required_bytes, exact, n=n, m=m, d=d)


def _compute_ranking_seconds(candidate: Recommendation, calls: int) -> float:
    """Compute the seconds that methods are ordered by."""
    return _compute_seconds(candidate, calls) * (
        SINKHORN_SAFETY_FACTOR if candidate.method == "sinkhorn" else 1.0
    )


def _compute_seconds(candidate: Recommendation, calls: int) -> float:
    """Compute the seconds of a call, with its share of loading and compilation."""
    return (candidate.seconds or 0.0) + costs.get_startup_seconds(candidate.method) / calls


def _explain_choice(request: _Request, first: Recommendation, device: str) -> str:
    if request.closed_form is not None:
        text = "A closed form: exact, and nothing is quicker."
    elif request.calls == 1:
        text = "The quickest that fits, for one call in a new process."
    else:
        text = f"The quickest that fits, for {format_number(request.calls)} calls in one process."
    if request.closed_form is None and request.metric is not NAMED["euclidean"]:
        text += " Seconds are those of 'euclidean'."
    if first.seconds is not None and _is_extrapolated(request, first):
        text += " Beyond what was measured: seconds are extrapolated."
    if device == "cuda":
        text += " Points are copied to the CPU, where all methods run."
    return text


def _is_extrapolated(request: _Request, first: Recommendation) -> bool:
    largest_columns = costs.get_largest_columns(first.method)
    largest_size = costs.get_largest_size(first.method, min(request.d, largest_columns), request.tol)
    return request.d > largest_columns or math.sqrt(request.n * request.m) > 1.001 * largest_size


def _format_seconds(value: float | None) -> str:
    if value is None:
        return "not measured"
    if value < 0.0995:
        return f"{format_number(float(f'{1e3 * value:.2g}'))} ms"
    return f"{format_number(float(f'{value:.2g}'))} s"

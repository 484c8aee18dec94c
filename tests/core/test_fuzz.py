"""Every public function of the core on data and options drawn at random.

Whatever goes in, one of these comes out: an InputError or BudgetError, or an answer whose interval is in
order and which is `converged` only with a gap of at most its goal. Nothing else is raised or warned of.

``HYPOTHESIS_PROFILE=fuzz python -m pytest tests/core/test_fuzz.py`` draws 100,000 examples of each; what
fails is kept in ``.hypothesis`` and tried first by the next run.
"""

from __future__ import annotations

import math
import warnings

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import otdist
from otdist import metrics

GOAL = 1e-9
MATCHES = (otdist.InputError, otdist.BudgetError)

sizes = st.integers(1, 5)
ordinary = st.one_of(st.integers(-3, 3).map(float), st.floats(-10, 10).map(lambda v: round(v, 3)))
orders = st.builds(
    lambda sign, digits, power: sign * digits * 10.0**power,
    st.sampled_from([-1.0, 1.0]),
    st.floats(1, 10),
    st.integers(-30, 30),
)
extreme = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0.0, 5e-324, 1e-308, 1e-160, 1e160, 1e300, np.finfo(float).max]),
)
anything = st.one_of(ordinary, st.floats(), st.sampled_from([math.nan, math.inf, -math.inf]))
numbers = st.sampled_from([ordinary, ordinary, orders, extreme, anything])
p_orders = st.sampled_from([1, 1.0, 1.5, 2, 3, 6, 10, 50, np.float32(2), math.inf])
named = ["euclidean", "cityblock", "chebyshev", "sqeuclidean", "cosine", "angular", "gower"]


def _farthest_column(u, v):
    with np.errstate(all="ignore"):
        return float(np.abs(u - v).max())


grounds = st.one_of(
    st.sampled_from(named),
    st.floats(1, 20).map(metrics.minkowski),
    st.floats(1e-3, 1e6).map(metrics.periodic),
    st.just(_farthest_column),
)


@st.composite
def arrays(draw, shape, elements):
    """Draw an array in one of many forms."""
    values = draw(hnp.arrays(np.float64, shape, elements=elements))
    form = draw(st.sampled_from(["array", "array", "list", "float32", "fortran", "reversed", "read-only"]))
    if form == "list":
        return values.tolist()
    if form == "float32":
        with np.errstate(over="ignore", under="ignore"):
            return values.astype(np.float32)
    if form == "fortran":
        return np.asfortranarray(values)
    if form == "reversed":
        return values[::-1]
    if form == "read-only":
        values.flags.writeable = False
    return values


@st.composite
def weights(draw, n):
    """Draw weights: none, counts, shares, over many orders, or impossible ones."""
    kind = draw(st.sampled_from(["none", "none", "counts", "shares", "orders", "anything"]))
    if kind == "none":
        return None
    elements = {
        "counts": st.integers(0, 4).map(float),
        "shares": st.floats(0.01, 1),
        "orders": st.integers(-15, 0).map(lambda k: 10.0**k),
        "anything": anything,
    }[kind]
    return draw(arrays(n, elements))


@st.composite
def problems(draw, *, d=None):
    """Draw two weighted samples."""
    elements = draw(numbers)
    n, m, d = draw(sizes), draw(sizes), draw(st.integers(1, 3)) if d is None else d
    x, y = draw(arrays((n, d), elements)), draw(arrays((m, d), elements))
    if draw(st.booleans()):
        y = (np.asarray(x, dtype=float)[: len(y)]).tolist() if len(x) >= len(y) else y
    return x, y, draw(weights(len(x))), draw(weights(len(y)))


def answers(solve, *, goal=GOAL):
    """Call a function and hold its answer to what every answer promises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", otdist.ConvergenceWarning)
        warnings.simplefilter("ignore", otdist.PrecisionWarning)
        try:
            result = solve()
        except MATCHES:
            return None
    value = float(result)
    if math.isnan(value):
        assert math.isnan(result.lower) and math.isnan(result.upper)
        return result
    assert result.lower <= value <= result.upper
    assert value >= 0 or result.name.startswith("S")
    if goal is not None and math.isfinite(value):
        assert not result.converged or result.gap <= max(goal, 0.0)
    if not result.converged:
        assert result.message
    return result


policies = st.sampled_from(["raise", "omit", "propagate"])


@given(problems(), grounds, p_orders, st.sampled_from(["auto", "auto", "dense", "sparse"]), policies)
def test_wasserstein(problem, ground, p, method, policy):
    answers(lambda: otdist.wasserstein(*problem, p=p, metric=ground, method=method, nan_policy=policy))


@given(problems(d=1), p_orders)
def test_the_line(problem, p):
    answers(lambda: otdist.wasserstein(*problem, p=p, nan_policy="omit"))


@given(problems(), st.sampled_from(["euclidean", "cityblock", "sqeuclidean"]))
def test_sinkhorn(problem, ground):
    answers(lambda: otdist.w1(*problem, metric=ground, method="sinkhorn"), goal=0.01)


@given(st.data())
def test_emd(data):
    elements = data.draw(numbers).map(abs)
    n, m = data.draw(sizes), data.draw(sizes)
    cost = data.draw(arrays((n, m), elements))
    a, b = data.draw(weights(n)), data.draw(weights(m))
    answers(lambda: otdist.emd(cost, a, b, method=data.draw(st.sampled_from(["auto", "dense", "sparse"]))))


@given(problems(), st.sampled_from(["sliced_w1", "max_sliced_w1"]), st.sampled_from([1, 2]))
def test_sliced(problem, name, p):
    answers(lambda: getattr(otdist, name)(*problem, p=p, rng=0, nan_policy="omit"), goal=None)


@given(problems(), st.floats(1e-6, 1e6), st.sampled_from(["tv", "kl"]), st.sampled_from([1, 2]))
def test_unbalanced(problem, reach, penalty, p):
    x, y, a, b = problem
    a, b = np.ones(len(x)) if a is None else a, np.ones(len(y)) if b is None else b
    goal = GOAL if penalty == "tv" else 0.01
    answers(lambda: otdist.unbalanced_w1(x, y, a, b, reach=reach, penalty=penalty, p=p), goal=goal)


@given(problems(), st.floats(0, 2))
def test_partial(problem, moved):
    x, y, a, b = problem
    a, b = np.ones(len(x)) if a is None else a, np.ones(len(y)) if b is None else b
    answers(lambda: otdist.partial_w1(x, y, a, b, moved=moved))


@given(problems(), st.sampled_from([1, 2]))
def test_divergence(problem, p):
    answers(lambda: otdist.sinkhorn_divergence(*problem, p=p), goal=None)


@given(problems(d=1), p_orders, policies)
def test_many_lines(problem, p, policy):
    x, y, a, b = (np.asarray(v, dtype=float) if v is not None else None for v in problem)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", otdist.PrecisionWarning)
            value = otdist.wasserstein_1d(x[:, 0], y[:, 0], a, b, p=p, nan_policy=policy)
    except MATCHES:
        return
    assert math.isnan(value) or value >= 0


@given(problems())
def test_noise(problem):
    x, y, *_ = problem
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", otdist.PrecisionWarning)
        warnings.simplefilter("ignore", otdist.ConvergenceWarning)
        try:
            test = otdist.stats.permutation_test(x, y, n_resamples=9, rng=0)
            floor = otdist.stats.noise_floor(x, len(x), len(y), n_resamples=9, rng=0)
        except MATCHES:
            return
    assert 0.1 <= test.pvalue <= 1
    assert (floor.draws >= 0).all()


@given(
    exponent=st.sampled_from([-980, -300, -30, 30, 300, 980]),
    problem=problems(),
    p=st.sampled_from([1, 2, 3]),
    ground=st.sampled_from(named[:3]),
)
def test_scale(exponent, problem, p, ground):
    x, y, a, b = (None if v is None else np.asarray(v, dtype=float) for v in problem)
    with np.errstate(all="ignore"):
        scaled = np.ldexp(x, exponent), np.ldexp(y, exponent)
        if not all((np.ldexp(z, -exponent) == w).all() for z, w in zip(scaled, (x, y), strict=True)):
            return
    first = answers(lambda: otdist.wasserstein(x, y, a, b, p=p, metric=ground))
    second = answers(lambda: otdist.wasserstein(*scaled, a, b, p=p, metric=ground))
    if first is None or second is None or not math.isfinite(float(first)):
        return
    low, high = (math.ldexp(bound, -exponent) for bound in (second.lower, second.upper))
    assert low <= first.upper and first.lower <= high

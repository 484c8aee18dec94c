"""How well every method keeps ``max_seconds``, and how narrow the interval is that it proves by then.

One process; code is compiled and loaded before. A limit counts as kept if the call is at most 10 % and a
second late. Run it on idle cores: ``python -m benchmarks.small.deadlines``, ``--quick`` for a few minutes,
``--only PATTERN``, ``--limits 1``, ``--list``; ``--table`` prints what was measured before.
"""

import fnmatch
import time
import warnings
from functools import partial
from itertools import product

import numpy as np

import otdist
from benchmarks.common.script import run_script
from otdist.metrics import minkowski, periodic

LIMITS = (0.5, 1.0, 4.0)
SIZES = (5_000, 20_000, 50_000)
COLUMNS = (2, 16, 60)
LATE = 0.1, 1.0  # share of the limit, and seconds, that a call may be late
MATRIX, PAIRS = 20_000, 5_000  # points a side up to which a cost matrix fits, and a slow cost is computed
HEAD = f"{'':22}{'n':>7}{'d':>4}{'limit':>6}{'took':>9}{'overrun':>9}          width"
LINE = "{case:<22}{n:>7}{d:>4}{limit:>6}{took:>9.2f}{overrun:>9.2f}  {kept}  {width:>8}  {converged}"


def asked(function, **options):
    """A function of two samples with some options, as what takes samples and returns what takes a limit."""
    return lambda x, y: lambda seconds: function(x, y, max_seconds=seconds, **options)


def matrix(method):
    """Earth mover's distance for a matrix of random costs."""

    def make(x, y):
        cost = np.random.default_rng(0).random((len(x), len(y)))
        return lambda seconds: otdist.emd(cost, max_seconds=seconds, method=method)

    return make


distance, divergence = partial(asked, otdist.wasserstein), partial(asked, otdist.sinkhorn_divergence)
unbalanced = partial(asked, otdist.unbalanced_w1, reach=1.0)
POINTS = {
    "sparse": distance(method="sparse"),
    "sparse W2": distance(p=2, method="sparse"),
    "sinkhorn": distance(method="sinkhorn"),
    "sinkhorn W2": distance(p=2, method="sinkhorn"),
    "sinkhorn eps=0.01": distance(method="sinkhorn", eps=0.01),
    "critic": distance(method="critic"),
    "divergence": divergence(eps=0.01),
    "divergence reach": divergence(eps=0.01, reach=1.0),
    "unbalanced kl": unbalanced(penalty="kl"),
}
DENSE = {  # 41 bytes a pair
    "dense": distance(method="dense"),
    "unbalanced tv": unbalanced(),
    "partial": asked(otdist.partial_w1, moved=0.5),
    "minkowski": distance(metric=minkowski(3)),
    "callable": distance(metric=lambda u, v: float(np.abs(u - v).sum())),
    "angular W2": distance(p=2, metric="angular", method="sparse"),
    "minkowski sinkhorn": distance(metric=minkowski(3), method="sinkhorn"),
    "minkowski divergence": divergence(metric=minkowski(3)),
    "minkowski tv": unbalanced(metric=minkowski(3)),
    "minkowski kl": unbalanced(metric=minkowski(3), penalty="kl"),
}
ON_LINE = {"line": distance(), "circle": distance(metric=periodic(7.0))}
MATRICES = {f"emd {method}": matrix(method) for method in ("dense", "sparse", "sinkhorn")}
METHODS = POINTS | DENSE | ON_LINE | MATRICES


def list_cases():
    """Names, points and columns."""
    for n in SIZES:
        yield from ((name, n, 1) for name in ON_LINE)
        for d in COLUMNS:
            yield from ((name, n, d) for name in (POINTS | DENSE if n <= PAIRS else POINTS))
        yield from ((name, n, 1) for name in MATRICES if n <= (PAIRS if name == "emd dense" else MATRIX))


def warm_up(selected):
    """Compile and load what the cases run, on small problems and to the end."""
    for name, d in {name: d for name, _, d in selected}.items():
        # Two columns take other ways than sixteen.
        for n, columns in product((300, 2500), (1,) if d == 1 else (2, 16)):
            measure((name, n, columns), 5.0)


def measure(case, limit):
    """One call, for two normal samples, one moved by 0.3 in every column."""
    name, n, d = case
    rng = np.random.default_rng(n + d)
    call = METHODS[name](rng.normal(size=(n, d)), rng.normal(size=(n, d)) + 0.3)
    start, used = time.perf_counter(), time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", otdist.ConvergenceWarning)
        result = call(limit)
    took, used = time.perf_counter() - start, time.process_time() - used
    top, late = abs(result.upper), took > limit * (1 + LATE[0]) + LATE[1]
    row = {"case": name, "n": n, "d": d, "limit": limit, "took": round(took, 3), "cpu": round(used, 3)}
    row |= {"overrun": round(took - limit, 3), "kept": not late, "converged": bool(result.converged)}
    return row | {"width": (result.upper - result.lower) / top if 0 < top < np.inf else None}


def line_of(row):
    width = "unknown" if row["width"] is None else f"{row['width']:.1e}"
    kept, converged = "kept" if row["kept"] else "LATE", "converged" * row["converged"]
    return LINE.format(**row | {"width": width, "kept": kept, "converged": converged})


def run(options):
    """Rows of what is selected, after a warm start; or the names."""
    names = {case: "{} n={} d={}".format(*case) for case in list_cases()}
    selected = [case for case, name in names.items() if fnmatch.fnmatch(name, options.only)]
    limits = [float(limit) for limit in options.limits.split(",")]
    if options.quick:
        selected, limits = [case for case in selected if case[1] < SIZES[-1] and case[2] in (1, 16)], [0.5]
    if options.list:
        print(*map(names.get, selected), sep="\n")
        return
    warm_up(selected)
    rows = []
    for case, limit in product(selected, limits):
        rows.append(measure(case, limit))
        yield rows[-1]
    kept, latest = sum(row["kept"] for row in rows), max(row["overrun"] for row in rows)
    print(f"{kept} of {len(rows)} kept; latest: {latest:.2f} s")


if __name__ == "__main__":
    keep = lambda options: options.only == "*" and not options.quick  # noqa: E731
    only, limits = ("*", "pattern of cases, as --list names them"), (",".join(map(str, LIMITS)), "seconds")
    quick = (False, "5,000 and 20,000 points, 16 columns, one limit")
    settings = {"only": only, "limits": limits, "quick": quick, "list": (False, "name the cases")}
    run_script("deadlines", __doc__, run, line_of, head=HEAD, keep=keep, **settings)

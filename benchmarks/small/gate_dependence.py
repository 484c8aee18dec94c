"""False alarms of p-values where rows depend on each other, with and without ``groups`` and ``blocks``.

Nothing has changed in any of these pairs, so at a nominal 5 % at most 5 % should alarm.
"""

import numpy as np
from scipy.signal import lfilter

import otdist
from benchmarks.common.script import run_script

LEVEL = 0.05


def is_alarm(run, x, y, **options):
    report = otdist.compare({"x": x}, {"x": y}, joint=False, rng=run, **options)
    return bool(report["x"].pvalue <= LEVEL)


def compare_halves(run, phi, n, block):
    """Two consecutive halves of one stationary AR(1) series, n rows each."""
    noise = np.random.default_rng(run).normal(size=2 * n + 500)
    series = lfilter([1.0], [1.0, -phi], noise)[500:]
    return is_alarm(run, series[:n], series[n:], blocks=block)


def compare_customers(run, grouped, count, rows):
    """Customers with some rows each on both sides: a level of each one's own, and noise as large."""
    rng, owner = np.random.default_rng(run), np.repeat(np.arange(count), rows)
    x, y = (rng.normal(size=count)[owner] + rng.normal(size=count * rows) for _ in range(2))
    return is_alarm(run, x, y, groups=(owner, owner) if grouped else None)


def measure(options):
    def share(compare, *given):
        return sum(compare(run, *given) for run in range(options.runs)) / options.runs

    for phi in (0.0, 0.5, 0.9):
        for block in (None, 50, 100):
            yield f"AR(1) phi={phi}, n=500, blocks={block}", share(compare_halves, phi, 500, block)
    for grouped in (False, True):
        yield f"50 customers x 10 rows, groups={grouped}", share(compare_customers, grouped, 50, 10)


if __name__ == "__main__":
    runs, line = (1000, "pairs for each row of the table"), "{0[0]:44s} {0[1]:7.1%}".format
    run_script("gate_dependence", __doc__, measure, line, field="alarms", runs=runs)

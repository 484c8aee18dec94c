"""Exact W1 where others run out: the sparse method against POT, assignment solvers and flow solvers.

Each run is a fresh process: seconds of one solve after a warm-up (for those that need one, the cost matrix
is part of it), bytes it adds, the value and what is proved. Runs of one question follow each other, in turn.
What ends by time, memory or an error is a row as well. Run with ``python -m benchmarks.exact.vs_peers``;
writes results/exact_vs_peers.json row by row and goes on where it was stopped. Kinds: start, small, target,
large, growth, hard. See benchmarks.common.comparison for the options.
"""

from __future__ import annotations

import re

from benchmarks.common.comparison import compare, parse_options
from benchmarks.common.harness import RESULTS
from benchmarks.exact.questions import comparisons
from benchmarks.exact.start import START, measure_starts
from benchmarks.exact.tables import tables

NAME = "exact_vs_peers"


def main() -> None:
    options = parse_options(__doc__)
    is_measured = not (options.list or options.table or options.methods or options.scale != 1.0)
    if is_measured and options.kind in ("", START) and re.search(options.only, START):
        measure_starts(RESULTS / f"{NAME}.json", options.again)
    compare(NAME, options, comparisons(), tables, lambda rows: [row["method"] for row in rows])


if __name__ == "__main__":
    main()

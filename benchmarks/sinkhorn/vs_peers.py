"""Entropic W1: seconds to a true error of 1 % and 0.1 %, against GeomLoss, POT, OTT-JAX and mdot-tnt.

Every setting of every method is a row: a run in a fresh process, after a warm-up and compiling; its seconds
(with the cost matrix where a method needs one), its value, how far that is from the exact distance, what its
plan's marginals are off, the bytes it adds. The time to 1 % is that of the fastest setting whose error is at
most 1 %; such settings are run three times. A ladder of settings ends where one runs out of time or memory.
``kernel`` questions time half an iteration, ``large`` ones one that peers cannot hold. Run with
``python -m benchmarks.sinkhorn.vs_peers``; writes results/sinkhorn_vs_peers.json row by row and goes on where
it was stopped. Kinds: accuracy, kernel, large. See benchmarks.common.comparison for the options.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.common.comparison import compare, parse_options
from benchmarks.sinkhorn.questions import comparisons
from benchmarks.sinkhorn.tables import decisive, tables
from otdist.bench import METHODS

# Adapters that otdist does not ship: a half iteration alone, and a package whose licence is not free.
FOLDER = Path(__file__).parent
METHODS |= {
    "otdist pass": (str(FOLDER / "passes"), "otdist"),
    "torch pass": (str(FOLDER / "passes"), "torch"),
    "mdot-tnt": (str(FOLDER / "of_mdot"), "mdot_tnt"),
}


def main() -> None:
    compare("sinkhorn_vs_peers", parse_options(__doc__), comparisons(), tables, decisive)


if __name__ == "__main__":
    main()

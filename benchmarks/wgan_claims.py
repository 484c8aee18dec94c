"""What is said of Wasserstein GANs, measured with small ones: rows of docs/demonstrations.md.

``loss``: does the critic's loss follow the distance, and a classic GAN's? ``overfit``: what does a critic
say that has too few points? ``ratio``: how much of W1 does it see after 1, 2, 5, 10 steps, and what is best
at equal cost? ``sweep``: over learning rates and critic steps, which runs arrive? ``collapse``: which runs
lose modes, and which checks see it? ``synthetic``: is a classifier as good when trained on generated digits
and wines? ``words``, ``series``: the same trainer on words of the documentation and on days of power.

One run of each setting, three of those about collapse: about twelve minutes of one core. These are short runs
of small networks, which rank settings; what long runs reach is measured elsewhere (wgan_modes.py).

Run with ``python benchmarks/wgan_claims.py``; writes results/wgan_claims.json row by row and goes on where
it was stopped. ``--only PATTERN`` selects rows by name (so that several can run at once), ``--again``
measures them anew, ``--list`` names what is missing, ``--table`` prints tables and measures nothing.
``series`` needs the data in aeon's wheel (``pip install --no-deps aeon``).
"""

from __future__ import annotations

import argparse
import fcntl
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from harness import commit, load, save
from wgan_claims_curves import RATIO, SETTINGS, Row, loss, overfit, ratio
from wgan_claims_forms import series, words
from wgan_claims_runs import CASES, GAMES, METHODS, RATES, SPEEDS, TRAINERS, collapse, sweep, synthetic
from wgan_claims_tables import tables

NAME = "wgan_claims"
KEYS = (
    "part",
    "data",
    "case",
    "method",
    "setting",
    "rate",
    "speed",
    "n_critic",
    "seed",
)  # what makes a row another one
PARTS = {
    "loss": loss,
    "overfit": overfit,
    "ratio": ratio,
    "sweep": sweep,
    "collapse": collapse,
    "synthetic": synthetic,
    "words": words,
    "series": series,
}


def rows() -> list[Row]:
    """All rows: each setting once, those about collapse with three seeds."""
    every: list[Row] = [
        {"part": "collapse", "case": case, "method": method, "seed": seed}
        for seed in range(3)
        for case in CASES
        for method in GAMES
    ]
    return every + [row | {"seed": 0} for row in once()]


def once() -> list[Row]:
    """Rows of one seed, but for it."""
    every: list[Row] = [{"part": "overfit"}]
    every += [{"part": "ratio", "n_critic": k} for k in RATIO]
    every += [
        {"part": "loss", "data": data, "method": method, "setting": k}
        for data in ("ring", "digits")
        for method in ("w1", "gan")
        for k in range(len(SETTINGS))
    ]
    every += [
        {"part": "sweep", "method": method, "rate": rate, "speed": speed, "n_critic": k}
        for method in METHODS
        for rate in RATES
        for speed, k in SPEEDS
    ]
    every += [
        {"part": "synthetic", "data": data, "method": method}
        for data in ("wine", "digits")
        for method in TRAINERS
    ]
    return every + [
        {"part": part, "method": method} for part in ("words", "series") for method in ("w1", "gan")
    ]


def named(row: Row) -> str:
    """The row in words."""
    return " ".join(f"{name}={value}" for name, value in row.items() if name in KEYS)


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Nobody else reads or writes the results meanwhile."""
    with (Path(tempfile.gettempdir()) / f"{NAME}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def measured(row: Row) -> Row:
    """One row, with the code it was measured on; a run that fails is a result."""
    start = time.process_time()  # the machine may be others', too
    try:
        answer = {"status": "ok"} | PARTS[row["part"]](row)
    except FloatingPointError as error:
        answer = {"status": "not finite", "reason": str(error)}
    seconds = round(time.process_time() - start, 1)
    return row | answer | {"seconds": seconds, "commit": commit(), "date": time.strftime("%Y-%m-%d")}


def keep(row: Row) -> None:
    """Add a row to the results."""
    with one_at_a_time():
        known = {named(done): done for done in load(NAME) or []}
        known[named(row)] = row
        order = {name: k for k, name in enumerate([named(other) for other in rows()])}
        save(NAME, sorted(known.values(), key=lambda done: order.get(named(done), len(order))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", default="", metavar="PATTERN", help="rows whose name matches")
    parser.add_argument("--again", action="store_true", help="measure what is selected anew")
    parser.add_argument("--list", action="store_true", help="name what is missing, and stop")
    parser.add_argument("--table", action="store_true", help="print the tables in Markdown, and stop")
    options = parser.parse_args()
    if options.table:
        print(tables(load(NAME) or []))
        return
    torch.set_num_threads(1)  # runs are small; several at once pay
    chosen = [row for row in rows() if re.search(options.only, named(row))]
    known = {named(row) for row in load(NAME) or []}
    missing = [row for row in chosen if options.again or named(row) not in known]
    if options.list:
        print("\n".join(named(row) for row in missing))
        return
    for row in missing:
        done = measured(row)
        keep(done)
        print(f"{named(row)}: {done['status']}, {done['seconds']:.0f} s", flush=True)


if __name__ == "__main__":
    main()

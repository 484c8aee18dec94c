"""Generators as ``fit_wgan`` trains them: modes found, points of high quality, and the distance to the law.

Mixtures on a ring and a grid, a swiss roll, digits, and three digits stacked (1,000 modes); beside each, real
data, and other objectives and constraints with the same networks and steps, and what the trainer has for
them of rates and critic steps. Every row is
measured in a process of its own. Run with ``python benchmarks/wgan_modes.py``; writes results/wgan_modes.json
row by row and goes on where it was stopped. ``--only PATTERN`` selects rows by name, ``--limit 1`` ends after
as many rows (and exits with 1 where none is missing), ``--again`` measures anew, ``--list`` names what is
missing, ``--table`` prints tables and measures nothing, ``--threads`` sets those of torch.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from pathlib import Path

from apart import alone, apart
from harness import commit, load, save
from quiet import Others
from wgan_modes_problems import Row, key, named, rows
from wgan_modes_tables import tables

WORKER = Path(__file__).with_name("wgan_modes_runs.py")
NAME = "wgan_modes"
LIMIT = 4 * 3600.0  # seconds after which a run is given up


def measured(row: Row, threads: int) -> Row:
    """One row, with the code it was measured on and how busy others kept the machine."""
    # numpy's threads beside torch's would make steps several times slower
    os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": "1"}
    others, version = Others(), commit()
    answer = apart([sys.executable, "-W", "ignore", str(WORKER), json.dumps(row)], LIMIT)
    stamp = {"others": round(others.share(), 3), "commit": version, "date": time.strftime("%Y-%m-%d")}
    return row | answer | stamp | {"threads": threads}


def line(row: Row) -> str:
    if row["status"] != "ok":
        return f"{named(row)}: {row['status']}: {row['reason']}"
    told = [f"{row['modes']} modes"] if "modes" in row else []
    told += [f"{row['quality']:.1%} of high quality, reverse KL {row['reverse_kl']:.4f}"] if told else []
    told += [f"W1 {row['w1']:.4g}, floor {row['floor']:.4g}"] if "w1" in row else ["values are not finite"]
    told += [f"{row['steps']} steps, {row['processor_seconds']:.0f} s"] if "steps" in row else []
    return f"{named(row)}: {', '.join(told)}  others {row['others']:.1f}"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", default="", metavar="PATTERN", help="rows whose name matches")
    parser.add_argument("--limit", type=int, default=10**6, help="rows to measure, at most")
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    parser.add_argument("--again", action="store_true", help="measure what is selected anew")
    parser.add_argument("--list", action="store_true", help="name what is selected, and stop")
    parser.add_argument("--table", action="store_true", help="print the tables in Markdown, and stop")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    if options.table:
        print(tables(load(NAME) or []))
        return
    with alone(NAME):
        known = {key(row): row for row in load(NAME) or []}
        chosen = [row for row in rows() if re.search(options.only, named(row))]
        missing = [row for row in chosen if options.again or key(row) not in known]
        if options.list:
            print("\n".join(named(row) for row in missing))
            return
        if not missing:
            sys.exit("nothing is missing")
        for row in missing[: options.limit]:
            row = measured(row, options.threads)
            known[key(row)] = row
            save(NAME, list(known.values()))
            print(line(row), flush=True)


if __name__ == "__main__":
    main()

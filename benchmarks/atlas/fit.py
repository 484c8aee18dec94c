"""The atlas's cost models: from measured rows to the table that ships with otdist.

``python -m benchmarks.atlas.fit`` reads results/atlas.json, writes otdist/atlas/costs.json, and prints how
far each model is from rows it has not seen: the table that ships, and one power law for all sizes.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np

from benchmarks.atlas.measure import BARE, NEW
from benchmarks.atlas.rows import Row, load
from benchmarks.common.harness import RESULTS
from otdist.atlas import costs

TABLE = Path(costs.__file__).with_name("costs.json")
METHODS = ("line", "dense", "sparse", "sinkhorn")
Table = dict[str, dict[str, dict[str, list[list[float]]]]]


def kind(row: Row) -> tuple[str, float]:
    """Method as otdist names it, and its tol."""
    words = row["method"].removeprefix("otdist ").split()
    return words[0], float(words[1].removeprefix("tol=")) if len(words) > 1 else 0.0


def usable(rows: list[Row], part: str, late: bool = False) -> list[Row]:
    """Rows of own methods that reached what they were asked for; ``late``: and those that did not."""
    return [
        row
        for row in rows
        if row["part"] == part
        and row["status"] == "ok"
        and row["method"].startswith("otdist ")
        and kind(row)[0] in METHODS
        and (late or row.get("converged", True))
    ]


def table(rows: list[Row]) -> Table:
    """Seconds by method, gap and columns, along n; what ran out of time takes at least as long."""
    found: Table = {}
    for row in sorted(usable(rows, "grid", late=True), key=lambda row: (kind(row), row["d"], row["n"])):
        method, gap = kind(row)
        nodes = found.setdefault(method, {}).setdefault(f"{gap:g}", {}).setdefault(str(row["d"]), [])
        nodes.append([row["n"], float(f"{row['seconds']:.3g}")])
    return found


def loading(rows: list[Row], part: str = BARE) -> dict[str, float]:
    """Seconds that first calls take longer: of a process, or (NEW) of a machine."""
    return {kind(row)[0]: round(row["seconds"], 2) for row in rows if row["part"] == part}


def write(rows: list[Row], facts: Row) -> None:
    """Write the table, one line for each method, gap and column."""
    dates = sorted({row["date"] for row in rows})
    measured = {"cpu": facts["cpu"], "cores": facts["cores"], "date": dates[-1]}
    measured["commit"] = sorted({row["commit"] for row in rows})
    starts = {"loading": loading(rows), "compiling": loading(rows, NEW)}
    text = json.dumps({"measured": measured, **starts, "seconds": table(rows)}, indent=1)
    TABLE.write_text(_compact(text) + "\n")


def _compact(text: str) -> str:
    """JSON with every list on one line."""
    out, depth = [], 0
    for line in text.splitlines():
        word = line.strip()
        if depth:
            out[-1] += word + (" " if word.endswith(",") else "")
        else:
            out.append(line)
        depth += word.count("[") - word.count("]")
    return "\n".join(line.rstrip() for line in out)


def power_laws(rows: list[Row]) -> dict[tuple[str, float], np.ndarray]:
    """Least squares of log s = a + b log n + c log d, one for each method and gap."""
    groups: dict[tuple[str, float], list[Row]] = {}
    for row in usable(rows, "grid"):
        groups.setdefault(kind(row), []).append(row)
    return {key: np.linalg.lstsq(_terms(same), _logs(same), rcond=None)[0] for key, same in groups.items()}


def _terms(rows: list[Row]) -> np.ndarray:
    return np.array([[1.0, math.log(row["n"]), math.log(row["d"])] for row in rows])


def _logs(rows: list[Row]) -> np.ndarray:
    return np.log([row["seconds"] for row in rows])


def main() -> None:
    rows = load()
    write(rows, json.loads((RESULTS / "atlas.json").read_text())["machine"])
    costs._load_table.cache_clear()
    costs._load_curves.cache_clear()
    held: dict[tuple[str, float], list[Row]] = {}
    for row in usable(rows, "held out"):
        held.setdefault(kind(row), []).append(row)
    print("seconds = e^a n^b d^c; off: factor, median and 90 %, on rows held out: law, table")
    for key, law in power_laws(rows).items():
        told = f"{key[0]:10}tol={key[1]:<7g}a={law[0]:6.2f} b={law[1]:5.2f} c={law[2]:5.2f}"
        if key in held:
            same = held[key]
            by_law = np.abs(_terms(same) @ law - _logs(same))
            expected = [costs.estimate_seconds(key[0], row["n"], row["m"], row["d"], key[1]) for row in same]
            by_table = np.abs(np.log(np.array(expected, dtype=float)) - _logs(same))
            for off in (by_law, by_table):
                told += "   " + " ".join(f"{np.exp(np.quantile(off, q)):5.2f}" for q in (0.5, 0.9))
        print(told)


if __name__ == "__main__":
    main()

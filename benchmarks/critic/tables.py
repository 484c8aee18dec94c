"""Tables of the critic against known W1, in Markdown."""

import json
import math
from itertools import product

import numpy as np

from benchmarks.common.harness import RESULTS
from benchmarks.common.tables import make_tables
from benchmarks.critic.questions import AGAIN, COUNTS, CURVE, DIMENSIONS, PEERS

PUBLISHED = RESULTS / "w1bench_published.json"  # cosine, squared L2 and estimate by pair and solver
CAVEAT = (
    "Published cosines in d = 2 are not comparable: the gradient they are held against was computed in "
    "float32, which spoils it near the tips, where P is. *Paired*: from W1 by the true potential on the same "
    "points, whose noise is nearly the critic's; s.e. is that of the deviation that is not paired."
)
PAIRS = """d, n | B cos | A cos | SO cos | LP cos | best cos | B dev % | A dev % | B paired % | \
A paired % | SO dev % | LP dev % | best \\|dev\\| % | s.e. %"""
MEANS = """ | pairs | mean cos | in d > 2 | mean L2 | mean \\|dev\\| % | max \\|dev\\| % | above W1 | \
by > 5 % | by > 3 s.e."""
WHO, PAIRED = ("track B", "track A", "sort-out", "wgan-lp"), ("track B, paired", "track A, paired")
SEEDS = "d, n | seeds | cos | dev % | paired dev %, where known"
ONE_LINE_A_ROW = """\
C: Samples of finite size
samples | d, n | critic | train / W1 | test / W1 | fresh / W1 | constant | fresh / constant / W1 | \
steps | test above W1 | fresh above W1
{samples:,} | {cell} | {method} | {train:.3f} | {test:.3f} | {fresh:.3f} | {constant:.3g} | {proved:.3f} | \
{steps:,} | {test_above} | {above}

D: Other laws
laws | d | n | critic | cos | dev % | s.e. % | paired dev % | s.e. % | seconds | above W1 by > 3 s.e.
{problem} | {d} | {count} | {family} | {cosine:.3f} | {dev:+.1f} | {error:.1f} | {paired:+.2f} | \
{beside:+.2f} | {taken:.0f} | {any_above}

E: The interval for 10,000 given points
laws | d | critic | lower / exact | upper / exact | seconds | beside it
{problem} | {d} | {family} | {low:.4f} | {high:.4f} | {taken:.0f} | {above}

S: Accuracy against seconds
d, n | seconds asked | taken | steps | cos | dev %
{cell} | {seconds:g} | {taken:.0f} | {steps:,} | {cosine:.3f} | {dev:+.1f}

H: Published methods run here
d, n | method | steps of 60,000 | cos | published | L2 | published | dev % | published
{cell} | {method} | {steps:,} | {cosine:.3f} | {there[0]:.3f} | {squared_l2:.3f} | {there[1]:.3f} | \
{dev:+.1f} | {there_off:+.1f}

P: Steps on batches of 512 a side
critic | steps a second | ms | of it retraction | operators, by their own time
{method}, {n} | {per_second:.0f} | {milliseconds:.1f} | {retraction:.0%} | {operators}"""


def tables(rows):
    """All tables there are rows for."""
    known = json.loads(PUBLISHED.read_text())["pairs"]
    good = [_derive(row, known) for row in rows if row["status"] == "ok"]
    of = {track: [row for row in good if row["track"] == track] for track in "ABCDEHPS"}
    first = [[row for row in of[track] if row["seed"] == 0] for track in "BA"]
    found = _compare(first, known)
    of["S"] += [row for row in first[0] if of["S"] and (row["d"], row["n"]) in CURVE]
    of["S"].sort(key=lambda row: (row["d"], row["n"], row["seconds"]))
    of["C"].sort(key=lambda row: (row["samples"], row["cell"]))
    parts = {
        "Published pairs": [PAIRS, *_pairs(first, found)],
        "All published pairs": [MEANS, *_means(found)],
        "Seeds": [SEEDS, *_seeds(of["B"])],
    }
    for block in ONE_LINE_A_ROW.split("\n\n"):
        title, head, line = block.splitlines()
        parts[title[3:]] = [head, *(line.format(**row) for row in of[title[0]])]
    return make_tables(parts, "---:", {"Published pairs": CAVEAT})


def _derive(row, known):
    """A row with what the tables show: shares and percents of W1, and words."""
    words = {"above": "overstates", "test_above": "test_overstates", "any_above": "paired_overstates"}
    row = row | {word: "yes" * row.get(name, False) for word, name in words.items()}
    row |= {"any_above": row["above"] or row["any_above"], "cell": f"{row['d']}, {row['n']}"}
    percents = {"deviation": "dev", "paired_deviation": "paired", "paired_error": "beside"}
    row |= {short: 100 * row[name] for name, short in percents.items() if name in row}
    if "estimate" in row:
        row["error"], row["fresh"] = 100 * row["estimate_error"] / row["w1"], row["estimate"] / row["w1"]
    if row["track"] == "C":
        row["constant"] = row["lipschitz"] if row["method"] in PEERS else 1.0
        row |= {part: row["gaps"][part] / row["w1"] for part in ("train", "test")}
        row["proved"] = row["fresh"] / row["constant"]
    if row["track"] == "D":
        row["count"] = row["n"] or ""
    if row["track"] == "E":
        row["low"], row["high"] = (row[side] / row["exact"][1] for side in ("lower", "upper"))
    if row["track"] == "H":
        row["there"] = known[f"d={row['d']} n={row['n']}"][row["method"]]
        row["there_off"] = 100 * (row["there"][2] / row["w1"] - 1)
    if row["track"] == "P":
        shares = [f"{name.removeprefix('aten::')} {share:.0%}" for name, share in row["shares"].items()]
        row["operators"] = ", ".join(shares)
    return row


def _compare(first, known):
    """Cosine, squared L2, deviation and whether above W1, by who and pair; of others on the pairs we have."""
    found = {}
    for track, rows in zip("BA", first, strict=True):
        for name, off in (("", "deviation"), (", paired", "paired_deviation")) if rows else ():
            of = found[f"track {track}{name}"] = {}
            for row in rows:
                of.setdefault(row["cell"], (row["cosine"], row["squared_l2"], row[off], row["overstates"]))
    w1 = {row["cell"]: row["w1"] for rows in first for row in rows}
    for cell, true in w1.items():
        for solver, (cosine, squared, estimate) in known["d={} n={}".format(*cell.split(", "))].items():
            if solver != "true":  # standard errors of published estimates are unknown
                found.setdefault(solver, {})[cell] = (cosine, squared, estimate / true - 1, None)
    return found


def _pairs(first, found):
    """Cosine and deviation on every published pair, beside published solvers."""
    for cell in (f"{d}, {n}" for d, n in product(DIMENSIONS, COUNTS)):
        rows = [row for rows in first for row in rows if row["cell"] == cell]
        if rows:
            here = {name: of[cell] for name, of in found.items() if cell in of}
            ten = [values for name, values in here.items() if name != "dot" and not name.startswith("track")]
            best = (
                f"{max(values[0] for values in ten):.3f}",
                f"{min(abs(values[2]) for values in ten) * 100:.1f}",
            )
            error = max(math.hypot(row["estimate_error"], row["w1_error"]) for row in rows) / rows[0]["w1"]
            cells = [cell, *_show(here, WHO, 0, ".3f", 1), best[0], *_show(here, WHO[:2], 2, "+.1f", 100)]
            cells += [*_show(here, PAIRED, 2, "+.2f", 100), *_show(here, WHO[2:], 2, "+.1f", 100), best[1]]
            yield " | ".join([*cells, f"{100 * error:.1f}"])


def _show(here, names, column, form, unit):
    return [f"{unit * here[name][column]:{form}}" if name in here else "" for name in names]


def _means(found):
    """Means over the published pairs on seed 0, for us and for every published solver."""
    for name, of in found.items():
        cosine, squared, off, above = np.array(list(of.values()), dtype=float).T
        wide = [row[0] for cell, row in of.items() if not cell.startswith("2,")]
        cells = f"{name} | {len(of)} | {cosine.mean():.3f} | {f'{np.mean(wide):.3f}' if wide else ''} | "
        cells += f"{squared.mean():.3f} | {100 * abs(off).mean():.1f} | {100 * abs(off).max():.1f} | "
        yield cells + f"{(off > 0).sum()} | {(off > 0.05).sum()} | {above.sum():.0f}".replace("nan", "")


def _seeds(rows):
    """The shipped critic on several seeds of training, lowest to highest."""
    for cell in AGAIN:
        chosen, cells = [row for row in rows if (row["d"], row["n"]) == cell], []
        for name, form in (("cosine", ".3f"), ("dev", "+.1f"), ("paired", "+.2f")):
            values = [row[name] for row in chosen if name in row]
            cells.append(f"{min(values):{form}} to {max(values):{form}}" if values else "")
        if len(chosen) > 1:
            yield " | ".join([chosen[0]["cell"], str(len(chosen)), *cells])

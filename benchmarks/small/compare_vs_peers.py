"""Time ``otdist.compare`` on tables, against evidently and a scipy loop of W1 and Kolmogorov-Smirnov.

Each question is one fresh process a contestant, whose imports are not timed. evidently is asked where
``--evidently`` names the Python of an environment that has it: it needs pandas 2.
"""

import fnmatch
import os
import sys
import tempfile

from benchmarks.common.apart import apart
from benchmarks.common.harness import load
from benchmarks.common.script import format_contest, run_script

NAME, LIMIT = "compare_vs_peers", 1800.0  # seconds of a process
# VmHWM, not ru_maxrss: the latter starts at the size of the process that started this one.
HEAD = """
import json, os, time, warnings
warnings.filterwarnings("ignore")
import numpy as np
FOLDER = {folder!r}
def done(start, used, **more):
    took = dict(seconds=time.perf_counter() - start, cpu=time.process_time() - used)
    status = open("/proc/self/status").read()
    took["peak_gb"] = int(status.split("VmHWM:")[1].split()[0]) / 2**20
    print(json.dumps(took | more))
"""
TABLE = """
import pandas as pd
def orders(seed, n, shift=0.0):
    rng = np.random.default_rng(seed)
    first = pd.Timestamp("2026-01-01")
    returned = first + pd.to_timedelta(rng.random(n) * 30, unit="D")
    return pd.DataFrame({
        "amount": np.round(rng.lognormal(3 + shift, 1, n), 2), "weight": rng.gamma(2, 2, n),
        "score": rng.normal(size=n), "lat": rng.normal(50, 2, n), "age": rng.integers(18, 90, n),
        "items": rng.poisson(4, n), "version": np.full(n, 3), "express": rng.random(n) < 0.3 + shift,
        "customer": rng.integers(0, 50_000, n), "channel": rng.choice(["web", "app", "shop"], n),
        "country": rng.choice(["DE", "FR", "IT", "ES", "PL"], n),
        "ordered": first + pd.to_timedelta(rng.random(n) * 30, unit="D"),
        "returned": pd.Series(returned).where(rng.random(n) < 0.15),
        "price": np.where(rng.random(n) < 0.05, np.nan, rng.exponential(20, n)),
    })
"""
TWO = TABLE + "a, b = orders(1, 200_000), orders(2, 200_000, 0.02)\n"
LOADED = "import otdist\notdist.compare({'a': np.arange(50.0)}, {'a': np.arange(50.0)})\n"
START = "S, U = time.perf_counter(), time.process_time()\n"
MOVED = "done(S, U, moved=[c.name for c in report.moved], undecided=len(report.undecided))\n"


def compared(options=""):
    """Program that compares a with b."""
    return f"{LOADED}{START}report = otdist.compare(a, b{options})\n{MOVED}"


SCIPY = """
from scipy.stats import ks_2samp, wasserstein_distance
S, U = time.perf_counter(), time.process_time()
for c in ["amount", "weight", "score", "lat", "age"]:
    wasserstein_distance(a[c], b[c]), ks_2samp(a[c], b[c]).pvalue
done(S, U)
"""
EVIDENTLY = """
from evidently import Report
from evidently.presets import DataDriftPreset
S, U = time.perf_counter(), time.process_time()
Report([DataDriftPreset()]).run(b, a).save_html(FOLDER + "/drift.html")
done(S, U)
"""
SINGLE = {"constant": "np.full(n, 3)", "boolean": "rng.random(n) < 0.3", "count": "rng.poisson(4, n)"}
WIDE = """
rng = np.random.default_rng(0)
a, b = ({str(k): rng.normal(size=5000) for k in range(500)} for _ in range(2))
b["7"] = b["7"] + 0.2
"""
WINDOWS = f"""
{TABLE}
left_out = ["returned", "version", "customer"]
a = orders(1, 200_000).drop(columns=left_out)
windows = [orders(2 + k, 4_000).drop(columns=left_out) for k in range(52)]
{LOADED}{START}
moved = [len(otdist.compare(a, window, joint=False).moved) for window in windows]
done(S, U, moved=sum(moved))
"""
SHELL = f"""
from otdist.cli import main
{START}
try:
    main(["compare", FOLDER + "/a.parquet", FOLDER + "/b.parquet", "--json", "--html", FOLDER + "/r.html"])
except SystemExit as stop:
    done(S, U, status=stop.code)
"""
QUESTIONS = {
    "200,000 rows x 14 columns": {
        "otdist.compare": TWO + compared(),
        "otdist.compare, columns only": TWO + compared(", joint=False"),
        "scipy W1 + KS, five numeric columns": TWO + SCIPY,
        "evidently DataDriftPreset": TWO + EVIDENTLY,
    },
    "200,000 rows x 1 column": {
        f"otdist.compare, {name}": f"n, rng = 200_000, np.random.default_rng(0)\n"
        f"a, b = ({{'a': {made}}} for _ in range(2))\n" + compared(", joint=False")
        for name, made in SINGLE.items()
    },
    "500 columns x 5,000 rows": {"otdist.compare": WIDE + compared()},
    "52 windows against a reference": {"otdist.compare in a loop": WINDOWS},
    "Parquet, rows x 6 columns": {"otdist compare": SHELL},
}
WRITE = """
import pyarrow as pa, pyarrow.parquet as pq
GROUP = 500_000
def some(rng, values, share):
    return pa.array(values, mask=rng.random(len(values)) < share)
for name, seed, shift in (("a", 1, 0.0), ("b", 2, 0.01)):
    writer = None
    for part, first in enumerate(range(0, {rows}, GROUP)):
        n = min(GROUP, {rows} - first)
        rng = np.random.default_rng([seed, part])
        table = pa.table({{
            "amount": some(rng, np.round(rng.lognormal(3 + shift, 1, n), 2), 0.03),
            "score": rng.normal(size=n),
            "weight": some(rng, rng.gamma(2, 2, n).astype(np.float32), 0.01),
            "items": rng.poisson(4, n),
            "country": pa.array(rng.choice(["DE", "FR", "IT", "ES", "PL"], n)).dictionary_encode(),
            "shop": some(rng, np.char.add("shop ", rng.integers(0, 500, n).astype(str)), 0.02),
        }})
        writer = writer or pq.ParquetWriter(FOLDER + f"/{{name}}.parquet", table.schema)
        writer.write_table(table)
    writer.close()
print(json.dumps(dict(rows={rows}, megabytes=os.path.getsize(FOLDER + "/a.parquet") / 2**20)))
"""


def measure(options):
    """Questions, as they were saved before where they are not selected."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", str(os.cpu_count()))  # as it is outside of benchmarks
    chosen = [question for question in QUESTIONS if fnmatch.fnmatch(question, options.only)]
    yield from ((question, row) for question, row in (load(NAME) or {}).items() if question not in chosen)
    for question in chosen:
        with tempfile.TemporaryDirectory() as folder:
            head, more, rows = HEAD.format(folder=folder), {}, {}
            if question.startswith("Parquet"):
                more = apart([sys.executable, "-c", head + WRITE.format(rows=options.rows)], LIMIT)
            for name, code in QUESTIONS[question].items():
                python = options.evidently if name.startswith("evidently") else sys.executable
                if python:
                    rows[name] = apart([python, "-c", head + code], LIMIT) | more
        yield question, rows


if __name__ == "__main__":
    evidently = ("", "interpreter of an environment with evidently")
    rows, only = (20_000_000, "rows of the Parquet files"), ("*", "pattern of questions")
    run_script(NAME, __doc__, measure, format_contest, evidently=evidently, rows=rows, only=only)

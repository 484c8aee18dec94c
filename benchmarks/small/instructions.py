"""Ask how many instructions six calls take, and whether that is more than before.

Seconds on a machine with other work say little; instructions under valgrind's callgrind are nearly the same
from run to run. Each call is counted once it has been made before, so neither imports nor compiling count.
The processor is described to numba and OpenBLAS by hand, as one without AVX-512, which valgrind does not
know. One core: threads would share the work in another way each time.

Run with ``python -m benchmarks.small.instructions``: compares with results/instructions.json and exits with 1
where a call takes over 2 % more. ``--write`` keeps the new counts, ``--table`` prints those that are kept. It
needs valgrind with its headers and a C compiler.
"""

import ctypes
import gc
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import otdist
from benchmarks.common.harness import load
from benchmarks.common.script import run_script

NAME, ROOT = "instructions", Path(__file__).parents[2]
BEFORE = {row["call"]: row["instructions"] for row in load(NAME) or []}
WORSE = 1.02  # from run to run counts differed by at most 0.02 %
HEADER = Path("/usr/include/valgrind/callgrind.h")
MARKS = """
#include <valgrind/callgrind.h>
void begin(void) { CALLGRIND_START_INSTRUMENTATION; }
void end(const char *name) { CALLGRIND_STOP_INSTRUMENTATION; CALLGRIND_DUMP_STATS_AT(name); }
"""
SETTINGS = {
    "NUMBA_CPU_NAME": "haswell",
    "NUMBA_CPU_FEATURES": "+avx2,+fma,+bmi,+bmi2,+popcnt",
    "OPENBLAS_CORETYPE": "Haswell",
    "PYTHONHASHSEED": "0",
} | dict.fromkeys(("NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")


def calls():
    """Names and calls, on data that are always the same."""
    rng = np.random.default_rng(0)
    u, v, mass = rng.normal(size=50_000), rng.normal(0.1, 1.0, size=50_000), rng.random(50_000)
    many = rng.normal(size=(2, 1000, 100))
    wide = rng.normal(size=(2, 2000, 16))
    x, y = rng.normal(size=(1000, 3)), rng.normal(0.3, 1.0, size=(1000, 3))
    return {
        "line": lambda: otdist.w1(u, v),
        "line, weights": lambda: otdist.w1(u, v, mass),
        "1,000 pairs on the line": lambda: otdist.wasserstein_1d(*many),
        "sliced, d = 16": lambda: otdist.sliced_w1(*wide, n_projections=100, rng=0),
        "sparse, n = 1,000": lambda: otdist.w1(x, y, method="sparse"),
        "sinkhorn, n = 1,000": lambda: otdist.w1(x, y, method="sinkhorn", tol=0.05),
    }


def child(marks):
    """Make each call twice, the second time between two marks."""
    library = ctypes.CDLL(marks)  # without valgrind the marks do nothing
    for name, call in calls().items():
        call()
        gc.collect()
        gc.disable()
        library.begin()
        call()
        library.end(name.encode())
        gc.enable()


def counted():
    """Instructions of every call, by name."""
    with tempfile.TemporaryDirectory() as folder:
        marks = f"{folder}/marks.so"
        compiler = ["cc", "-O1", "-shared", "-fPIC", "-o", marks, "-x", "c", "-"]
        subprocess.run(compiler, input=MARKS, text=True, check=True)
        environment = os.environ | SETTINGS | {"NUMBA_CACHE_DIR": folder}
        itself = [sys.executable, "-m", "benchmarks.small.instructions", "--child", marks]
        one = ["taskset", "-c", str(min(os.sched_getaffinity(0)))]
        # Without valgrind first: it would take minutes to compile under it.
        subprocess.run([*one, *itself], check=True, env=environment, cwd=ROOT)
        tool = ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={folder}/counts"]
        tool.append("--instr-atstart=no")  # imports are several times as quick
        subprocess.run([*one, *tool, *itself], check=True, env=environment, cwd=ROOT)
        dumps = [path.read_text() for path in Path(folder).glob("counts.*")]
    pattern = re.compile(r"^desc: Trigger: Client Request: (.*?)$.*^totals: (\d+)$", re.MULTILINE | re.DOTALL)
    counts = dict(found.groups() for found in map(pattern.search, dumps) if found)
    return {name: int(counts[name]) for name in calls()}


def missing():
    """What a count needs and this machine has not."""
    lacking = [program for program in ("valgrind", "cc", "taskset") if shutil.which(program) is None]
    return next(iter(lacking), None if HEADER.exists() else str(HEADER))


def worse(counts, before):
    """Calls that take more instructions than before, in words."""
    return [
        f"{name}: {count:,} instructions, {count / before[name]:.3f} times as many as before"
        for name, count in counts.items()
        if name in before and count > WORSE * before[name]
    ]


def measure(options):
    if lacking := missing():
        print(f"{lacking} is missing", file=sys.stderr)
        sys.exit(2)
    counts = counted()
    yield from ({"call": name, "instructions": count} for name, count in counts.items())
    if not options.write and worse(counts, BEFORE):
        sys.exit(1)


def line_of(row):
    name, count = row["call"], row["instructions"]
    return f"{name:26} {count:15,}  {count / BEFORE.get(name, count):8.4f} of before"


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        sys.exit(child(sys.argv[2]))
    write = (False, "keep the new counts")
    run_script(NAME, __doc__, measure, line_of, keep=lambda options: options.write, write=write)

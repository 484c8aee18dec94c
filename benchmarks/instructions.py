"""Ask how many instructions six calls take, and whether that is more than before.

Seconds on a machine with other work say little; instructions under valgrind's callgrind are nearly the same
from run to run. Each call is counted once it has been made before, so neither imports nor compiling count.
The processor is described to numba and OpenBLAS by hand, as one without AVX-512, which valgrind does not
know. One core: threads would share the work in another way each time.

Run with ``python benchmarks/instructions.py``: compares with results/instructions.json and exits with 1 where
a call takes over 2 % more. ``--write`` keeps the new counts. It needs valgrind with its headers and a C
compiler.
"""

from __future__ import annotations

import ctypes
import gc
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from harness import load, save

import otdist

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
    "NUMBA_NUM_THREADS": "1",
    "OPENBLAS_CORETYPE": "Haswell",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
}


def calls() -> dict[str, Callable[[], Any]]:
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


def child(marks: str | None) -> None:
    """Make each call twice, the second time between two marks."""
    library = ctypes.CDLL(marks) if marks else None
    for name, call in calls().items():
        call()
        gc.collect()
        gc.disable()
        if library:
            library.begin()
        call()
        if library:
            library.end(name.encode())
        gc.enable()


def counted() -> dict[str, int]:
    """Instructions of every call, by name."""
    with tempfile.TemporaryDirectory() as folder:
        source, marks = Path(folder, "marks.c"), Path(folder, "marks.so")
        source.write_text(MARKS)
        subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", str(marks), str(source)], check=True)
        environment = os.environ | SETTINGS | {"NUMBA_CACHE_DIR": folder}
        itself = [sys.executable, __file__, "--child"]
        one = ["taskset", "-c", str(min(os.sched_getaffinity(0)))]
        # Without valgrind first: it would take minutes to compile under it.
        subprocess.run([*one, *itself], check=True, env=environment)
        tool = ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={folder}/counts"]
        tool.append("--instr-atstart=no")  # imports are several times as quick
        subprocess.run([*one, *tool, *itself, str(marks)], check=True, env=environment)
        dumps = [path.read_text() for path in Path(folder).glob("counts.*")]
    counts = {}
    for text in dumps:
        name = re.search(r"^desc: Trigger: Client Request: (.*)$", text, re.MULTILINE)
        total = re.search(r"^totals: (\d+)$", text, re.MULTILINE)
        if name and total:
            counts[name[1]] = int(total[1])
    return {name: counts[name] for name in calls()}


def missing() -> str | None:
    """What a count needs and this machine has not."""
    for program in ("valgrind", "cc", "taskset"):
        if shutil.which(program) is None:
            return program
    return None if HEADER.exists() else str(HEADER)


def worse(counts: dict[str, int], before: dict[str, int]) -> list[str]:
    """Calls that take more instructions than before, in words."""
    return [
        f"{name}: {count:,} instructions, {count / before[name]:.3f} times as many as before"
        for name, count in counts.items()
        if name in before and count > WORSE * before[name]
    ]


def main() -> int:
    if sys.argv[1:2] == ["--child"]:
        child(next(iter(sys.argv[2:]), None))
        return 0
    if lacking := missing():
        print(f"{lacking} is missing", file=sys.stderr)
        return 2
    before = {row["call"]: row["instructions"] for row in load("instructions") or []}
    counts = counted()
    for name, count in counts.items():
        print(f"{name:26} {count:15,}  {count / before.get(name, count):8.4f} of before")
    if "--write" in sys.argv:
        rows = [{"call": name, "instructions": count} for name, count in counts.items()]
        print(save("instructions", rows))
        return 0
    return int(bool(worse(counts, before)))


if __name__ == "__main__":
    sys.exit(main())

"""Seconds of import, of the first call and of five more, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

CODE = """
import json, sys, time, warnings
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name in hidden:
            raise ImportError(name)
n, d, shift, options, hidden = json.loads(sys.argv[1])
sys.meta_path.insert(0, Hidden())
def clock(act):
    start = time.perf_counter()
    act()
    return time.perf_counter() - start
loading = clock(lambda: __import__("otdist"))
import numpy as np, otdist
warnings.simplefilter("ignore")
x, y = np.random.default_rng(0).normal(size=(2, n, d))
y += shift
print(json.dumps([loading, *(clock(lambda: otdist.w1(x, y, **options)) for _ in range(6))]))
"""


def time_first_calls(
    n: int, d: int, shift: float, options: dict[str, Any], hidden: tuple[str, ...] = (), cache: str = ""
) -> list[float]:
    """Call w1 between normal samples; without packages that are hidden, and with its own cache of code."""
    environment = os.environ | ({"NUMBA_CACHE_DIR": cache} if cache else {})
    command = [sys.executable, "-c", CODE, json.dumps([n, d, shift, options, hidden])]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1])

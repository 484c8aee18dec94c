"""The same call gives the same bits: in another process, in another order, after other calls."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHARE = 0.04  # of the 2,000 calls of benchmarks.small.same_answers, which compares two versions of the code

# In reverse order, with other hashes of strings.
CODE = """if True:
    import json, sys
    sys.path.insert(0, sys.argv[1])
    from benchmarks.small import same_answers

    same_answers.CALLS = dict(reversed(same_answers.CALLS.items()))
    print(json.dumps(same_answers.answers(float(sys.argv[2]))))
"""


@pytest.mark.slow
def test_another_process_gives_the_same_answers_in_another_order(monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.syspath_prepend(str(ROOT))
    here = importlib.import_module("benchmarks.small.same_answers").answers(SHARE)
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(ROOT), str(SHARE)],
        env=os.environ | {"PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert not done.returncode, done.stderr
    there = json.loads(done.stdout)
    assert len(here) > 70 and here.keys() == there.keys()
    assert [name for name in here if here[name] != there[name]] == []

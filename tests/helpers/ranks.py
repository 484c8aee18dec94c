"""A group of processes for torch.distributed that are forked where torch is imported already."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import subprocess
import sys
import traceback
from pathlib import Path

SECONDS = 240  # for all of them; a process that waits for one that is gone waits for ever
WAYS = multiprocessing.get_all_start_methods()


def run_ranks(module, folder, ranks=2):
    """Call ``main(folder)`` of a module of this folder on so many processes, as torchrun would.

    torchrun imports torch in each of them, and once more for itself: four seconds of a core each time.
    """
    from torch.distributed import TCPStore

    context = multiprocessing.get_context("forkserver" if "forkserver" in WAYS else "spawn")
    context.set_forkserver_preload(["torch", "otdist.learn"])
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)  # any free port
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port), "WORLD_SIZE": str(ranks)}
    shared |= {"TORCHELASTIC_USE_AGENT_STORE": "True"}  # all are clients of the store above
    processes = []
    for rank in range(ranks):
        own = shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)}
        processes.append(context.Process(target=_run, args=(module, str(folder), own)))
        processes[-1].start()
    for process in processes:
        process.join(SECONDS)
    status = [process.exitcode for process in processes]
    for process in processes:
        process.kill()
        process.join()
    errors = [path.read_text() for path in sorted(Path(folder).glob("*.error"))]
    assert status == [0] * ranks, (status, "\n".join(errors))


def _run(module, folder, environment):
    os.environ.update(environment)
    try:
        importlib.import_module(module).main(folder)
    except BaseException:
        Path(folder, f"{environment['RANK']}.error").write_text(traceback.format_exc())
        raise


def torchrun(processes, *command):
    """Run a script on so many processes; returns what they printed."""
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    done = subprocess.run(
        [sys.executable, *launch, *map(str, command)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout

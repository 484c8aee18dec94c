"""``otdist warmup``: compile the code of the solvers before the first call."""

from __future__ import annotations

import sys

from otdist.cli.app import app


@app.command
def warmup() -> int:
    """Compile the code of the solvers for this machine, once, so that no later call has to wait.

    For images of containers and for nodes of a cluster. It takes about a minute, and seconds once it was
    done. The code is kept beside the package, or in the folder that NUMBA_CACHE_DIR names.
    """
    from otdist.api.warmup import compile_solvers

    count, seconds, folder = compile_solvers(progress=sys.stderr.isatty())
    print(f"Compiled {count} functions in {seconds:.0f} s, kept in {folder}" if count else f"Ready: {folder}")
    return 0

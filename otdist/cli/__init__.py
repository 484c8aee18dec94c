"""The command line: ``otdist demo | compare | w1 | recommend | bench | train``."""

from __future__ import annotations

import os
import signal
import sys
import warnings

from cyclopts import CycloptsError

from otdist.cli import bench, distance, recommend, tables, train  # noqa: F401  each adds its commands
from otdist.cli.app import FAILED, app
from otdist.cli.shell import complain
from otdist.errors import BudgetError, ConvergenceError, InputError

__all__ = ["app", "main"]


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; errors and warnings are one line each on standard error."""
    # The solvers run in compiled code, where Python's own handler would wait for them to end.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # names that the terminal cannot write
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", UserWarning)
            warnings.showwarning = lambda message, *rest, **more: complain(message)
            status = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    except (InputError, BudgetError, ConvergenceError, CycloptsError, OSError) as error:
        complain(" ".join(str(error).split()))
        status = FAILED
    sys.exit(status if isinstance(status, int) else 0)

"""The command line: ``otdist compare | w1 | recommend | bench | train | demo | warmup``."""

from __future__ import annotations

import os
import select
import signal
import sys
import traceback
import warnings
from contextlib import suppress

from cyclopts import CycloptsError

from otdist.cli import bench, distance, recommend, tables, train, warmup  # noqa: F401  each adds its commands
from otdist.cli.app import FAILED, INTERRUPTED, app
from otdist.cli.guide import add_guide
from otdist.cli.shell import complain
from otdist.errors import BudgetError, ConvergenceError, InputError

__all__ = ["app", "main"]

TRACEBACK = "OTDIST_TRACEBACK"  # environment variable: 1 prints where an error comes from

add_guide(app)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; errors and warnings are one line each on standard error."""
    # The solvers run in compiled code, where Python's own handler would wait for them to end.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # names that the terminal cannot write
    try:
        status = _run(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
    except KeyboardInterrupt:
        status = INTERRUPTED
    except SystemExit as stop:
        status = _status_of(stop)
    except Exception as error:
        status = _report(error)
    _close_output()
    sys.exit(status)


def _run(arguments: list[str] | None) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = lambda message, *rest, **more: complain(message)
        status = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    return status if isinstance(status, int) else 0


def _status_of(stop: SystemExit) -> int:
    """Exit status of a command that ended by itself, which may give a sentence in its place."""
    if stop.code is None or isinstance(stop.code, int):
        return stop.code or 0
    complain(stop.code)
    return FAILED


def _report(error: Exception) -> int:
    """Say in one line what went wrong, and give the exit status."""
    if isinstance(error, BrokenPipeError) and _reader_is_gone():
        return 0  # it has seen enough
    if os.environ.get(TRACEBACK, "0") not in ("", "0"):
        with suppress(OSError):
            traceback.print_exception(error)
    complain(_described(error))
    return FAILED


def _described(error: Exception) -> str:
    if isinstance(error, CycloptsError):
        from otdist.cli.messages import explain

        text = explain(error)
    elif isinstance(error, InputError | BudgetError | ConvergenceError | OSError):
        text = str(error)
    elif isinstance(error, MemoryError):
        text = f"out of memory{f' ({error})' if str(error) else ''}; use fewer rows or columns"
    else:
        said = f": {error}" if str(error) else ""
        text = f"unexpected {type(error).__name__}{said}; {TRACEBACK}=1 shows where it comes from"
    return " ".join(text.split())


def _reader_is_gone() -> bool:
    """Whether it is standard output that nobody reads, and not a pipe to a process of ours."""
    try:
        output = sys.stdout.fileno()
    except (AttributeError, OSError, ValueError):
        return False
    if not hasattr(select, "poll"):  # Windows
        return True
    poll = select.poll()
    poll.register(output, 0)  # errors are always told
    return bool(poll.poll(0))


def _close_output() -> None:
    """Drop what cannot be written, which Python would complain about when it ends."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

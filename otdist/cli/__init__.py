"""Command line: ``otdist compare | w1 | recommend | bench | train | demo | warmup``."""

from __future__ import annotations

import os
import select
import signal
import sys
import traceback
import warnings
from contextlib import suppress

from cyclopts import CycloptsError

from otdist.cli.app import EXIT_FAILED, EXIT_INTERRUPTED, app
from otdist.cli.guide import add_guide
from otdist.cli.shell import print_message
from otdist.errors import BudgetError, ConvergenceError, InputError

# Each module adds its commands, which messages list in this order.
from otdist.cli import bench, w1, recommend, compare, train, warmup  # noqa: F401  # isort: skip

__all__ = ["app", "main"]

TRACEBACK_VARIABLE = "OTDIST_TRACEBACK"  # environment variable: 1 prints the traceback of errors

add_guide(app)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; errors and warnings are one line each on standard error."""
    # Python's own handler would wait for the end of compiled code in the solvers.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(
                errors="backslashreplace"
            )  # for characters outside the encoding of the terminal
    try:
        status = _run_app(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
    except KeyboardInterrupt:
        status = EXIT_INTERRUPTED
    except SystemExit as stop:
        status = _get_exit_status(stop)
    except Exception as error:
        status = _report_error(error)
    _close_output()
    sys.exit(status)


def _run_app(arguments: list[str] | None) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = lambda message, *rest, **more: print_message(message)
        status = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    return status if isinstance(status, int) else 0


def _get_exit_status(stop: SystemExit) -> int:
    """Return the exit status of a command that raised SystemExit; print its message if it has one."""
    if stop.code is None or isinstance(stop.code, int):
        return stop.code or 0
    print_message(stop.code)
    return EXIT_FAILED


def _report_error(error: Exception) -> int:
    """Print an error in one line, and return the exit status."""
    if isinstance(error, BrokenPipeError) and _is_output_closed():
        return 0  # the reader closed the pipe, such as head
    if os.environ.get(TRACEBACK_VARIABLE, "0") not in ("", "0"):
        with suppress(OSError):
            traceback.print_exception(error)
    print_message(_describe_error(error))
    return EXIT_FAILED


def _describe_error(error: Exception) -> str:
    if isinstance(error, CycloptsError):
        from otdist.cli.parse_errors import explain_error

        text = explain_error(error)
    elif isinstance(error, InputError | BudgetError | ConvergenceError | OSError):
        text = str(error)
    elif isinstance(error, MemoryError):
        text = f"out of memory{f' ({error})' if str(error) else ''}; use fewer rows or columns"
    else:
        detail = f": {error}" if str(error) else ""
        text = f"unexpected {type(error).__name__}{detail}; {TRACEBACK_VARIABLE}=1 shows where it comes from"
    return " ".join(text.split())


def _is_output_closed() -> bool:
    """Return whether standard output is the closed pipe, rather than a pipe to a child process."""
    try:
        output = sys.stdout.fileno()
    except (AttributeError, OSError, ValueError):
        return False
    if not hasattr(select, "poll"):  # Windows
        return True
    poll = select.poll()
    poll.register(output, 0)  # error events are always reported
    return bool(poll.poll(0))


def _close_output() -> None:
    """Discard output that cannot be written, which would raise an error when Python exits."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

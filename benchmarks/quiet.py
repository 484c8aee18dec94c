"""Names of benchmarks.common.quiet, for scripts that are run by path."""

from benchmarks.common.quiet import *  # noqa: F403

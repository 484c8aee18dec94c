"""Names of benchmarks.common.apart, for scripts that are run by path."""

from benchmarks.common.apart import *  # noqa: F403

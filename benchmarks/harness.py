"""Names of benchmarks.common.harness, for scripts that are run by path."""

from benchmarks.common.harness import *  # noqa: F403

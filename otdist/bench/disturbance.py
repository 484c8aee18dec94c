"""Work of other programs on this machine: to wait until it ends, and to know which runs it has disturbed."""

from __future__ import annotations

import math
import os
import time
from contextlib import suppress
from pathlib import Path

QUIET_CORES = 0.15  # cores kept busy by others, up to which a run counts as undisturbed
CHECK_SECONDS = 2.0  # of one observation while waiting
IDLE_COLUMNS = (3, 4)  # of /proc/stat: idle, and waiting for disks


class OtherWork:
    """Work of other programs since this was made; not known where there is no /proc."""

    def __init__(self) -> None:
        self.start, self.before = time.perf_counter(), _read_foreign_seconds()

    def share(self) -> float:
        """Return the mean number of cores that others kept busy, including the hypervisor; or NaN."""
        return (_read_foreign_seconds() - self.before) / (time.perf_counter() - self.start)


def wait_for_quiet(max_seconds: float) -> None:
    """Wait until others are quiet for two seconds, and at most about ``max_seconds``."""
    end = time.monotonic() + max_seconds
    while time.monotonic() < end:
        work = OtherWork()
        time.sleep(CHECK_SECONDS)
        if not work.share() > QUIET_CORES:
            return


def _read_foreign_seconds() -> float:
    """Read the busy seconds of all cores, less those of this process and of its finished children."""
    with suppress(OSError, ImportError):
        import resource

        ticks = Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
        busy = sum(int(tick) for column, tick in enumerate(ticks) if column not in IDLE_COLUMNS)
        usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return busy / os.sysconf("SC_CLK_TCK") - sum(usage.ru_utime + usage.ru_stime for usage in usages)
    return math.nan

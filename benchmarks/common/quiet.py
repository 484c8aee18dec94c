"""How many cores others keep busy: to wait for a quiet machine, and to know which runs were disturbed."""

from __future__ import annotations

import math
import os
import resource
import time
from pathlib import Path

QUIET = 0.15  # cores kept busy by others, up to which a run counts as undisturbed


class Others:
    """Work of others on this machine, from when it is made on; nothing known where there is no /proc."""

    def __init__(self) -> None:
        self.start, self.before = time.perf_counter(), _foreign()

    def share(self) -> float:
        """Cores that others kept busy on average, the hypervisor included."""
        return (_foreign() - self.before) / (time.perf_counter() - self.start)


def wait(patience: float) -> None:
    """Until others are quiet for two seconds, at most for ``patience`` seconds."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        others = Others()
        time.sleep(2.0)
        if not others.share() > QUIET:
            return


def _foreign() -> float:
    """Seconds that cores were busy, but for those of this process and of the children it has waited for."""
    try:
        ticks = Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
    except OSError:
        return math.nan
    busy = sum(
        int(tick) for place, tick in enumerate(ticks) if place not in (3, 4)
    )  # idle, waiting for disks
    own = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return busy / os.sysconf("SC_CLK_TCK") - sum(usage.ru_utime + usage.ru_stime for usage in own)

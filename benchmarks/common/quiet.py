"""How many cores others keep busy, as otdist.bench measures it, by the names that benchmarks use."""

from otdist.bench.disturbance import QUIET_CORES as QUIET
from otdist.bench.disturbance import OtherWork as Others
from otdist.bench.disturbance import wait_for_quiet as wait

__all__ = ["QUIET", "Others", "wait"]

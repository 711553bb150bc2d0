"""What the numbers depend on besides the code: the machine, and who else was using it."""

import os
import platform
import sys
import time
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

QUIET_CORES = 0.15  # most CPU others may use on average while an answer is measured, in cores
_PROC = Path("/proc")


def describe() -> dict[str, Any]:
    """Processor, system, Python, and the load before the run."""
    lines = (_PROC / "cpuinfo").read_text().splitlines() if sys.platform == "linux" else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
    }


class Neighbours:
    """CPU that processes other than ours use, between making this and asking it."""

    def __init__(self, ours: Iterable[int]) -> None:
        """Start counting.

        Args:
            ours: Process ids that are part of the measurement; this process is always one.
        """
        self._ours = {os.getpid(), *ours}
        self._started, self._before = time.perf_counter(), _others(self._ours)

    def cores(self, *born: int) -> float | None:
        """Cores kept busy by others on average; None where the system does not tell.

        Args:
            born: Ids of processes of ours that were started meanwhile.
        """
        after = _others(self._ours | set(born))
        if self._before is None or after is None:
            return None
        return max(after - self._before, 0.0) / (time.perf_counter() - self._started)


def is_quiet(cores: float | None) -> bool:
    """Whether an answer counts; what cannot be known is not called quiet."""
    return cores is not None and cores <= QUIET_CORES


def _others(ours: Collection[int]) -> float | None:
    """CPU seconds of the whole machine since its start, less those of our processes."""
    if sys.platform != "linux":
        return None
    ticks = os.sysconf("SC_CLK_TCK")
    fields = [int(one) for one in (_PROC / "stat").read_text().split("\n")[0].split()[1:9]]
    user, nice, system, _idle, _waiting, irq, soft_irq, stolen = fields
    own = sum(_process_ticks(pid) for pid in ours)
    return (user + nice + system + irq + soft_irq + stolen - own) / ticks


def _process_ticks(pid: int) -> int:
    # the name, in brackets, may itself hold spaces and brackets
    fields = (_PROC / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])  # user and system time

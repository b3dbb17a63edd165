"""Energy that the machine's own counters say was spent: CPU packages (RAPL) and NVIDIA GPUs."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

_RAPL = Path("/sys/class/powercap")


class Meter:
    """Reads the counters when made and when asked; other work on the machine is counted too."""

    def __init__(self) -> None:
        self._start = _joules()

    def kwh(self) -> float | None:
        """Spent since it was made; None where there is no counter, or one has wrapped."""
        now = _joules()
        if not now or now.keys() != self._start.keys():
            return None
        spent = [now[name] - self._start[name] for name in now]
        return None if min(spent) < 0 else sum(spent) / 3.6e6


def _joules() -> dict[str, float]:
    return {**_packages(), **_gpus()}


def _packages() -> dict[str, float]:
    """Counters of the CPU packages; most systems let only root read them."""
    found = {}
    for path in _RAPL.glob("intel-rapl:[0-9]*/energy_uj"):
        if path.parent.name.count(":") == 1 and os.access(path, os.R_OK):
            found[path.parent.name] = int(path.read_text()) / 1e6
    return found


def _gpus() -> dict[str, float]:
    """Counters of the GPUs, from the driver's own library (Volta and later)."""
    try:
        library = ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return {}
    if library.nvmlInit_v2():
        return {}
    found, count = {}, ctypes.c_uint()
    library.nvmlDeviceGetCount_v2(ctypes.byref(count))
    for index in range(count.value):
        device, millijoules = ctypes.c_void_p(), ctypes.c_ulonglong()
        library.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(device))
        if not library.nvmlDeviceGetTotalEnergyConsumption(device, ctypes.byref(millijoules)):
            found[f"gpu {index}"] = millijoules.value / 1e3
    library.nvmlShutdown()
    return found

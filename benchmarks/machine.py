"""Machine and memory of a benchmark."""

import ctypes
import os
import platform
from pathlib import Path


def machine_name() -> str:
    """Return the name of the processor and the number of its cores."""
    name = platform.processor() or platform.machine()
    cpu_info = Path("/proc/cpuinfo")
    if cpu_info.is_file():
        lines = cpu_info.read_text(encoding="utf-8").splitlines()
        models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        name = models[0] if models else name
    return f"{name}, {os.cpu_count()} cores"


def resident_mb(*, peak: bool) -> float:
    """Return the memory of this process in MB: now, which resets the peak, or the peak since.

    Linux only.
    """
    if not peak:
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024

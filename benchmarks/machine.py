"""The facts of a machine that decide how fast it is; two machines of one kind compare, others do not."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any


def facts() -> dict[str, Any]:
    """Say what computes here: processor, cores, threads, number format, torch, GPU."""
    import torch

    from ctgrid.base.devices import choose_device
    from ctgrid.base.machine import version_of
    from ctgrid.base.precision import choose_dtype

    device = choose_device("auto")
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    return {
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "precision": str(choose_dtype("auto", device)).removeprefix("torch."),
        "gpu": gpu,
        "torch": version_of("torch"),
        "ctgrid": version_of("ctgrid"),
    }


def processor() -> str:
    """Name the processor as the system does."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for row in cpuinfo.read_text(encoding="utf-8").splitlines():
            if row.startswith("model name"):
                return row.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def processor_seconds() -> float | None:
    """Return the seconds that all cores have worked since the machine started; None where the system does not tell."""
    stat = Path("/proc/stat")
    if not stat.is_file():
        return None
    user, nice, system, _, _, interrupts, soft, stolen = map(int, stat.read_text(encoding="utf-8").split()[1:9])
    return (user + nice + system + interrupts + soft + stolen) / os.sysconf("SC_CLK_TCK")


def kind(found: dict[str, Any]) -> tuple[Any, ...]:
    """What two runs must share for their times to compare."""
    return tuple(found[name] for name in ("processor", "cores", "threads", "precision", "gpu"))


def line(found: dict[str, Any] | None = None) -> str:
    """Say the facts in a few words."""
    found = found or facts()
    where = found["gpu"] or f"{found['processor']}, {found['cores']} cores, {found['threads']} threads"
    return f"{where}, {found['precision']}"

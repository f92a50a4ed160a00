"""What a run ran on, and what it took of it: versions, threads, memory."""

from __future__ import annotations

import platform
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("ctgrid", "torch", "numpy", "diffusers")


@cache  # reading a package's metadata takes longer than the rest of a run's record
def version_of(package: str) -> str | None:
    """Return an installed package's version without importing it, or None."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def versions() -> dict[str, str | int | None]:
    """Return what decides whether a run can be repeated to the byte."""
    return {
        **{package: version_of(package) for package in PACKAGES},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "threads": computing_threads(),
    }


def computing_threads() -> int | None:
    """Return how many threads torch computes with, on which the last bits of sums depend; None where it is not used."""
    torch = sys.modules.get("torch")
    return None if torch is None else int(torch.get_num_threads())


def peak_memory_mib() -> dict[str, float]:
    """Return the highest memory use so far in MiB: of the process, and of the GPU where one was used."""
    peaks: dict[str, float] = {}
    try:
        import resource
    except ImportError:  # not on Windows
        pass
    else:
        unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss: bytes on macOS, KiB elsewhere
        usage = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        peaks["process"] = round(usage * unit / 2**20, 1)
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        peaks["gpu"] = round(torch.cuda.max_memory_allocated() / 2**20, 1)
    return peaks

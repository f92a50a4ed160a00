"""``ctgrid doctor`` as calls of Python: what this computer is, what is missing, and a short try of all that matters."""

from __future__ import annotations

import os
import platform
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

from ctgrid.base.errors import CtgridError, one_line
from ctgrid.base.extras import EXTRAS
from ctgrid.base.machine import versions
from ctgrid.base.progress import Progress, silent
from ctgrid.base.settings import Checked, Setting

SLICES, SIZE = 4, 128
"""Of the volume that is tried."""

LOW_DISK_GB = 2.0
"""Free space below which a series or a training soon stops."""


@dataclass(frozen=True)
class DoctorSettings(Checked):
    """What the computer is looked over for; ``self_test``: also try what matters."""

    self_test: Annotated[bool, Setting("Look only, try nothing.", flag="--no-self-test")] = True


def examine(self_test: bool = True, progress: Progress = silent) -> dict[str, Any]:
    """Look this computer over.

    Args:
        self_test: also load the embedded model, make a small volume, write, read and denoise it.
        progress: called with (phase, done, total).

    Returns:
        ``versions``; ``processor`` (``name``, ``cores``, ``formats`` that it multiplies in); ``device`` and
        ``precision`` that ``auto`` chooses; ``gpus``; ``cache`` (``folder``, ``free_gb``) and ``working_folder``
        likewise; ``extras`` with what each lacks; ``self_test`` with ``name``, ``ok``, ``seconds`` and ``problem`` of
        each part, None where it was not asked for; ``problems``, a line each; ``ok``.
    """
    import torch

    from ctgrid.base.devices import choose_device
    from ctgrid.base.precision import DTYPES, choose_dtype, multiplies_in
    from ctgrid.stages.models.catalogue import ctgrid_home

    device = choose_device()
    found: dict[str, Any] = {
        "versions": versions(),
        "processor": {
            "name": _processor(),
            "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            "threads": torch.get_num_threads(),
            "formats": [name for name, dtype in DTYPES.items() if multiplies_in(dtype, torch.device("cpu"))],
        },
        "device": str(device),
        "precision": str(choose_dtype("auto", device)).removeprefix("torch."),
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "cache": _place(ctgrid_home()),
        "working_folder": _place(Path()),
        "extras": {extra: [name for name in names if find_spec(name) is None] for extra, names in EXTRAS.items()},
        "self_test": _try_all(progress) if self_test else None,
    }
    found["problems"] = list(_problems(found))
    found["ok"] = not found["problems"]
    return found


def _problems(found: dict[str, Any]) -> list[str]:
    """Return what stands in the way, a line each; a missing extra does not."""
    lines = [f"self-test, {part['name']}: {part['problem']}" for part in found["self_test"] or () if not part["ok"]]
    for what in ("cache", "working_folder"):
        place = found[what]
        if not place["writable"]:
            lines.append(f"{place['folder']}: cannot be written to" + (", set CTGRID_HOME" if what == "cache" else ""))
        elif place["free_gb"] < LOW_DISK_GB:
            lines.append(f"{place['folder']}: {place['free_gb']:.1f} GB free, make room")
    return lines


def _place(folder: Path) -> dict[str, Any]:
    """Tell of a folder, or the nearest one above it that is there, how much fits in."""
    folder = folder.absolute()
    there = next(each for each in (folder, *folder.parents) if each.is_dir())
    free = shutil.disk_usage(there).free / 1e9
    return {"folder": str(folder), "free_gb": round(free, 1), "writable": os.access(there, os.W_OK)}


def _processor() -> str:
    """Return the processor's name as the system has it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def _try_all(progress: Progress) -> list[dict[str, Any]]:
    """Try the parts one after the other; each needs those before it."""
    with TemporaryDirectory(prefix="ctgrid-doctor-") as folder:
        path = Path(folder) / "chest.nii.gz"
        made: dict[str, Any] = {}

        def load() -> None:
            from ctgrid.methods.synthesis.pipeline import SynthesisPipeline

            made["pipeline"] = SynthesisPipeline.load()

        def synthesize() -> None:
            made["volume"] = made["pipeline"].generate(slices=SLICES, seed=0, size=SIZE, steps=2).volume
            spread = float(made["volume"].hu.std())
            if spread < 100:
                raise CtgridError(f"the volume is flat (standard deviation {spread:.0f} HU)")

        def write_and_read() -> None:
            import numpy as np

            from ctgrid.scan.volume import Volume

            made["volume"].write(path)
            if not np.array_equal(Volume.read(path).hu, made["volume"].hu):
                raise CtgridError("a volume that was written is not what is read")

        def denoise() -> None:
            from ctgrid.methods.denoising.methods import denoise as clean

            clean(made["volume"], strength=50.0)

        parts: dict[str, Callable[[], None]] = {
            "load the embedded model": load,
            "synthesize": synthesize,
            "write and read NIfTI": write_and_read,
            "denoise": denoise,
        }
        done: list[dict[str, Any]] = []
        for number, (name, part) in enumerate(parts.items()):
            progress("self-test", number, len(parts))
            started, problem = time.perf_counter(), None
            try:
                part()
            except Exception as error:  # whatever it is belongs into the answer
                problem = one_line(f"{type(error).__name__}: {error}")
            seconds = round(time.perf_counter() - started, 2)
            done.append({"name": name, "ok": problem is None, "seconds": seconds, "problem": problem})
            if problem:
                break
        progress("self-test", len(parts), len(parts))
        return done

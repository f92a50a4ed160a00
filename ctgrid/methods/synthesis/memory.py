"""How many grids or slices fit into a given memory at once: measured on one of each, then multiplied."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ctgrid.base.errors import CtgridError
from ctgrid.base.precision import autocast
from ctgrid.methods.pipeline import ModelPipeline
from ctgrid.methods.synthesis.settings import Settings
from ctgrid.stages.cells import coarse_slices, refine, sample_cells

MARGIN = 1.3
"""What libraries take beside the tensors that can be counted, and what allocators keep."""

RESERVE = 64 * 2**20
"""Bytes for what a process loads later: writers, pictures, kernels made for another batch size."""

QUEUED = 6
"""Batches of finished slices that may wait to be written."""


def fitting(pipeline: ModelPipeline, settings: Settings, limit: int) -> Settings:
    """Return settings whose batches fit into a memory.

    One grid, its cells and one slice are computed on trial. Their largest need, times the batch, and what the
    process holds already must stay below the limit: the process's memory, or the GPU's where one computes.

    Args:
        pipeline: the loaded model.
        settings: resolved; their batch size is the most that is taken.
        limit: bytes.

    Raises:
        CtgridError: where not even a batch of one fits.
    """
    bundle, device = pipeline.bundle, pipeline.device
    facts, stage1 = bundle.facts1, bundle.stage1
    alone = Settings(slices=facts.k**2, batch_size=1, schedule="autoregressive")
    kept: dict[str, Any] = {}

    def coarse_stage() -> None:
        kept["cells"], _ = sample_cells(
            bundle, alone.plan(facts.k), alone.slices, seeds=[0], batch_size=1, **settings.sampling | {"steps": 1}
        )

    def decode() -> None:
        kept["coarse"] = next(coarse_slices(bundle, kept["cells"], 1))[1]

    def fine_stage() -> None:
        refine(bundle, kept["coarse"], seed=0, **settings.refining | {"steps": 1})

    with torch.no_grad(), autocast(device, pipeline.dtype):
        need = max(peak_of(part, device) for part in (coarse_stage, decode, fine_stage))
    cell = stage1.in_channels * (stage1.latent_size // facts.k) ** 2 * 4
    sampled = settings.coarse_count(bundle)
    per_item = MARGIN * need + cell * (sampled + max(sampled, settings.slices))
    if device.type == "cpu":
        per_item += QUEUED * settings.pixels**2 * 2
    base = resident(device) + (RESERVE if device.type == "cpu" else 0)
    batch = math.floor((limit - base) / per_item)
    if batch < 1:
        raise CtgridError(
            f"max_memory of {limit / 2**20:.0f} MiB is too little: this model needs about "
            f"{(base + per_item) / 2**20:.0f} MiB for one slice at a time on {device.type}; allow more"
        )
    return replace(settings, batch_size=min(batch, settings.batch_size))


def peak_of(work: Callable[[], None], device: torch.device) -> int:
    """Return the most bytes that the tensors made by ``work`` took at once."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        work()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    with _Live() as live:
        work()
    return live.peak


def resident(device: torch.device) -> int:
    """Return the bytes that the process holds now, on the GPU where that computes."""
    if device.type == "cuda":
        return torch.cuda.memory_reserved(device)
    try:
        from pathlib import Path

        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):  # not Linux: the highest so far will do
        from ctgrid.base.machine import peak_memory_mib

        return int(peak_memory_mib().get("process", 0) * 2**20)
    import os

    return pages * os.sysconf("SC_PAGE_SIZE")


class _Live(TorchDispatchMode):
    """Follow the storages that operations make, while they live."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._seen: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and count what it made."""
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor):
                storage = tensor.untyped_storage()
                key = storage._cdata
                if key not in self._seen:
                    self._seen.add(key)
                    self.now += storage.nbytes()
                    self.peak = max(self.peak, self.now)
                    weakref.finalize(storage, self._gone, key, storage.nbytes())
        return out

    def _gone(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self.now -= size

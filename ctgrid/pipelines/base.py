"""What every pipeline is: a loaded model, the place and precision it runs in, and a watch on its phases."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch

from ctgrid.models.bundle import Bundle, load_bundle
from ctgrid.pipelines.device import choose_device, choose_dtype

Pipeline = TypeVar("Pipeline", bound="ModelPipeline")


@dataclass
class Stopwatch:
    """Seconds by phase."""

    phases: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    @contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        """Add the time inside the context to a phase."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.phases[phase] += time.perf_counter() - started

    def rounded(self) -> dict[str, float]:
        """Return the phases, rounded to milliseconds."""
        return {phase: round(seconds, 3) for phase, seconds in self.phases.items()}


@dataclass(frozen=True)
class ModelPipeline:
    """A loaded model with the place and precision it runs in."""

    bundle: Bundle
    device: torch.device
    dtype: torch.dtype

    @classmethod
    def load(cls: type[Pipeline], model: str = "embedded", device: str = "auto", dtype: str = "auto") -> Pipeline:
        """Load a model by name.

        Args:
            model: ``embedded`` or a folder with ``codec``, ``stage1`` and ``stage2``.
            device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
            dtype: ``auto``, ``float32``, ``bfloat16`` or ``float16``.

        Raises:
            CtgridError: where the model, device or precision is not to be had.
        """
        place = choose_device(device)
        return cls(load_bundle(model, place), place, choose_dtype(dtype, place))

    def describe(self) -> dict[str, Any]:
        """Return the model's name, hashes and facts, and where it runs."""
        return {**self.bundle.describe(), "device": str(self.device), "dtype": str(self.dtype).split(".")[-1]}

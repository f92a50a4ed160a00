"""What every pipeline is: a loaded model, the place and precision it runs in, and a watch on its phases."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import torch
from torch import nn

from ctgrid.base.devices import check_compiler, choose_device, wait_for
from ctgrid.base.errors import CtgridError
from ctgrid.base.heap import keep_freed
from ctgrid.base.precision import choose_dtype
from ctgrid.methods.loading import PartsLoading
from ctgrid.stages.models.bundle import Bundle, load_bundle
from ctgrid.stages.models.parts import find_parts
from ctgrid.stages.networks.winograd import speed_up
from ctgrid.stages.weights.own import moved

Pipeline = TypeVar("Pipeline", bound="ModelPipeline")


@dataclass
class Stopwatch:
    """Seconds by phase.

    Attributes:
        phases: what was counted so far.
        device: waited for at the end of every phase, for a GPU works on while Python goes ahead.
    """

    phases: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    device: torch.device | None = None

    @contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        """Add the time inside the context to a phase."""
        started = time.perf_counter()
        try:
            yield
        finally:
            if self.device is not None:
                wait_for(self.device)
            self.phases[phase] += time.perf_counter() - started

    def rounded(self) -> dict[str, float]:
        """Return the phases, rounded to milliseconds."""
        return {phase: round(seconds, 3) for phase, seconds in self.phases.items()}


@dataclass(frozen=True)
class ModelPipeline:
    """A loaded model with the place and precision it runs in."""

    contents: ClassVar[tuple[str, ...]] = ("ct",)
    """What a model may have been trained on for this pipeline to make use of it."""

    bundle: Bundle
    device: torch.device
    dtype: torch.dtype

    @classmethod
    def load(
        cls: type[Pipeline],
        model: str = PartsLoading.model,
        device: str = PartsLoading.device,
        dtype: str = PartsLoading.dtype,
        compile: bool = PartsLoading.compile,
        *,
        codec: str | Path | None = None,
        stage1: str | Path | None = None,
        stage2: str | Path | None = None,
    ) -> Pipeline:
        """Load a model by name, or from the training runs of its parts.

        Args:
            model: ``embedded`` or a folder with ``codec``, ``stage1`` and ``stage2``.
            device: see :func:`ctgrid.base.devices.choose_device`.
            dtype: see :func:`ctgrid.base.precision.choose_dtype`.
            compile: compile the networks, which takes a minute and makes every further step faster.
            codec: another codec than the model's, see :func:`ctgrid.stages.models.parts.find_parts`.
            stage1: likewise a training run, or a folder, of stage 1.
            stage2: likewise of stage 2.

        Raises:
            CtgridError: where the model, device or precision is not to be had.
        """
        place = choose_device(device)
        bundle = load_bundle(find_parts(model, codec=codec, stage1=stage1, stage2=stage2), place)
        if bundle.facts1.content not in cls.contents:
            content = bundle.facts1.content
            remedy = "makes no CT; use it with ctgrid synthesize --as video"
            if content == "ct":
                remedy = "not on video; give a model of video clips"
            raise CtgridError(f"model {bundle.name}: it was trained on {content} and {remedy}")
        precision = choose_dtype(dtype, place)
        prepare(bundle, place, precision, compile)
        return cls(bundle, place, precision)

    def describe(self) -> dict[str, Any]:
        """Return the model's name, hashes and facts, and where it runs."""
        return {**self.bundle.describe(), "device": str(self.device), "dtype": self._dtype_name}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.bundle.name}, {self.device}, {self._dtype_name})"

    @property
    def _dtype_name(self) -> str:
        return str(self.dtype).removeprefix("torch.")


def prepare(bundle: Bundle, device: torch.device, dtype: torch.dtype, compile: bool) -> None:
    """Make the networks ready for a place and a precision, without changing what they compute beyond rounding.

    Channels last takes the embedded codec 16 to 21 % less processor time in bfloat16 (AMD Zen 4), and 4 to 15 % less in
    float32 (one core, oneDNN held to AVX2), where wide convolutions then go the shorter way of
    :mod:`ctgrid.stages.networks.winograd`. On a GPU the transformers' weights are cast once instead of at every call,
    which halves what they take.

    Args:
        bundle: the model; changed in place.
        device: where it runs.
        dtype: in which it runs, see :func:`ctgrid.base.precision.autocast`.
        compile: compile it, the transformers block by block.

    Raises:
        CtgridError: where there is no compiler.
    """
    keep_freed()
    network: Any = bundle.codec.network
    stages: list[Any] = [bundle.stage1, bundle.stage2]
    moved(network, memory_format=torch.channels_last)
    if device.type == "cpu" and dtype == torch.float32 and not compile:
        speed_up(network)
    if device.type == "cuda" and dtype != torch.float32:
        for stage in stages:
            cast_weights(stage, dtype)
    if compile:
        check_compiler(device)
        for part in (network.encoder, network.decoder, *stages[0].blocks, *stages[1].blocks):
            part.compile()


def cast_weights(network: nn.Module, dtype: torch.dtype) -> None:
    """Store the weights of linear and convolutional layers as autocast would cast them at every call.

    All else stays float32: positions, and what flows past the layers. The network runs under autocast only.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            layer.to(dtype)

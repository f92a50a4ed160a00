"""What a recipe will need before anything runs: parameters, memory, arithmetic and time.

Memory and arithmetic are those of one training step on tensors without data, operation by operation, in networks of one
and of two blocks, and continued to the recipe's depth; time is measured (:mod:`ctgrid.methods.training.trial`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch

from ctgrid.base.devices import choose_device
from ctgrid.base.draws import generator_for
from ctgrid.base.errors import CtgridError
from ctgrid.base.lean import without_compiler
from ctgrid.base.machine import peak_memory_mib
from ctgrid.methods.training.config import TrainConfig
from ctgrid.methods.training.empty import empty_task
from ctgrid.methods.training.meter import imagined, no_data
from ctgrid.methods.training.optimisation import Optimisation
from ctgrid.methods.training.recipes import DiffusionRecipe
from ctgrid.methods.training.settled import settled
from ctgrid.methods.training.stage1 import GridTask
from ctgrid.methods.training.task import Task
from ctgrid.methods.training.trainer import prepare_network
from ctgrid.methods.training.trial import depth_of, loss_pass, step_seconds

CUDA_CONTEXT_GB = 0.6
"""What CUDA itself and its libraries take on a device."""

UNLOADED_GB = 0.08
"""What torch's compiler and accelerate take, which training imports, and a plan does not."""

DEEP_ENOUGH = 2
"""Blocks of a network from which deeper ones are told."""


@dataclass(frozen=True)
class TrainingPlan:
    """What one process of a run needs.

    Attributes:
        kind: ``codec``, ``stage1`` or ``stage2``.
        precision: the recipe's, ``auto`` decided.
        parameters: of the network.
        memory_gb: peak of one process in 10^9 bytes, data aside: on the GPU, or with it the process on a CPU.
        memory: its parts in 10^9 bytes.
        flops_per_step: floating point operations of an optimizer step of one process, forward and backward.
        examples_per_step: examples of an optimizer step of all processes.
        seconds_per_step: on this machine, or at the rate given; None where neither is known.
        hours: of the recipe's steps.
        basis: how the time was found.
    """

    kind: str
    precision: str
    parameters: int
    memory_gb: float
    memory: dict[str, float]
    flops_per_step: float
    examples_per_step: int
    seconds_per_step: float | None
    hours: float | None
    basis: str

    def as_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def plan(config: TrainConfig, *, processes: int = 1, flops_per_second: float | None = None) -> TrainingPlan:
    """Predict what training by a recipe takes.

    Args:
        config: the recipe.
        processes: how many share the work; they share the weights too where ``sharding`` is ``fsdp``.
        flops_per_second: rate that a process sustains elsewhere; None measures it here, on the device that
            training would use. Precision ``auto`` is then taken for bf16.

    Raises:
        CtgridError: for a recipe whose network cannot be built.
    """
    device = choose_device()
    config = settled(config, device, elsewhere=flops_per_second is not None)
    settings = config.optimisation
    found, block_flops = foresee(config)
    flops, memory = found.flops, dict(found.memory)
    if settings.sharding == "fsdp":
        for part in ("weights", "gradients", "optimizer", "average"):
            memory[part] /= processes
    if device.type == "cuda" or flops_per_second is not None:
        memory["runtime"] = CUDA_CONTEXT_GB
    else:
        memory["runtime"] = peak_memory_mib().get("process", 0.0) * 2**20 / 1e9 + UNLOADED_GB
    seconds, basis = None, f"{flops_per_second or 0:.3g} operations per second, as given"
    if flops_per_second is not None:
        if not flops_per_second > 0:
            raise CtgridError(f"flops_per_second must be positive, got {flops_per_second:g}")
        seconds = flops / flops_per_second
    else:
        with without_compiler():
            seconds, basis = step_seconds(config, device, flops, block_flops, found.parameters)
    return TrainingPlan(
        kind=config.kind,
        precision=settings.precision,
        parameters=found.parameters,
        memory_gb=round(sum(memory.values()), 3),
        memory={name: round(value, 3) for name, value in memory.items()},
        flops_per_step=flops,
        examples_per_step=settings.batch_size * processes,
        seconds_per_step=round(seconds, 4),
        hours=round(seconds * settings.steps / 3600, 3),
        basis=basis,
    )


@dataclass(frozen=True)
class Encoding:
    """What a codec's work on a batch takes, which is the same at any depth of the network.

    Attributes:
        flops: floating point operations.
        peak: bytes while it lasts.
        shape, dtype: of the latents.
    """

    flops: float
    peak: int
    shape: torch.Size
    dtype: torch.dtype


@dataclass(frozen=True)
class Imagined:
    """One optimizer step of one process, as found without data.

    Attributes:
        parameters: of the network.
        flops: floating point operations of the step.
        memory: 10^9 bytes of weights, gradients, optimizer, average and activations (all that lives only inside it).
        encoded: 10^9 bytes of activations where the codec's work is done already; of a task without such work the same.
        encoding: the work of a codec that encodes whole grids; None for other tasks.
    """

    parameters: int
    flops: float
    memory: dict[str, float]
    encoded: float
    encoding: Encoding | None = None


def imagine(task: Task, settings: Optimisation, seed: int, encoding: Encoding | None = None) -> Imagined:
    """Go through one optimizer step without data, less its encoding where that is known."""
    example = {name: value[None] for name, value in task.example(generator_for(seed, 0)).items()}
    micro = settings.batch_size // settings.accumulate
    with imagined() as meter:
        network = prepare_network(task.build(), settings.model_copy(update={"compile": False}))
        kept = {t.untyped_storage()._cdata: t.untyped_storage() for t in (*network.parameters(), *network.buffers())}
        weights = sum(storage.nbytes() for storage in kept.values())
        parameters = sum(p.numel() for p in network.parameters())
        batch = no_data({name: value.expand(micro, *value.shape[1:]) for name, value in example.items()})
        if isinstance(task, GridTask) and encoding is None:  # may encode its grids first
            before = meter.live
            meter.restart()
            grid = task.encoded(batch["grid"])
            encoding = Encoding(float(meter.flops), meter.peak - before, grid.shape, grid.dtype)
            batch = {**batch, "grid": grid}
        elif encoding is not None:
            batch = {**batch, "grid": torch.zeros(encoding.shape, dtype=encoding.dtype)}
        for parameter in network.parameters():
            if parameter.requires_grad:
                parameter.grad = torch.zeros_like(parameter)  # that of the step before lies there already
        before = meter.live
        meter.restart()
        loss_pass(task, network, batch, settings)
        flops, peak = float(meter.flops), meter.peak
    trained = sum(p.numel() * p.element_size() for p in network.parameters())
    inside = max(peak - before, 0) / 1e9
    gb = {"weights": weights, "gradients": trained, "optimizer": 2 * trained, "average": trained}
    memory = {**{name: value / 1e9 for name, value in gb.items()}, "activations": inside}
    if encoding is not None:
        memory["activations"] = max(inside, encoding.peak / 1e9)
        flops += encoding.flops
    return Imagined(parameters, flops * settings.accumulate, memory, inside, encoding)


def foresee(config: TrainConfig) -> tuple[Imagined, float]:
    """Find what a step takes from networks of few blocks, which are all alike: each adds the same.

    Returns:
        The step, and the operations of one block in it (0 where the network was gone through as a whole).
    """
    settings, part = config.optimisation, config.recipe
    if not isinstance(part, DiffusionRecipe) or depth_of(part) <= DEEP_ENOUGH:
        return imagine(empty_task(config), settings, config.seed), 0.0

    def shallow(blocks: int) -> Task:
        changed = part.model_copy(update={"network": {**part.network, "depth": blocks}})
        return empty_task(config.model_copy(update={config.kind: changed}))

    few = imagine(shallow(DEEP_ENOUGH - 1), settings, config.seed)
    many = imagine(shallow(DEEP_ENOUGH), settings, config.seed, few.encoding)
    more = depth_of(part) - (DEEP_ENOUGH - 1)

    def deep(one: float, other: float) -> float:
        return one + more * (other - one)

    encoded = deep(few.encoded, many.encoded)
    memory = {name: deep(few.memory[name], many.memory[name]) for name in few.memory if name != "activations"}
    memory["activations"] = max(few.memory["activations"], encoded)  # to encode takes the same at any depth
    parameters = round(deep(few.parameters, many.parameters))
    return Imagined(parameters, deep(few.flops, many.flops), memory, encoded), many.flops - few.flops

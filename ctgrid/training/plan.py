"""What a recipe will need before anything runs: parameters, memory, arithmetic and time.

Memory and arithmetic are those of one training step on tensors without data, operation by operation; time is
measured on networks of one and of three blocks, and continued to the recipe's depth.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from ctgrid.devices import choose_device, wait_for
from ctgrid.draws import generator_for
from ctgrid.errors import CtgridError
from ctgrid.precision import autocast, recipe_dtype
from ctgrid.runs import peak_memory_mib
from ctgrid.training.batches import Batches
from ctgrid.training.config import DiffusionRecipe, Optimisation, TrainConfig
from ctgrid.training.empty import empty_task
from ctgrid.training.loop import prepare_network
from ctgrid.training.meter import MemoryMeter, imagined, no_data
from ctgrid.training.muon import build_optimizer
from ctgrid.training.settled import settled
from ctgrid.training.task import Task

CUDA_CONTEXT_GB = 0.6
"""What CUDA itself and its libraries take on a device."""

TRIAL_FLOPS = 4e11
"""Arithmetic of one timed trial, about: a second or two on a small CPU."""

SHALLOW = (1, 3)
REPEATS = 3


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
    task = empty_task(config)
    parameters, flops, memory = imagine(task, settings, config.seed)
    if settings.sharding == "fsdp":
        for part in ("weights", "gradients", "optimizer", "average"):
            memory[part] /= processes
    if device.type == "cuda" or flops_per_second is not None:
        memory["runtime"] = CUDA_CONTEXT_GB
    else:
        import accelerate  # noqa: F401  # what a run has in memory besides its tensors
        import diffusers.training_utils  # noqa: F401

        memory["runtime"] = peak_memory_mib().get("process", 0.0) * 2**20 / 1e9
    seconds, basis = None, f"{flops_per_second or 0:.3g} operations per second, as given"
    if flops_per_second is not None:
        if not flops_per_second > 0:
            raise CtgridError(f"flops_per_second must be positive, got {flops_per_second:g}")
        seconds = flops / flops_per_second
    else:
        seconds = measure(config, device, flops)
        basis = f"networks of {SHALLOW[0]} and {SHALLOW[1]} blocks timed on this {device.type}"
    return TrainingPlan(
        kind=config.kind,
        precision=settings.precision,
        parameters=parameters,
        memory_gb=round(sum(memory.values()), 3),
        memory={name: round(value, 3) for name, value in memory.items()},
        flops_per_step=flops,
        examples_per_step=settings.batch_size * processes,
        seconds_per_step=round(seconds, 4),
        hours=round(seconds * settings.steps / 3600, 3),
        basis=basis,
    )


def imagine(task: Task, settings: Optimisation, seed: int) -> tuple[int, float, dict[str, float]]:
    """Go through one optimizer step without data.

    Returns:
        Parameters; operations of an optimizer step; 10^9 bytes of weights, gradients, optimizer, average and
        activations (all that lives only inside a step).
    """
    from torch.utils.flop_counter import FlopCounterMode

    example = {name: value[None] for name, value in task.example(generator_for(seed, 0)).items()}
    micro = settings.batch_size // settings.accumulate
    with imagined() as meter:
        network = prepare_network(task.build(), settings.model_copy(update={"compile": False}))
        weights = meter.live
        parameters = sum(p.numel() for p in network.parameters())
        optimizer = build_optimizer(network, settings)
        batch = no_data({name: value.expand(micro, *value.shape[1:]) for name, value in example.items()})
        _pass(task, network, batch, settings)
        optimizer.step()  # makes the moments
        before = meter.live
        peak = _pass(task, network, batch, settings, meter)
        with FlopCounterMode(display=False) as counter:  # on its own: it keeps what checkpointing would let go
            _pass(task, network, batch, settings)
    trained = sum(p.numel() * p.element_size() for p in network.parameters())
    inside = max(peak - before, 0)  # the gradients of the step before lie there already
    gb = {"weights": weights, "gradients": trained, "optimizer": 2 * trained, "average": trained, "activations": inside}
    flops = float(counter.get_total_flops()) * settings.accumulate
    return parameters, flops, {name: value / 1e9 for name, value in gb.items()}


def measure(config: TrainConfig, device: torch.device, flops: float) -> float:
    """Return the seconds of an optimizer step here, from shallow networks and few examples."""
    settings, part = config.optimisation, config.recipe
    depth = int(part.network.get("depth", 28))
    micro = settings.batch_size // settings.accumulate
    size = max(1, min(micro, round(TRIAL_FLOPS * micro * settings.accumulate * depth / flops)))
    times = micro / size * settings.accumulate
    if not isinstance(part, DiffusionRecipe):  # a network without repeated blocks
        forward, update = Trial(empty_task(config), settings, config.seed, size, device).seconds()
        return forward * times + update
    trials = []
    for blocks in SHALLOW:
        shallow = part.model_copy(update={"network": {**part.network, "depth": blocks}})
        task = empty_task(config.model_copy(update={config.kind: shallow}))
        trials.append(Trial(task, settings, config.seed, size, device))
    pairs = [[trial.once() for trial in trials] for _ in range(REPEATS + 1)][1:]  # in turn: noise meets both alike
    few, many = SHALLOW
    deep = [
        [a + (depth - few) * max(b - a, 0.0) / (many - few) for a, b in zip(one, other, strict=True)]
        for one, other in pairs
    ]
    forward, update = (median(column) for column in zip(*deep, strict=True))
    return forward * times + update


class Trial:
    """A network that can be timed for a step at a time."""

    def __init__(self, task: Task, settings: Optimisation, seed: int, size: int, device: torch.device) -> None:
        """Build the network, its optimizer and average, for batches of ``size`` examples."""
        self.task, self.settings, self.device = task, settings, device
        self.network = prepare_network(task.build(), settings).to(device)
        self.optimizer = build_optimizer(self.network, settings)
        for group in self.optimizer.param_groups:
            group["lr"] = 0.0
        self.average = [p.detach().clone() for p in self.network.parameters()]
        self.batches = Batches(task, settings.model_copy(update={"loader_threads": 0}), seed, 0, 1, device)
        self.batches.size = size
        self.steps = 0

    def once(self) -> tuple[float, float]:
        """Return the seconds of forward with backward, and of the update."""
        work = _clock(lambda: _pass(self.task, self.network, self._draw(), self.settings), self.device)
        return work, _clock(self._update, self.device)

    def _draw(self) -> dict[str, Tensor]:
        self.steps += 1
        return self.batches(self.steps, 0)

    def seconds(self) -> tuple[float, float]:
        """Return the medians of both."""
        passes, updates = zip(*[self.once() for _ in range(REPEATS + 1)][1:], strict=True)
        return median(passes), median(updates)

    def _update(self) -> None:
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip_norm)
        self.optimizer.step()
        torch._foreach_lerp_(self.average, list(self.network.parameters()), 0.01)
        self.optimizer.zero_grad()


def _clock(work: Callable[[], object], device: torch.device) -> float:
    started = time.perf_counter()
    work()
    wait_for(device)
    return time.perf_counter() - started


def _pass(
    task: Task, network: nn.Module, batch: dict[str, Tensor], settings: Optimisation, meter: MemoryMeter | None = None
) -> int:
    """Run forward and backward; return the peak that the meter saw."""
    if meter is not None:
        meter.restart()
    with autocast(next(iter(batch.values())).device, recipe_dtype(settings.precision)):
        loss = task.loss(network, batch)["loss"]
    loss.backward()
    return meter.peak if meter is not None else 0

"""How long a training step takes here: shallow networks on small images, timed, and continued by their arithmetic."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor, nn

from ctgrid.base.devices import wait_for
from ctgrid.base.precision import autocast, recipe_dtype
from ctgrid.methods.training.batches import Batches
from ctgrid.methods.training.config import DiffusionRecipe, Optimisation, TrainConfig
from ctgrid.methods.training.empty import codec_or_stand_in, empty_task
from ctgrid.methods.training.meter import MemoryMeter
from ctgrid.methods.training.muon import build_optimizer
from ctgrid.methods.training.task import Task
from ctgrid.methods.training.trainer import prepare_network

TRIAL_FLOPS = 2e10
"""Arithmetic of one timed pass, about, where a recipe can be made so small: below a second on a small CPU."""

BUDGET_S = 4.0
"""Where trials would take longer, as bf16 does on a CPU without it, products of matrices are timed instead."""

SHALLOW = (1, 3)
REPEATS = 2
PROBE = 256


def step_seconds(config: TrainConfig, device: torch.device, flops: float, block_flops: float) -> tuple[float, str]:
    """Return the seconds of an optimizer step on a device, and how they were found.

    Args:
        config: the recipe.
        device: where to measure.
        flops: floating point operations of an optimizer step, forward and backward.
        block_flops: those of one block of the network in it; 0 for a network without repeated blocks.
    """
    settings, part = config.optimisation, config.recipe
    rate = product_rate(device, recipe_dtype(settings.precision))
    if not isinstance(part, DiffusionRecipe):  # a network without repeated blocks
        micro = settings.batch_size // settings.accumulate
        each = flops / settings.batch_size
        if each * (REPEATS + 1) > BUDGET_S * rate:
            return flops / rate, f"products of matrices timed on this {device.type}"
        size = max(1, min(micro, round(TRIAL_FLOPS / each)))
        trial = Trial(empty_task(config), settings, config.seed, size, device)
        passes, updates = zip(*[trial.once() for _ in range(REPEATS + 1)][1:], strict=True)
        return median(passes) * micro / size * settings.accumulate + median(updates), f"timed on this {device.type}"
    depth = depth_of(part)
    small = shrunk(part, flops / settings.batch_size)
    ratio = (small.size / part.size) ** 2 / settings.batch_size  # of an example's arithmetic to the step's, about
    expected = ratio * (len(SHALLOW) * (flops - depth * block_flops) + sum(SHALLOW) * block_flops)
    if expected * (REPEATS + 1) > BUDGET_S * rate:
        return flops / rate, f"products of matrices timed on this {device.type}"
    trials, counted = [], []
    for blocks in SHALLOW:
        shallow = small.model_copy(update={"network": {**part.network, "depth": blocks}})
        task = empty_task(config.model_copy(update={config.kind: shallow}))
        trials.append(Trial(task, settings, config.seed, 1, device))
        counted.append(trials[-1].flops())  # and warms up
    pairs = [[trial.once() for trial in trials] for _ in range(REPEATS)]  # in turn: noise meets both alike
    (few, many), (least, most) = SHALLOW, counted
    own_block = (most - least) / (many - few)
    own_rest = max(least - few * own_block, 1.0)
    forward, update = [], []
    for (one, one_update), (other, other_update) in pairs:
        block = max(other - one, 0.0) / (many - few)
        rest = max(one - few * block, 0.0)
        forward.append(depth * block * block_flops / own_block + rest * (flops - depth * block_flops) / own_rest)
        update.append(one_update + (depth - few) * max(other_update - one_update, 0.0) / (many - few))
    return median(forward) + median(update), (
        f"networks of {few} and {many} blocks timed on images of {small.size} pixels on this {device.type}"
    )


def depth_of(part: DiffusionRecipe) -> int:
    """Return the blocks of a recipe's network."""
    return int(part.network.get("depth", 28))


def shrunk(part: DiffusionRecipe, example_flops: float) -> DiffusionRecipe:
    """Return a recipe on images so small that an example is no more than a trial should be, if sizes allow that."""
    downsample = codec_or_stand_in(part).downsample
    unit = downsample * int(part.network.get("patch_size", 2)) * part.k
    size = part.size
    while example_flops * (size / part.size) ** 2 > TRIAL_FLOPS and size % 2 == 0 and (size // 2) % unit == 0:
        size //= 2
    return part.model_copy(update={"size": size})


def product_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Return the floating point operations per second of a small product of matrices, in a number format."""
    a = torch.ones(PROBE, PROBE, device=device, dtype=dtype)
    clocked(lambda: a @ a, device)
    return 2 * PROBE**3 / max(median(clocked(lambda: a @ a, device) for _ in range(REPEATS + 1)), 1e-9)


class Trial:
    """A network that can be timed for a step at a time."""

    def __init__(self, task: Task, settings: Optimisation, seed: int, size: int, device: torch.device) -> None:
        """Build the network, its optimizer and average, for batches of ``size`` examples."""
        self.task, self.settings, self.device = task, settings, device
        self.network = prepare_network(task.build(), settings.model_copy(update={"compile": False})).to(device)
        self.optimizer = build_optimizer(self.network, settings)
        for group in self.optimizer.param_groups:
            group["lr"] = 0.0
        self.average = [p.detach().clone() for p in self.network.parameters()]
        self.batches = Batches(task, settings.model_copy(update={"loader_threads": 0}), seed, 0, 1, device)
        self.batches.size = size
        self.steps = 0

    def once(self) -> tuple[float, float]:
        """Return the seconds of forward with backward, and of the update."""
        work = clocked(lambda: loss_pass(self.task, self.network, self._draw(), self.settings), self.device)
        return work, clocked(self._update, self.device)

    def flops(self) -> float:
        """Return the operations of forward with backward, after doing them once."""
        from torch.utils.flop_counter import FlopCounterMode

        with FlopCounterMode(display=False) as counter:
            loss_pass(self.task, self.network, self._draw(), self.settings)
        self._update()
        return float(counter.get_total_flops())

    def _draw(self) -> dict[str, Tensor]:
        self.steps += 1
        return self.batches(self.steps, 0)

    def _update(self) -> None:
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip_norm)
        self.optimizer.step()
        torch._foreach_lerp_(self.average, list(self.network.parameters()), 0.01)
        self.optimizer.zero_grad()


def loss_pass(
    task: Task, network: nn.Module, batch: dict[str, Tensor], settings: Optimisation, meter: MemoryMeter | None = None
) -> int:
    """Run forward and backward; return the peak that the meter saw."""
    if meter is not None:
        meter.restart()
    with autocast(next(iter(batch.values())).device, recipe_dtype(settings.precision)):
        loss = task.loss(network, batch)["loss"]
    loss.backward()
    return meter.peak if meter is not None else 0


def clocked(work: Callable[[], object], device: torch.device) -> float:
    """Return the seconds that work takes on a device."""
    started = time.perf_counter()
    work()
    wait_for(device)
    return time.perf_counter() - started

"""A network with everything that changes while it is trained: optimizer, averages, step, and how they are kept."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ctgrid.base.devices import check_compiler, choose_device
from ctgrid.base.errors import CtgridError, CtgridWarning
from ctgrid.base.extras import require
from ctgrid.methods.training.average import Average
from ctgrid.methods.training.batches import Batches
from ctgrid.methods.training.checkpoints import Checkpoints
from ctgrid.methods.training.muon import build_optimizer
from ctgrid.methods.training.optimisation import Optimisation
from ctgrid.methods.training.parallel import ModelState, OptimizerState, averaged_state, shard, whole
from ctgrid.methods.training.task import Task

MOST_SKIPPED = 32
"""Steps in a row that fp16 may leave out: as often the scale of the loss has been halved by then, from 65536."""


def learning_rate_factor(step: int, settings: Optimisation) -> float:
    """Return learning rate over its peak at a step: linear warm-up, constant, linear decay to zero."""
    factor = 1.0
    if step < settings.warmup_steps:
        start = settings.warmup_start / settings.learning_rate
        factor = start + (1.0 - start) * step / settings.warmup_steps
    if settings.decay_steps:
        factor = min(factor, (settings.steps - step) / settings.decay_steps)
    return max(factor, 0.0)


class Trainer:
    """A task's network with everything that changes while it is trained."""

    def __init__(
        self, task: Task, settings: Optimisation, seed: int, out: Path, start: Callable[[nn.Module], None] | None = None
    ) -> None:
        """Build the network under the seed and prepare it for the devices at hand.

        Args:
            task: what to train.
            settings: the loop's numbers.
            seed: seed of the starting weights and of every example.
            out: the run's folder; must exist.
            start: puts weights into the fresh network, before anything is averaged.
        """
        require("accelerate")
        from accelerate import Accelerator
        from accelerate.state import AcceleratorState
        from accelerate.utils import set_seed

        self.task, self.settings, self.seed, self.out = task, settings, seed, out
        AcceleratorState._reset_state()  # an earlier run of this process may have had another precision
        self.accelerator = Accelerator(
            mixed_precision=settings.precision, gradient_accumulation_steps=settings.accumulate
        )
        set_seed(seed)
        device = self.accelerator.device
        network = task.build()
        if start is not None:
            start(network)
        self.model: Any = prepare_network(network, settings).to(device)
        if settings.sharding == "fsdp":
            self.model = shard(self.model, device, settings.precision)
        self.ema = Average(self.model.parameters(), settings.ema_decay, settings.ema_warmup)
        optimizer = build_optimizer(self.model, settings)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: learning_rate_factor(step, settings))
        self.network = self.model if settings.sharding == "fsdp" else self.accelerator.prepare(self.model)
        self.optimizer = self.accelerator.prepare(optimizer)
        self.network.train()
        self.skipped = 0
        self.checkpoints = Checkpoints(out / "checkpoints", keep_last=settings.keep_last)
        self.batches = Batches(
            task, settings, seed, self.accelerator.process_index, self.accelerator.num_processes, device
        )

    @property
    def state(self) -> dict[str, Any]:
        """Everything that exact resuming needs, by name; randomness needs only the step."""
        parts = {
            "model": ModelState(self.model),
            "ema": self.ema,
            "optimizer": OptimizerState(self.model, self.optimizer),
            "schedule": self.schedule,
        }
        if self.accelerator.scaler is not None:
            parts["scaler"] = self.accelerator.scaler
        return parts

    def save(self, step: int) -> None:
        """Write the checkpoint of a step: all processes gather it, the main one writes."""
        content = {name: part.state_dict() for name, part in self.state.items()}
        bad = next((name for name, tensor in content["model"].items() if not tensor.isfinite().all()), None)
        if bad is not None:
            raise self.diverged(f"{bad} holds values that are not finite after step {step}")
        if self.accelerator.is_main_process:
            weights = averaged_state(self.model, content["model"], content["ema"])
            self.checkpoints.save(step, content, lambda folder: self.save_model(weights, folder))
        self.accelerator.wait_for_everyone()

    def save_model(self, weights: dict[str, Tensor], folder: Path) -> None:
        """Write a model of its own with the averaged weights; the one in training is not touched."""
        with torch.device("meta"):
            model: Any = self.task.build()
        model.load_state_dict(weights, assign=True)
        self.task.save(model.eval(), folder)

    def restore(self) -> int:
        """Load the newest whole checkpoint, where there is one, and return its step; newer ones are set aside."""
        if self.accelerator.is_main_process:
            self.checkpoints.tidy()
        self.accelerator.wait_for_everyone()
        rates = list(self.schedule.base_lrs)
        step = self.checkpoints.restore(self.state)
        self._follow(rates)
        self.accelerator.wait_for_everyone()  # none is renamed while another process reads it
        if self.accelerator.is_main_process:
            for folder in self.checkpoints.set_aside(step):
                was = folder.name.removeprefix("damaged_")
                words = f"{was} was damaged and is now called {folder}; training goes on from step {step}"
                warnings.warn(words, CtgridWarning, stacklevel=2)
        return step

    def _follow(self, rates: list[Any]) -> None:
        """Go on with the recipe's learning rates, where they are not those that the checkpoint was made with."""
        before = list(self.schedule.base_lrs)
        if before == rates:
            return
        self.schedule.base_lrs = rates
        factor = learning_rate_factor(self.schedule.last_epoch, self.settings)
        for group, rate in zip(self.schedule.optimizer.param_groups, rates, strict=True):
            group["initial_lr"], group["lr"] = rate, rate * factor
        self.schedule._last_lr = [rate * factor for rate in rates]
        at = self.schedule.last_epoch
        words = f"the learning rate is {max(rates):g} from step {at} on; it was {max(before):g} until then"
        warnings.warn(words, CtgridWarning, stacklevel=3)

    def agree(self, flag: bool) -> bool:
        """Tell whether any process says so: a signal may reach only one of them, and all must stop together."""
        if self.accelerator.num_processes == 1:
            return flag
        told = torch.tensor(float(flag), device=self.accelerator.device)
        return bool(self.accelerator.reduce(told, reduction="sum") > 0)

    def step(self, step: int) -> dict[str, float]:
        """Take one optimizer step and return its numbers, averaged over micro-batches and processes.

        In fp16 a step whose gradients overflowed changes no weight and has ``skipped`` in the place of ``grad_norm``;
        the loss is scaled less from then on.

        Raises:
            CtgridError: where the loss is not finite, or too many steps in a row were left out.
        """
        started = time.perf_counter()
        settings, accelerator = self.settings, self.accelerator
        sums: dict[str, Tensor] = {}
        norm: Any = None
        for micro in range(settings.accumulate):
            batch = self.batches(step, micro)
            with accelerator.accumulate(self.network):
                with accelerator.autocast():
                    terms = self.task.loss(self.network, batch)
                accelerator.backward(terms["loss"])
                if accelerator.sync_gradients:
                    norm = accelerator.clip_grad_norm_(self.model.parameters(), settings.clip_norm or float("inf"))
                self.optimizer.step()
                self.optimizer.zero_grad()
            for key, value in terms.items():
                sums[key] = sums.get(key, torch.zeros(())) + value.detach().float().cpu()
        self.ema.step(self.model.parameters())
        rate = self.schedule.get_last_lr()[0]
        self.schedule.step()
        means = torch.stack(list(sums.values())).to(accelerator.device) / settings.accumulate
        values = dict(zip(sums, accelerator.reduce(means, reduction="mean").tolist(), strict=True))
        if not np.isfinite(values["loss"]):
            raise self.diverged(f"the loss is {values['loss']} at step {step + 1}")
        size = float(whole(norm))
        overflowed = accelerator.scaler is not None and not np.isfinite(size)  # then the scaler changes no weight
        self.skipped = self.skipped + 1 if overflowed else 0
        if self.skipped == MOST_SKIPPED:
            raise self.diverged(f"in fp16 the gradients of the last {MOST_SKIPPED} steps were not finite")
        seconds = round(time.perf_counter() - started, 4)
        return {
            "step": step + 1,
            **values,
            "learning_rate": rate,
            **self._gradients(size),
            "seconds": seconds,
        }

    def _gradients(self, norm: float) -> dict[str, float]:
        """Return what the log says of the gradients: their norm, if it is finite, or that fp16 left the step out."""
        if self.skipped:
            return {"skipped": 1.0}
        return {"grad_norm": norm} if np.isfinite(norm) else {}

    def diverged(self, what: str) -> CtgridError:
        """Return the error of a run that cannot go on as it is, with what does work."""
        rate = self.settings.learning_rate / 2
        steps = self.checkpoints.steps()
        again = f" with --resume (from step {steps[-1]}) and" if steps else " with"
        return CtgridError(
            f"{self.out}: {what}; train again{again} a lower learning rate, such as "
            f"--set optimisation.learning_rate={rate:.3g}"
        )


def prepare_network(model: Any, settings: Optimisation) -> Any:
    """Turn on what the recipe asks of a network: activation checkpointing, and compilation block by block.

    Raises:
        CtgridError: where the network knows no activation checkpointing, or nothing can be compiled here.
    """
    if settings.gradient_checkpointing:
        try:
            model.enable_gradient_checkpointing()
        except (AttributeError, ValueError) as error:
            name = type(model).__name__
            raise CtgridError(f"optimisation.gradient_checkpointing: {name} cannot; set it to false") from error
    if settings.compile:
        check_compiler(choose_device())
        for part in getattr(model, "blocks", None) or [model]:
            part.compile()
    return model

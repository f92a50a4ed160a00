"""The one training loop: accelerate, EMA, warm-up, accumulation, clipping, checkpoints, exact resume.

Every example is a function of the seed and its running number alone, so the data order needs no state,
and the same run on more processes sees the same examples.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ctgrid.draws import generator_for
from ctgrid.errors import CtgridError
from ctgrid.progress import Progress, silent
from ctgrid.training.checkpoints import Checkpoints, averaged, trim_log
from ctgrid.training.config import Optimisation
from ctgrid.training.interrupt import StopSignals
from ctgrid.training.task import Task


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

    def __init__(self, task: Task, settings: Optimisation, seed: int, out: Path) -> None:
        """Build the network under the seed and prepare it for the devices at hand.

        Args:
            task: what to train.
            settings: the loop's numbers.
            seed: seed of the starting weights and of every example.
            out: the run's folder; must exist.
        """
        from accelerate import Accelerator
        from accelerate.utils import set_seed
        from diffusers.training_utils import EMAModel

        self.task, self.settings, self.seed, self.out = task, settings, seed, out
        self.accelerator = Accelerator(
            mixed_precision=settings.precision, gradient_accumulation_steps=settings.accumulate
        )
        set_seed(seed)
        self.model: Any = task.build()
        self.ema = EMAModel(self.model.parameters(), decay=settings.ema_decay, use_ema_warmup=True, power=0.75)
        self.ema.to(self.accelerator.device)
        optimizer = torch.optim.AdamW(
            self.model.parameters(),
            lr=settings.learning_rate,
            betas=settings.betas,
            weight_decay=settings.weight_decay,
        )
        self.schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: learning_rate_factor(step, settings))
        if settings.compile:
            self.model.compile()
        self.network, self.optimizer = self.accelerator.prepare(self.model, optimizer)
        self.network.train()
        self.checkpoints = Checkpoints(out / "checkpoints", keep_last=settings.keep_last)

    @property
    def state(self) -> dict[str, Any]:
        """Everything that exact resuming needs, by name; randomness needs only the step."""
        parts = {
            "model": self.model,
            "ema": self.ema,
            "optimizer": self.optimizer,
            "schedule": self.schedule,
        }
        if self.accelerator.scaler is not None:
            parts["scaler"] = self.accelerator.scaler
        return parts

    def save(self, step: int) -> None:
        """Write the checkpoint of a step, in the main process."""
        if self.accelerator.is_main_process:
            self.checkpoints.save(step, self.state, self.save_model)
        self.accelerator.wait_for_everyone()

    def save_model(self, folder: Path) -> None:
        """Write the model with its averaged weights; the weights that training goes on with stay as they are."""
        with averaged(self.ema, self.model):
            self.task.save(self.model, folder)

    def restore(self) -> int:
        """Load the newest checkpoint, where there is one, and return its step."""
        step = self.checkpoints.restore(self.state)
        self.ema.to(self.accelerator.device)  # its loaded tensors lie on the CPU
        return step

    def draw(self, step: int, micro: int) -> dict[str, Tensor]:
        """Return this process's micro-batch of a step, on its device."""
        size = self.settings.batch_size // self.settings.accumulate
        block = (step * self.settings.accumulate + micro) * self.accelerator.num_processes
        first = (block + self.accelerator.process_index) * size
        examples = [self.task.example(generator_for(self.seed, first + i)) for i in range(size)]
        stacked = {key: torch.stack([example[key] for example in examples]) for key in examples[0]}
        return {key: value.to(self.accelerator.device) for key, value in stacked.items()}

    def step(self, step: int) -> dict[str, float]:
        """Take one optimizer step and return its numbers, averaged over micro-batches and processes."""
        started = time.perf_counter()
        settings, accelerator = self.settings, self.accelerator
        sums: dict[str, Tensor] = {}
        norm: Any = None
        for micro in range(settings.accumulate):
            batch = self.draw(step, micro)
            with accelerator.accumulate(self.network):
                with accelerator.autocast():
                    terms = self.task.loss(self.network, batch)
                accelerator.backward(terms["loss"])
                if accelerator.sync_gradients:
                    norm = accelerator.clip_grad_norm_(self.model.parameters(), settings.clip_norm)
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
            raise CtgridError(
                f"{self.out}: the loss is {values['loss']} at step {step + 1}; lower "
                "optimisation.learning_rate and train again with --resume from the last checkpoint"
            )
        seconds = round(time.perf_counter() - started, 4)
        return {
            "step": step + 1,
            **values,
            "learning_rate": rate,
            "grad_norm": float(norm),
            "seconds": seconds,
        }


def fit(
    task: Task,
    settings: Optimisation,
    seed: int,
    out: Path,
    *,
    resume: bool = False,
    stop_at: int | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Train until ``settings.steps`` optimizer steps are done.

    Writes ``out/log.jsonl`` (one object per optimizer step), ``out/checkpoints/step_*`` and, at the end,
    ``out/model`` with the averaged (EMA) weights. SIGINT and SIGTERM end the run after the current step with
    a checkpoint, and raise KeyboardInterrupt.

    Args:
        task: what to train.
        settings: the loop's numbers.
        seed: seed of the starting weights and of every example.
        out: the run's folder; must exist.
        resume: go on from the newest checkpoint, where there is one.
        stop_at: end after this many steps; the learning rate goes on following ``settings.steps``, so that
            a run in several parts equals one in a single part.
        progress: called after every optimizer step.

    Returns:
        ``steps``, ``first_step``, ``last`` (the last step's numbers), ``seconds``, ``model`` (the folder).

    Raises:
        CtgridError: where the loss is not finite, or the checkpoint does not fit.
    """
    started = time.perf_counter()
    trainer = Trainer(task, settings, seed, out)
    first = trainer.restore() if resume else 0
    log = out / "log.jsonl"
    main = trainer.accelerator.is_main_process
    if main:
        trim_log(log, first)
    values: dict[str, float] = {}
    last = settings.steps if stop_at is None else stop_at
    with StopSignals() as stop:
        for step in range(first, last):
            values = trainer.step(step)
            if main:
                with log.open("a") as lines:
                    lines.write(json.dumps(values) + "\n")
            done, stopping = step + 1, stop.received  # read once: no stop without its checkpoint
            if done % settings.checkpoint_every == 0 or done == last or stopping:
                trainer.save(done)
            progress("training", done, last)
            if stopping and done < last:
                raise KeyboardInterrupt
    model = out / "model"
    if main:
        trainer.checkpoints.publish(model)
    return {
        "steps": max(first, last),
        "first_step": first,
        "last": values,
        "seconds": round(time.perf_counter() - started, 2),
        "model": str(model),
    }

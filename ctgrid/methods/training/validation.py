"""A look at the averaged weights while training goes on: the loss on held-out data, and a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ctgrid.base.draws import generator_for
from ctgrid.methods.training.average import averaged
from ctgrid.methods.training.optimisation import Validation
from ctgrid.methods.training.task import Task

if TYPE_CHECKING:
    from ctgrid.methods.training.trainer import Trainer

HELD_OUT, PICTURE = 1, 2
"""Last number of the streams of validation examples and pictures, behind seed and index; training uses neither."""


class Validator:
    """Knows when to look, and looks: always at the same examples, noise included, with the averaged weights."""

    def __init__(self, trainer: Trainer, held_out: Task | None, settings: Validation | None) -> None:
        """Take the run to look at.

        Args:
            trainer: the run.
            held_out: the task on validation data; None makes pictures alone.
            settings: how often and how much; None never looks.
        """
        self.trainer, self.held_out = trainer, held_out
        self.settings = settings or Validation.model_validate({})

    def due(self, step: int, last: int) -> bool:
        """Tell whether to look after a step."""
        every = self.settings.every
        return every > 0 and (step % every == 0 or step == last)

    def look(self, step: int) -> tuple[dict[str, float], Tensor | None]:
        """Return the mean loss terms and a picture (H, W) in [-1, 1], in every process alike.

        Training is not disturbed: weights come back to the bit, and no random number of it is spent.
        """
        trainer = self.trainer
        trainer.model.eval()
        try:
            with torch.no_grad(), averaged(trainer.ema, trainer.model), trainer.accelerator.autocast():
                terms = self._loss() if self.held_out is not None else {}
                picture = self._picture(self.held_out or trainer.task)
        finally:
            trainer.model.train()
        return terms, picture

    def _loss(self) -> dict[str, float]:
        """Average every term over the examples, which the processes share out."""
        trainer, task = self.trainer, self.held_out
        assert task is not None
        accelerator = trainer.accelerator
        sums: dict[str, float] = {}
        size = max(1, trainer.batches.size)
        share = -(-self.settings.examples // (size * accelerator.num_processes))  # batches each: equally many
        for number in range(share):
            first = (number * accelerator.num_processes + accelerator.process_index) * size
            examples = [task.example(generator_for(trainer.seed, first + i, HELD_OUT)) for i in range(size)]
            batch = {key: torch.stack([e[key] for e in examples]).to(accelerator.device) for key in examples[0]}
            for key, value in task.loss(trainer.model, batch).items():
                sums[key] = sums.get(key, 0.0) + float(value)
        means = torch.tensor(list(sums.values()), device=accelerator.device) / share
        return dict(zip(sums, accelerator.reduce(means, reduction="mean").tolist(), strict=True))

    def _picture(self, task: Task) -> Tensor | None:
        draw: Any = getattr(task, "picture", None)
        if draw is None:
            return None
        generator = generator_for(self.trainer.seed, 0, PICTURE)
        picture: Tensor = draw(self.trainer.model, generator, self.settings.picture_steps)
        return picture.float().cpu()

"""Where a run's numbers and pictures go: JSON lines always, TensorBoard and Weights & Biases on request."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from torch import Tensor

from ctgrid.base.durable import sync
from ctgrid.base.errors import CtgridError
from ctgrid.base.extras import require
from ctgrid.base.files import atomic_output
from ctgrid.base.links import open_record
from ctgrid.methods.training.optimisation import Monitor

LOG, VALIDATION, PICTURES, TENSORBOARD = "log.jsonl", "validation.jsonl", "pictures", "tensorboard"


class Journal:
    """The written side of a run; a context, so that what is buffered is written at its end."""

    def __init__(self, out: Path, monitor: Monitor | None, first: int) -> None:
        """Open a run's journal.

        Args:
            out: the run's folder.
            monitor: which services get the numbers too; None none.
            first: steps done before, where a run is resumed: later entries are replaced.

        Raises:
            CtgridError: where a service is asked for whose package is missing.
        """
        self.out = out
        self.writer: Any = None
        self.service: Any = None
        if monitor is not None and monitor.tensorboard:
            require("tensorboard")
            from torch.utils.tensorboard.writer import SummaryWriter

            self.writer = SummaryWriter(str(out / TENSORBOARD), purge_step=first + 1)
        if monitor is not None and monitor.wandb:
            try:
                wandb = import_module("wandb")  # the user's own choice: no dependency of ctgrid
            except ImportError as error:
                raise CtgridError("monitor.wandb: the package wandb is missing; pip install wandb") from error
            self.service = wandb.init(project=monitor.wandb, dir=str(out), name=out.name, resume="allow", id=out.name)

    def __enter__(self) -> Journal:
        """Return the journal."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what is buffered."""
        if self.writer is not None:
            self.writer.close()
        if self.service is not None:
            self.service.finish(exit_code=0 if error is None else 1)

    def step(self, values: dict[str, float]) -> None:
        """Note one optimizer step's numbers, at full precision."""
        self._line(LOG, values)
        self._scalars("train", int(values["step"]), values)

    def look(self, step: int, terms: dict[str, float], picture: Tensor | None) -> None:
        """Note a validation: its losses, and its picture (H, W) in [-1, 1] as ``pictures/step_00000100.png``."""
        if terms:
            self._line(VALIDATION, {"step": step, **terms})
            self._scalars("validation", step, terms)
        if picture is None:
            return
        import PIL.Image

        gray = np.asarray(((picture.clamp(-1, 1) + 1) * 127.5).round().numpy(), dtype=np.uint8)
        folder = self.out / PICTURES
        folder.mkdir(exist_ok=True)
        with atomic_output(folder / f"step_{step:08d}.png", overwrite=True) as temporary:
            PIL.Image.fromarray(gray).save(temporary, format="PNG")
        if self.writer is not None:
            self.writer.add_image("sample", gray, step, dataformats="HW")

    def settle(self) -> None:
        """Bring the logs to the disk, so that none is shorter than the checkpoint that is written next."""
        for name in (LOG, VALIDATION):
            if (self.out / name).exists():
                sync(self.out / name)

    def _line(self, name: str, values: dict[str, float]) -> None:
        with open_record(self.out / name, "a", encoding="utf-8") as lines:
            lines.write(json.dumps(values) + "\n")

    def _scalars(self, group: str, step: int, values: dict[str, float]) -> None:
        named = {f"{group}/{key}": value for key, value in values.items() if key != "step"}
        if self.writer is not None:
            for name, value in named.items():
                self.writer.add_scalar(name, value, step)
        if self.service is not None:
            self.service.log(named, step=step)

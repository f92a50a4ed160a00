"""Checkpoints of a run: written whole or not at all, the newest few kept."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from ctgrid.errors import CtgridError

STATE_FILE = "state.pt"
MODEL_FOLDER = "model"


class Checkpoints:
    """The folder ``RUN/checkpoints`` with one folder ``step_00000100`` per checkpoint.

    Each holds ``state.pt`` (everything that resuming needs) and ``model`` (the averaged weights, loadable
    on their own).
    """

    def __init__(self, folder: Path, keep_last: int) -> None:
        """Use a folder, made at the first save."""
        self.folder = folder
        self.keep_last = keep_last

    def steps(self) -> list[int]:
        """Return the steps of the complete checkpoints, oldest first."""
        return sorted(int(p.name.removeprefix("step_")) for p in self.folder.glob("step_????????"))

    def save(self, step: int, content: dict[str, Any], save_model: Callable[[Path], None]) -> Path:
        """Write the checkpoint of a step and remove the oldest beyond ``keep_last``.

        Args:
            step: optimizer steps done.
            content: state dicts by name.
            save_model: writes the averaged model into a folder.
        """
        final = self.folder / f"step_{step:08d}"
        partial = self.folder / f".partial_{step:08d}"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        torch.save({"step": step, **content}, partial / STATE_FILE)
        save_model(partial / MODEL_FOLDER)
        if final.exists():
            shutil.rmtree(final)
        partial.rename(final)
        for old in self.steps()[: -self.keep_last]:
            shutil.rmtree(self.folder / f"step_{old:08d}")
        return final

    def restore(self, state: dict[str, Any]) -> int:
        """Load the newest checkpoint into ``state`` and return its step, 0 where there is none."""
        if not self.steps():
            return 0
        path = self.folder / f"step_{self.steps()[-1]:08d}" / STATE_FILE
        try:
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
            for name, part in state.items():
                part.load_state_dict(content[name])
        except (OSError, EOFError, RuntimeError, KeyError, ValueError, TypeError, UnpicklingError) as error:
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise CtgridError(
                f"{path}: the checkpoint does not fit this run ({reason}); "
                "resume with the config it was made with, or train into another folder"
            ) from error
        return int(content["step"])

    def publish(self, target: Path) -> None:
        """Copy the newest checkpoint's averaged model to ``target``, replacing what stood there."""
        source = self.folder / f"step_{self.steps()[-1]:08d}" / MODEL_FOLDER
        partial = target.with_name(f".partial_{target.name}")
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(source, partial)
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)


@contextmanager
def averaged(ema: Any, model: torch.nn.Module) -> Iterator[None]:
    """Put the averaged weights into the model inside the context, and its own back afterwards."""
    ema.store(model.parameters())
    ema.copy_to(model.parameters())
    try:
        yield
    finally:
        ema.restore(model.parameters())


def trim_log(path: Path, last_step: int) -> None:
    """Drop the lines of a JSONL log that lie beyond a step, and a last line cut short by a kill."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            if json.loads(line)["step"] <= last_step:
                kept.append(line + "\n")
        except (ValueError, KeyError, TypeError):
            continue
    partial = path.with_name(f".partial_{path.name}")
    partial.write_text("".join(kept))
    partial.replace(path)

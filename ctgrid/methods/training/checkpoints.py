"""Checkpoints of a run: written whole or not at all, the newest few kept."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from ctgrid.base.causes import out_of_memory
from ctgrid.base.durable import sync
from ctgrid.base.errors import CtgridError
from ctgrid.base.files import atomic_folder, atomic_output, recover_folder

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
        if not self.folder.exists():
            self.folder.mkdir(exist_ok=True)
            sync(self.folder.parent)
        with atomic_folder(final) as partial:
            with (partial / STATE_FILE).open("wb") as stream:  # a stream of Python's, for the system's own reasons
                torch.save({"step": step, **content}, stream)
            save_model(partial / MODEL_FOLDER)
        for old in self.steps()[: -self.keep_last]:
            shutil.rmtree(self.folder / f"step_{old:08d}")
        return final

    def tidy(self) -> None:
        """Put right, and remove, what a kill while a checkpoint was written left."""
        for old in (*self.folder.glob(".step_????????.old"), *self.folder.glob(".step_????????.new")):
            recover_folder(self.folder / old.stem.removeprefix("."))
        for partial in self.folder.glob(".partial_????????"):  # of earlier versions
            shutil.rmtree(partial, ignore_errors=True)

    def restore(self, state: dict[str, Any]) -> int:
        """Load the newest checkpoint that is whole into ``state``; return its step, 0 where there is none.

        Newer ones that are damaged stay where they are until :meth:`set_aside`.

        Raises:
            CtgridError: all are damaged, or the newest whole one does not fit.
        """
        damaged: dict[Path, str] = {}
        for step in reversed(self.steps()):
            path = self._folder(step) / STATE_FILE
            try:
                content = _read_whole(path)
            except Exception as error:  # a damaged pickle fails in any way it likes
                if out_of_memory(error):
                    raise
                damaged[path] = _reason(error)
                continue
            try:
                for name, part in state.items():
                    part.load_state_dict(content[name])
            except (RuntimeError, KeyError, ValueError, TypeError, AttributeError) as error:
                raise CtgridError(
                    f"{path}: the checkpoint does not fit this run ({_reason(error)}); "
                    "resume with the config it was made with, or train into another folder"
                ) from error
            return int(content["step"])
        if damaged:
            path, reason = next(iter(damaged.items()))
            others = f", nor is any of the {len(damaged) - 1} before it" if len(damaged) > 1 else ""
            raise CtgridError(
                f"{path} is damaged ({reason}){others}; remove {path.parent.parent} to train from the start"
            )
        return 0

    def set_aside(self, step: int) -> list[Path]:
        """Rename checkpoints beyond a step, which could not be restored, so that they count no more.

        Args:
            step: what :meth:`restore` returned.

        Returns:
            Their new places, the newest last.
        """
        moved = []
        for newer in [n for n in self.steps() if n > step]:
            target = self.folder / f"damaged_{self._folder(newer).name}"
            shutil.rmtree(target, ignore_errors=True)
            self._folder(newer).rename(target)
            moved.append(target)
        return moved

    def _folder(self, step: int) -> Path:
        return self.folder / f"step_{step:08d}"

    def publish(self, target: Path) -> None:
        """Copy the newest checkpoint's averaged model to ``target``, replacing what stood there."""
        source = self.folder / f"step_{self.steps()[-1]:08d}" / MODEL_FOLDER
        with atomic_folder(target) as partial:
            shutil.copytree(source, partial, dirs_exist_ok=True)


def _read_whole(path: Path) -> dict[str, Any]:
    """Read a checkpoint, mapped; its checksums are verified first, since a mapped file is read without them."""
    with zipfile.ZipFile(path) as archive:
        if (bad := archive.testzip()) is not None:
            raise zipfile.BadZipFile(f"wrong checksum of {bad}")
    content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    if not isinstance(content, dict) or "step" not in content:
        raise ValueError("it holds no step")
    return content


def _reason(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def trim_log(path: Path, last_step: int) -> None:
    """Drop the lines of a JSONL log that lie beyond a step, and a last line cut short by a kill."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            if json.loads(line)["step"] <= last_step:
                kept.append(line + "\n")
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
    with atomic_output(path, overwrite=True) as partial:
        partial.write_text("".join(kept), encoding="utf-8")

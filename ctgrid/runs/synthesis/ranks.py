"""Several processes at one synthesis: each makes its own volumes, and the first one reports on all."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from ctgrid.base.errors import CtgridError, reason_of

PATIENCE = timedelta(days=30)
"""How long a process that is done waits for the others, whose volumes may be many more."""


@dataclass(frozen=True)
class Ranks:
    """The place of this process among those that ``torchrun`` or ``accelerate launch`` started.

    Attributes:
        index: of this process, from 0.
        count: of processes.
        local: index among those of this machine, which decides on the GPU.
    """

    index: int = 0
    count: int = 1
    local: int = 0

    @classmethod
    def here(cls) -> Ranks:
        """Read the launcher's environment; a single process where there is none.

        Raises:
            CtgridError: where it makes no sense.
        """
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
        try:
            index, count, local = (
                int(os.environ.get(name, default)) for name, default in zip(names, "010", strict=True)
            )
        except ValueError as error:
            raise CtgridError(f"the environment's RANK, WORLD_SIZE or LOCAL_RANK is no number: {error}") from error
        if not 0 <= index < count:
            raise CtgridError(f"the environment's RANK {index} does not lie below its WORLD_SIZE {count}")
        return cls(index, count, local)

    @property
    def first(self) -> bool:
        """Whether this process prints and writes the run's record."""
        return self.index == 0

    def mine(self, number: int) -> bool:
        """Tell whether a volume is this process's to make."""
        return number % self.count == self.index

    def device(self, name: str) -> str:
        """Return the device for this process: a GPU of its own where several share a machine's."""
        if self.count == 1 or name not in ("auto", "cuda"):
            return name
        import torch

        found = torch.cuda.device_count()
        return f"cuda:{self.local % found}" if found else name

    def connect(self) -> None:
        """Meet the other processes; to be called before long work, so that a launch that cannot work ends early.

        Raises:
            CtgridError: where the environment does not say how.
        """
        if self.count == 1:
            return
        from torch import distributed

        # words between processes, never tensors: gloo, on any machine
        try:
            _patiently(lambda: distributed.init_process_group("gloo", timeout=PATIENCE))
        except ValueError as error:
            line = f"cannot meet the other processes ({reason_of(error)}); start them with torchrun"
            raise CtgridError(line) from error

    def gather(self, value: dict[str, Any]) -> list[dict[str, Any]]:
        """Wait for all processes and return what each hands in, in their order.

        Raises:
            CtgridError: where another process ended before.
        """
        if self.count == 1:
            return [value]
        from torch import distributed

        values: list[Any] = [None] * self.count
        try:
            _patiently(lambda: distributed.all_gather_object(values, value))
        except RuntimeError as error:
            raise CtgridError("another process of this run failed; its own message says why") from error
        distributed.destroy_process_group()
        return values


def _patiently(wait: Callable[[], object]) -> None:
    """Wait for other processes in a thread, so that this one can still be interrupted."""
    errors: list[Exception] = []

    def work() -> None:
        try:
            wait()
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(0.2)
    if errors:
        raise errors[0]

"""Batches as a function of seed, step and process: in line, or drawn ahead by threads, always the same."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

import torch
from torch import Tensor

from ctgrid.base.draws import generator_for
from ctgrid.methods.training.optimisation import Optimisation
from ctgrid.methods.training.task import Task


class Batches:
    """The micro-batches of one process; a context, so that threads end with it."""

    def __init__(
        self, task: Task, settings: Optimisation, seed: int, process: int, processes: int, device: torch.device
    ) -> None:
        """Take what decides a batch.

        Args:
            task: draws examples.
            settings: batch size, micro-batches, threads.
            seed: of every example.
            process: number of this process.
            processes: how many there are.
            device: where batches go.
        """
        self.task, self.settings, self.seed, self.device = task, settings, seed, device
        self.process, self.processes = process, processes
        self.size = settings.batch_size // settings.accumulate
        threads = settings.loader_threads
        self._pool = ThreadPoolExecutor(threads) if threads else None
        self._ahead: dict[int, list[Future[dict[str, Tensor]]]] = {}

    def __enter__(self) -> Batches:
        """Start nothing: threads start with the first batch."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let the threads go."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def __call__(self, step: int, micro: int) -> dict[str, Tensor]:
        """Return a micro-batch of a step on the device: every tensor with a batch axis in front."""
        number = step * self.settings.accumulate + micro
        if self._pool is None:
            examples = [self.example(index) for index in self.indices(number)]
        else:
            examples = [future.result() for future in self._ahead.pop(number, None) or self._submit(number)]
            self._ahead = {number + 1: self._submit(number + 1)}
        return self._stack(examples)

    def indices(self, number: int) -> Iterable[int]:
        """Return the running numbers of a micro-batch's examples: each belongs to exactly one process."""
        first = (number * self.processes + self.process) * self.size
        return range(first, first + self.size)

    def example(self, index: int) -> dict[str, Tensor]:
        """Draw one example."""
        return self.task.example(generator_for(self.seed, index))

    def _submit(self, number: int) -> list[Future[dict[str, Tensor]]]:
        assert self._pool is not None
        return [self._pool.submit(self.example, index) for index in self.indices(number)]

    def _stack(self, examples: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        stacked = {key: torch.stack([example[key] for example in examples]) for key in examples[0]}
        if self.device.type != "cuda":
            return {key: value.to(self.device) for key, value in stacked.items()}
        return {key: value.pin_memory().to(self.device, non_blocking=True) for key, value in stacked.items()}

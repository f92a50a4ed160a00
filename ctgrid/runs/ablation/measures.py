"""What is measured of a variant: its samples against held-out patients, and its loss on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch

from ctgrid.base.draws import generator_for
from ctgrid.base.errors import CtgridError
from ctgrid.methods.training.task import Task
from ctgrid.metrics.frechet import frechet_distance
from ctgrid.metrics.kernel import kernel_distance
from ctgrid.metrics.sequence import joint_ratio, slice_steps
from ctgrid.runs.ablation.spec import Measuring
from ctgrid.runs.evaluation.ct.thumbnails import thumbnails
from ctgrid.runs.evaluation.ct.z_probe import ZProbe, order_of

EQUAL_NOISE = 7
"""Last number of the streams of the validation loss: the same examples and noise for every variant and seed."""

LOSS_BATCH = 16


class Reference:
    """Real volumes that samples are compared with, their features taken once."""

    def __init__(
        self,
        held_out: np.ndarray,
        training: np.ndarray,
        extent_mm: float,
        measuring: Measuring,
        features: Callable[[np.ndarray], np.ndarray],
    ) -> None:
        """Take the volumes.

        Args:
            held_out: (v, n, s, s) int16 HU of held-out patients.
            training: (w, n, s, s) of training patients, from which heights are learned.
            extent_mm: of a volume along z.
            measuring: how much is compared.
            features: from slices (n, s, s) in HU to (n, d).
        """
        self.held_out, self.training, self.extent_mm = held_out, training, extent_mm
        self.measuring, self.features = measuring, features

    @cached_property
    def held_out_features(self) -> np.ndarray:
        """Features (v n, d) of the held-out volumes."""
        return self.features_of(self.held_out)

    @cached_property
    def probe(self) -> ZProbe:
        """Reads heights; fitted on the training volumes."""
        return ZProbe.fit([thumbnails(volume) for volume in self.training])

    @cached_property
    def steps(self) -> np.ndarray:
        """Slice steps of the held-out volumes, HU."""
        return steps_of(self.held_out)

    def features_of(self, volumes: np.ndarray) -> np.ndarray:
        """Return features of evenly spaced slices of volumes (v, n, s, s)."""
        count = volumes.shape[1]
        chosen = np.unique(np.linspace(0, count - 1, min(self.measuring.feature_slices, count)).round().astype(int))
        return np.concatenate([self.features(np.ascontiguousarray(volume[chosen])) for volume in volumes])

    def measure(self, volumes: np.ndarray, joints: Sequence[int] = ()) -> dict[str, float | None]:
        """Measure volumes against the held-out ones.

        Args:
            volumes: (v, n, s, s) int16 HU.
            joints: see :func:`ctgrid.runs.ablation.samples.joints`.

        Returns:
            All of :data:`ctgrid.runs.results.ablation.MEASURES` but the loss; ``seam`` is None without joints.
        """
        from scipy.stats import wasserstein_distance

        features = self.features_of(volumes)
        order = [order_of(self.probe.heights(thumbnails(volume)), self.extent_mm) for volume in volumes]
        steps = steps_of(volumes)
        return {
            **self.distances(features),
            "z_spearman": float(np.mean([o["spearman"] for o in order])),
            "step_hu": float(steps.mean()),
            "step_wasserstein_hu": float(wasserstein_distance(steps.ravel(), self.steps.ravel())),
            "seam": seam_of(steps, joints),
        }

    def distances(self, features: np.ndarray) -> dict[str, float]:
        """Return both distances of features (n, d) to the held-out patients'."""
        real = self.held_out_features
        return {"fd": frechet_distance(real, features), "kd": kernel_distance(real, features)}


def steps_of(volumes: np.ndarray) -> np.ndarray:
    """Return the slice steps (v, n - 1) of volumes, HU."""
    return np.stack([slice_steps(volume) for volume in volumes])


def seam_of(steps: np.ndarray, joints: Sequence[int]) -> float | None:
    """Return the mean ratio of volumes' steps (v, n - 1) at joints to the others; None where nothing is joined."""
    try:
        return float(np.mean([joint_ratio(volume, joints) for volume in steps]))
    except CtgridError:
        return None


@torch.no_grad()
def held_out_loss(task: Task, network: Any, examples: int) -> float:
    """Return the mean loss on examples that are the same for every network of the task's grid size.

    Args:
        task: on held-out volumes.
        network: in evaluation mode.
        examples: how many.
    """
    device = next(network.parameters()).device
    total = 0.0
    for first in range(0, examples, LOSS_BATCH):
        numbers = range(first, min(first + LOSS_BATCH, examples))
        drawn = [task.example(generator_for(0, number, EQUAL_NOISE)) for number in numbers]
        batch = {key: torch.stack([example[key] for example in drawn]).to(device) for key in drawn[0]}
        total += float(task.loss(network, batch)["loss"]) * len(drawn)
    return total / examples

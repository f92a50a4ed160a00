"""The volumes of an ablation: read once, held in memory, and divided by patient into training and held-out ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ctgrid.base.errors import CtgridError
from ctgrid.base.progress import Progress, silent
from ctgrid.data.store.splits import make_split, select_volumes, take_fraction
from ctgrid.data.volumes import VolumeSlices, check_excluded
from ctgrid.methods.training.config import TrainConfig
from ctgrid.methods.training.data import TrainingData, excluded_by_shipped
from ctgrid.methods.training.recipes import GridRecipe
from ctgrid.scan.protocols.resample import SCALE_HU
from ctgrid.stages.latents.ahead import coarse_volumes

HELD_OUT_SHARE = 0.25
"""Share of the patients that no variant trains on, where no split is given."""


@dataclass(frozen=True)
class Volumes:
    """Volumes in memory, at the recipe's size.

    Attributes:
        path: where they were read from.
        training: to train on, sorted by name.
        held_out: to compare with.
        digests: name to content hash, of both.
        split: as asked for; None where it was drawn.
    """

    path: Path
    training: tuple[VolumeSlices, ...]
    held_out: tuple[VolumeSlices, ...]
    digests: dict[str, str]
    split: str | None

    def taken(self, fraction: float | None, seed: int = 0) -> TrainingData:
        """Return the training volumes, or those of a share of the patients (smaller shares lie in larger ones).

        Another seed takes other patients.
        """
        names = [volume.name for volume in self.training]
        chosen = set(names if fraction is None else take_fraction(names, fraction, seed))
        return self._data([v for v in self.training if v.name in chosen], fraction)

    def kept_back(self) -> TrainingData:
        """Return the held-out volumes."""
        return self._data(self.held_out, None)

    def _data(self, volumes: Sequence[VolumeSlices], fraction: float | None) -> TrainingData:
        digests = {volume.name: self.digests[volume.name] for volume in volumes}
        facts = {"kind": "memory", "path": str(self.path), "split": self.split, "fraction": fraction}
        return TrainingData(list(volumes), digests, None, facts)


def read_volumes(path: Path, recipe: TrainConfig, split: str | None = None, progress: Progress = silent) -> Volumes:
    """Read the volumes of a folder or a store, and divide them by patient.

    Args:
        path: a folder of volumes, or a store.
        recipe: names the size, and volumes left out.
        split: ``FILE:train`` or ``ct-rate:train`` of a split that has ``valid`` too; None draws a quarter of the
            patients to hold out.
        progress: told of every volume.

    Raises:
        CtgridError: where there are too few volumes, or the split has no part ``valid``.
    """
    from ctgrid.runs.evaluation.samples import open_samples

    samples = {sample.name: sample for sample in open_samples(path, size=recipe.recipe.size, progress=progress)}
    check_excluded(tuple(n for n in recipe.exclude if n not in excluded_by_shipped()), list(samples), path)
    training, held_out = divide([name for name in samples if name not in recipe.exclude], split, path)
    volumes, names = {}, [*training, *held_out]
    for i, name in enumerate(names):
        progress("reading volumes", i, len(names))
        loaded = samples[name].load()
        volumes[name] = VolumeSlices(name, torch.from_numpy(loaded.hu), loaded.spacing_mm)
    progress("reading volumes", len(names), len(names))
    digests = {name: samples[name].digest[:32] for name in names}
    train_part, held_out_part = (tuple(volumes[name] for name in part) for part in (training, held_out))
    return Volumes(path, train_part, held_out_part, digests, split)


def divide(names: Sequence[str], split: str | None, path: Path) -> tuple[list[str], list[str]]:
    """Return the names to train on and those to hold out, sorted.

    Raises:
        CtgridError: see :func:`read_volumes`.
    """
    if split is None:
        if len(names) < 2:
            raise CtgridError(f"{path}: an ablation needs two patients at least, to hold one out; got {len(names)}")
        drawn = make_split(names, HELD_OUT_SHARE)
        return drawn.select("train", names), drawn.select("valid", names)
    file, colon, part = split.rpartition(":")
    if not colon or part != "train":
        raise CtgridError(f"--split {split}: name the part train of a split that has valid too, such as FILE:train")
    return select_volumes(names, split), select_volumes(names, f"{file}:valid")


def shown_hu(volumes: Sequence[VolumeSlices], recipe: GridRecipe, side_px: int) -> np.ndarray:
    """Return volumes as training frames them, at the size of the measures.

    Args:
        volumes: real ones.
        recipe: frame, size and number of slices.
        side_px: of the result; divides the recipe's size.

    Returns:
        (volumes, slices, side, side) int16 HU.

    Raises:
        CtgridError: where the sizes do not divide.
    """
    if recipe.size % side_px:
        raise CtgridError(f"measuring.side_px {side_px} does not divide the recipe's size {recipe.size}")
    unit = coarse_volumes(
        list(volumes),
        size=recipe.size,
        k=recipe.size // side_px,
        slices=recipe.slices,
        variants=1,
        fov_mm=recipe.fov_mm,
        generator=torch.Generator(),
    )
    return to_hu(unit)


def to_hu(unit: torch.Tensor) -> np.ndarray:
    """Turn images in [-1, 1] into int16 HU."""
    return np.asarray((unit.float().clamp(-1, 1) * SCALE_HU).round().to(torch.int16).numpy())

"""Map-style torch datasets over a store, for training loops other than ctgrid's own.

An item is a function of (seed, epoch, index) alone: any number of workers and any order give the same items. Call
``set_epoch`` before each epoch; persistent workers see it too.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor
from torch.utils.data import Dataset

from ctgrid.base.draws import generator_for, integer
from ctgrid.base.errors import CtgridError
from ctgrid.base.families import look_up
from ctgrid.data.degrade import (
    BLUR_KERNELS,
    NOISE_LEVELS,
    Way,
    degrade,
    degraded_as_published,
    draw_degradation,
    enlarge,
)
from ctgrid.data.grids import draw_plan
from ctgrid.data.store import Store
from ctgrid.data.stored import StoreSlices, stored_volumes
from ctgrid.scan.grid import to_grid


class StoreDataset(Dataset[dict[str, Any]]):
    """What the datasets share: the volumes, the seed and the epoch."""

    def __init__(self, store: Store | str | Path, names: Iterable[str] | None = None, seed: int = 0) -> None:
        """Look a store's volumes up.

        Args:
            store: the store or its path.
            names: of volumes, such as :func:`ctgrid.data.store.splits.select_volumes` returns; None takes all.
            seed: of everything that is drawn.

        Raises:
            CtgridError: there is no such store or volume, or none is chosen.
        """
        store = store if isinstance(store, Store) else Store.open(store)
        chosen = store.names() if names is None else list(names)
        unknown = [name for name in chosen if name not in store]
        if unknown or not chosen:
            what = f"no volume {unknown[0]!r}" if unknown else "no volume to draw from"
            raise CtgridError(f"{store.path} has {what}; ctgrid info lists those it has")
        generator_for(seed)  # refuses a negative one
        self.settings, self.seed = store.settings, seed
        self.volumes: list[StoreSlices] = stored_volumes(store, chosen)
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    @property
    def epoch(self) -> int:
        """The epoch whose items are drawn now."""
        return int(self._epoch)

    def set_epoch(self, epoch: int) -> None:
        """Draw anew, also in workers that run already."""
        self._epoch.fill_(epoch)

    def generator(self, index: int) -> torch.Generator:
        """Return the generator of one item of this epoch."""
        return generator_for(self.seed, self.epoch, index)

    def _at(self, index: int) -> int:
        """Return a number in [0, len); Python's loops end by the IndexError."""
        index = int(index)
        if not -len(self) <= index < len(self):  # type: ignore[arg-type]
            raise IndexError(f"item {index} of {len(self)}")  # type: ignore[arg-type]
        return index % len(self)  # type: ignore[arg-type]


class GridDataset(StoreDataset):
    """Grids of coarse slices, stage 1's examples: a random start, a random stride, never flipped.

    Only the K² slices of a grid are read.
    """

    def __init__(
        self,
        store: Store | str | Path,
        names: Iterable[str] | None = None,
        *,
        strides: tuple[int, ...] = (1,),
        per_volume: int = 1,
        seed: int = 0,
    ) -> None:
        """Take the volumes.

        Args:
            store: the store or its path.
            names: of volumes; None takes all.
            strides: slice steps to draw from; those too long for the volumes are shortened.
            per_volume: grids of each volume in an epoch.
            seed: of starts and strides.

        Raises:
            CtgridError: for strides or a number per volume below 1.
        """
        super().__init__(store, names, seed)
        if not strides or min(strides) < 1 or per_volume < 1:
            raise CtgridError(f"strides {strides} and per_volume {per_volume} must be at least 1")
        self.strides, self.per_volume = tuple(strides), per_volume

    def __len__(self) -> int:
        return len(self.volumes) * self.per_volume

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Return ``grid`` (1, S, S) float32 in [-1, 1], ``z_index`` (K²,) int64 and ``name``."""
        index = self._at(index)
        volume = self.volumes[index % len(self.volumes)]
        plan = draw_plan(len(volume), self.settings.k, self.generator(index), self.strides)
        cells = volume.coarse(plan.index)[:, None]
        return {"grid": to_grid(cells, self.settings.k)[0], "z_index": plan.index, "name": volume.name}


class RefineDataset(StoreDataset):
    """Slices with their degraded coarse versions, stage 2's pairs (DESIGN's Listing 1), each slice once an epoch."""

    def __init__(
        self,
        store: Store | str | Path,
        names: Iterable[str] | None = None,
        *,
        noise_levels: tuple[int, int] = NOISE_LEVELS,
        blur_share: float = 0.5,
        degradation: Way = "ctgrid",
        seed: int = 0,
    ) -> None:
        """Take the volumes.

        Args:
            store: the store or its path.
            names: of volumes; None takes all.
            noise_levels: lowest and highest noise added, of 255 gray levels.
            blur_share: share of pairs whose coarse version is blurred as well.
            degradation: ``published`` is that of the published code, see :mod:`ctgrid.data.degrade`.
            seed: of noise and blur.

        Raises:
            CtgridError: for shares that are none, or slices too small to be blurred.
        """
        super().__init__(store, names, seed)
        if not 0 <= noise_levels[0] <= noise_levels[1] or not 0 <= blur_share <= 1:
            raise CtgridError(
                f"noise_levels {noise_levels} must ascend from 0 and blur_share {blur_share} lie in 0...1"
            )
        if self.settings.size <= max(BLUR_KERNELS) // 2:
            raise CtgridError(f"slices of {self.settings.size} pixels are too small to be blurred")
        look_up(dict.fromkeys(get_args(Way)), degradation, "degradation")
        self.noise_levels, self.blur_share, self.degradation = noise_levels, blur_share, degradation

    def __len__(self) -> int:
        return len(self.volumes) * self.settings.slices

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Return ``slice`` and ``condition``, (1, S, S) float32 in [-1, 1], ``z_index`` () int64 and ``name``.

        The ``published`` condition is (3, S, S): gray three times, each with noise of its own.
        """
        index = self._at(index)
        volume, row = self.volumes[index // self.settings.slices], index % self.settings.slices
        drawn = draw_degradation(self.generator(index), self.noise_levels, self.blur_share)
        image = volume.unit(row)[None]
        if self.degradation == "published":  # the store's coarse slices are antialiased
            condition = degraded_as_published(image, self.settings.k, drawn)
        else:
            condition = degrade(enlarge(volume.coarse(row)[None, None], self.settings.k)[0], drawn)
        return {
            "slice": image,
            "condition": condition,
            "z_index": torch.tensor(row),
            "name": volume.name,
        }


class CodecDataset(StoreDataset):
    """Random crops of slices beside their whole coarse slices, what a codec is trained on; each slice once an epoch."""

    def __init__(
        self, store: Store | str | Path, names: Iterable[str] | None = None, *, crop: int = 256, seed: int = 0
    ) -> None:
        """Take the volumes.

        Args:
            store: the store or its path.
            names: of volumes; None takes all.
            crop: side of the crops.
            seed: of their places.

        Raises:
            CtgridError: for a crop that does not fit the slices.
        """
        super().__init__(store, names, seed)
        if not 1 <= crop <= self.settings.size:
            raise CtgridError(f"crop {crop} does not fit slices of {self.settings.size} pixels")
        self.crop = crop

    def __len__(self) -> int:
        return len(self.volumes) * self.settings.slices

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Return ``crop`` (1, c, c) and ``cell`` (1, S/K, S/K), float32 in [-1, 1], ``z_index`` and ``name``."""
        index = self._at(index)
        volume, row = self.volumes[index // self.settings.slices], index % self.settings.slices
        generator, last = self.generator(index), self.settings.size - self.crop + 1
        y, x = integer(0, last, generator), integer(0, last, generator)
        image: Tensor = volume.unit(row)[None]
        return {
            "crop": image[:, y : y + self.crop, x : x + self.crop].clone(),
            "cell": volume.coarse(row)[None],
            "z_index": torch.tensor(row),
            "name": volume.name,
        }

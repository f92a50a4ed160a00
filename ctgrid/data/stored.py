"""Volumes of a store as training draws from them: nothing is read before it is drawn, and only what is drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from ctgrid.base.draws import generator_for
from ctgrid.base.errors import CtgridError
from ctgrid.base.progress import Progress, silent
from ctgrid.data.framing import SMALL, Pose, Poses, draw_pose, pose_matrix
from ctgrid.data.store.shards import Shard
from ctgrid.data.volumes import VolumeSlices, shrink
from ctgrid.scan.protocols.oriented import upright
from ctgrid.scan.protocols.resample import SCALE_HU

if TYPE_CHECKING:
    from ctgrid.data.store import Store, StoreSettings

READERS = 8
"""Threads that look at many volumes' files at once: what they wait for is the disk."""


@dataclass(frozen=True)
class StoreSlices:
    """One volume of a store; a :class:`~ctgrid.data.volumes.SliceSource`. Cheap to pickle and to hold by the thousand.

    Attributes:
        folder: the volume's folder.
        settings: the store's.
    """

    folder: Path
    settings: StoreSettings

    @property
    def name(self) -> str:
        """The volume's name."""
        return self.folder.name

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Spacing (z, y, x) of the stored slices."""
        from ctgrid.data.store import StoredVolume

        return StoredVolume(self.folder).spacing_mm

    @property
    def orientation(self) -> str:
        """Axis codes (columns, rows, slices) of the stored slices."""
        from ctgrid.data.store import StoredVolume

        return StoredVolume(self.folder).orientation

    def __len__(self) -> int:
        return self.settings.slices

    def unit(self, index: Tensor | slice | int) -> Tensor:
        """Return slices as float32 in [-1, 1]: (m, S, S), or (S, S) for one number."""
        return self._unit("slices", index)

    def coarse(self, index: Tensor | slice | int) -> Tensor:
        """Return coarse slices as float32 in [-1, 1]: (m, S/k, S/k), or (S/k, S/k) for one number."""
        return self._unit("coarse", index)

    def small(self, index: int, side: int) -> Tensor:
        """Return a slice shrunk whole to (side, side), float32 in [-1, 1]; the stored one where it has that size."""
        return self.coarse(index) if side == self.settings.coarse_size else shrink(self.unit(index), side)

    def digest(self, arrays: Iterable[str] = ("slices", "coarse")) -> str:
        """Return a hash of the chosen arrays' content and the volume's record, without reading the slices."""
        state = sha256((self.folder / "zarr.json").read_bytes())
        for array in arrays:
            state.update(Shard.open(self.folder / array).digest().encode())
        return state.hexdigest()

    def in_memory(self) -> VolumeSlices:
        """Read the whole volume and turn it to canonical orientation."""
        from ctgrid.data.store import StoredVolume

        record = StoredVolume(self.folder)
        stored = Shard.open(self.folder / "slices").read(range(len(self)))
        hu, spacing_mm = upright(stored, record.orientation, record.spacing_mm)
        return VolumeSlices(self.name, torch.from_numpy(hu), spacing_mm)

    def _unit(self, array: str, index: Tensor | slice | int) -> Tensor:
        shard = Shard.open(self.folder / array)
        if shard.shape[0] != len(self):
            raise CtgridError(f"{self.folder} has {shard.shape[0]} slices, its store says {len(self)}")
        rows = row_numbers(index, len(self))
        values = torch.from_numpy(shard.read(rows).astype(np.float32)).div_(SCALE_HU).clamp_(-1, 1)
        return values[0] if isinstance(index, int) else values


def row_numbers(index: Tensor | slice | int, count: int) -> Sequence[int]:
    """Return the numbers that an index chooses among ``count`` rows; negative ones count from the end."""
    if isinstance(index, slice):
        return range(count)[index]
    chosen = [index] if isinstance(index, int) else index.tolist()
    return [int(i) + count if i < 0 else int(i) for i in chosen]


def stored_volumes(store: Store, names: Iterable[str]) -> list[StoreSlices]:
    """Return volumes of a store to draw from."""
    return [StoreSlices(store.path / name, store.settings) for name in names]


def in_parallel(
    work: Callable[[StoreSlices], Any], volumes: Sequence[StoreSlices], phase: str, progress: Progress = silent
) -> list[Any]:
    """Do a little reading for each of many volumes, several at a time, and return the results in order."""
    results = []
    with ThreadPoolExecutor(READERS) as pool:
        for done, result in enumerate(pool.map(work, volumes)):
            progress(phase, done, len(volumes))
            results.append(result)
    progress(phase, len(volumes), len(volumes))
    return results


class CoarseVolumes(Sequence["CoarseVolume"]):
    """Coarse volumes to draw grids from: every volume of a list in one or more poses, straight first.

    What ``coarse_volumes`` makes of a folder, ahead and in memory, this makes of a store on demand.
    """

    def __init__(self, volumes: Sequence[StoreSlices], variants: int = 1, seed: int = 0, poses: Poses = SMALL) -> None:
        """Take the volumes.

        Args:
            volumes: to draw from.
            variants: poses of each volume, the first straight.
            seed: of the other poses; a pose belongs to its volume and number for good.
            poses: how far they go.
        """
        self.volumes, self.variants, self.seed, self.poses = volumes, variants, seed, poses

    def __len__(self) -> int:
        return len(self.volumes) * self.variants

    def __getitem__(self, index: Any) -> Any:
        if not 0 <= index < len(self):
            raise IndexError(index)
        number, variant = divmod(index, self.variants)
        pose = draw_pose(generator_for(self.seed, number, variant), self.poses) if variant else None
        return CoarseVolume(self.volumes[number], pose)


@dataclass(frozen=True)
class CoarseVolume:
    """One volume's coarse slices in a pose; indexed by slice numbers (m,) it gives images (m, 1, s, s) in [-1, 1]."""

    volume: StoreSlices
    pose: Pose | None = None

    def __len__(self) -> int:
        return len(self.volume)

    def __getitem__(self, index: Tensor) -> Tensor:
        images = self.volume.coarse(index)[:, None]
        return images if self.pose is None else posed(images, self.pose)


def posed(images: Tensor, pose: Pose) -> Tensor:
    """Turn, zoom and shift images (m, 1, s, s) in [-1, 1] about their middle, air outside."""
    theta = torch.tensor(pose_matrix(pose))[None].expand(len(images), -1, -1)
    grid = affine_grid(theta, list(images.shape), align_corners=False)
    moved = grid_sample(images + 1.0, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return moved - 1.0

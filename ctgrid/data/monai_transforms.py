"""MONAI dictionary transforms: ctgrid's reading, canonical form, grids and degradation inside MONAI pipelines.

Importing this module imports MONAI; nothing else in ctgrid does. Images follow MONAI's conventions: channel first,
then (x, y, z), a ``MetaTensor`` whose affine maps voxels to RAS+ mm. All that is random comes from the transform's own
state (``set_random_state``), as MONAI's pipelines expect. MONAI's own transforms do the rest: ``RandAffined`` for
poses, ``SpatialPadd``, ``CacheDataset``, ``DataLoader`` and so on also take items of
:class:`ctgrid.data.datasets.GridDataset`. Two steps are not MONAI's, for its own do something else:
``Resized`` knows no antialiased bicubic, and ``RandGaussianSmoothd`` no kernel of OpenCV's width.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from ctgrid.base.errors import CtgridError
from ctgrid.base.extras import require
from ctgrid.base.families import look_up
from ctgrid.data.degrade import NOISE_LEVELS, Way, degrade, degraded_as_published, draw_degradation, enlarge
from ctgrid.data.grids import draw_plan
from ctgrid.scan.grid import downsample, to_grid
from ctgrid.scan.hu.metadata import MetadataTable
from ctgrid.scan.hu.modes import HuMode
from ctgrid.scan.protocols.canonical import CanonicalRecord, from_canonical, to_canonical
from ctgrid.scan.volume import Volume

require("monai")
from monai.config import KeysCollection  # noqa: E402
from monai.data import MetaTensor  # noqa: E402
from monai.transforms import InvertibleTransform, MapTransform, RandomizableTransform  # noqa: E402

RECORD = "ctgrid_record"
"""Key in a MetaTensor's meta: the volume's record as JSON text."""


class LoadVolumed(MapTransform):
    """Read any CT that ctgrid reads, in HU: (1, x, y, z) float32."""

    def __init__(
        self,
        keys: KeysCollection,
        hu: HuMode = "auto",
        metadata: MetadataTable | None = None,
        allow_missing_keys: bool = False,
    ) -> None:
        """Choose how HU are found.

        Args:
            keys: of paths.
            hu: see :meth:`ctgrid.Volume.read`.
            metadata: the collection's table, where there is one.
            allow_missing_keys: leave items without a key as they are.
        """
        super().__init__(keys, allow_missing_keys)
        self.hu, self.metadata = hu, metadata

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Replace paths by images."""
        out = dict(data)
        for key in self.key_iterator(out):
            path = Path(out[key])
            out[key] = from_volume(Volume.read(path, hu=self.hu, metadata=self.metadata), str(path))
        return out


class Canonicald(MapTransform, InvertibleTransform):
    """Bring HU into the canonical form: LPS, square, S x S, in [-1, 1]; ``inverse`` puts it back on its own grid.

    The result is (1, S, S, n), again (x, y, z), with the affine that belongs to it.
    """

    def __init__(
        self,
        keys: KeysCollection,
        size: int = 512,
        slices: int | None = None,
        fov_mm: float | None = None,
        allow_missing_keys: bool = False,
    ) -> None:
        """Choose the form.

        Args:
            keys: of images in HU, (1, x, y, z) with an affine.
            size: S.
            slices: n; None keeps the image's own.
            fov_mm: side of the field of view about the body's middle; None takes all.
            allow_missing_keys: leave items without a key as they are.
        """
        super().__init__(keys, allow_missing_keys)
        self.size, self.slices, self.fov_mm = size, slices, fov_mm

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Transform, and note what the inverse needs."""
        out = dict(data)
        for key in self.key_iterator(out):
            volume = to_volume(out[key])
            array, record = to_canonical(volume, self.size, self.slices, self.fov_mm)
            image = MetaTensor(rearrange(torch.from_numpy(array), "z y x -> 1 x y z"), meta=dict(out[key].meta))
            image.affine = torch.as_tensor(canonical_affine(record))
            image.applied_operations = list(out[key].applied_operations)
            self.push_transform(image, extra_info={RECORD: json.dumps(record.to_json(), default=str)})
            out[key] = image
        return out

    def inverse(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Put canonical images (1, S, S, n) in [-1, 1] back: HU on the patient's own grid."""
        out = dict(data)
        for key in self.key_iterator(out):
            image = out[key]
            noted = self.pop_transform(image)
            record = CanonicalRecord.from_json(json.loads(noted["extra_info"][RECORD]))
            array = rearrange(image.as_tensor().float().cpu(), "1 x y z -> z y x").numpy()
            restored = from_volume(from_canonical(np.ascontiguousarray(array), record), "")
            restored.meta = {**image.meta, "affine": restored.affine}
            restored.applied_operations = image.applied_operations
            out[key] = restored
        return out


class Gridd(RandomizableTransform, MapTransform):
    """Draw a grid of coarse slices, stage 1's example: (1, S, S, n) to (1, S, S), rows down to the back.

    Start and stride are the same for all keys; the slices' numbers go to ``z_index`` (K²,).
    """

    def __init__(
        self, keys: KeysCollection, k: int = 4, strides: tuple[int, ...] = (1,), allow_missing_keys: bool = False
    ) -> None:
        """Choose the grid.

        Args:
            keys: of images (1, x, y, z) in [-1, 1], all with equally many slices.
            k: cells per side; x and y are multiples of it.
            strides: slice steps to draw from.
            allow_missing_keys: leave items without a key as they are.
        """
        MapTransform.__init__(self, keys, allow_missing_keys)
        RandomizableTransform.__init__(self, 1.0)
        self.k, self.strides = k, strides

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Draw, shrink and tile."""
        out = dict(data)
        generator = _generator(self)
        plan = None
        for key in self.key_iterator(out):
            image = _plain(out[key])
            if plan is None:
                plan = draw_plan(image.shape[-1], self.k, generator, self.strides)
            slices = rearrange(image[..., plan.index], "1 x y z -> z 1 y x")
            out[key] = to_grid(downsample(slices, self.k).clamp(-1, 1), self.k)[0]
            out["z_index"] = plan.index
        return out


class RandSliced(RandomizableTransform, MapTransform):
    """Draw one slice, the same for all keys: (1, x, y, n) to (1, y, x); its number goes to ``z_index``."""

    def __init__(self, keys: KeysCollection, allow_missing_keys: bool = False) -> None:
        """Choose the keys."""
        MapTransform.__init__(self, keys, allow_missing_keys)
        RandomizableTransform.__init__(self, 1.0)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Draw and cut."""
        out = dict(data)
        self.randomize(None)
        share = self.R.random_sample()
        for key in self.key_iterator(out):
            image = _plain(out[key])
            row = int(share * image.shape[-1])
            out[key] = rearrange(image[..., row], "1 x y -> 1 y x")
            out["z_index"] = torch.tensor(row)
        return out


class Degraded(RandomizableTransform, MapTransform):
    """Degrade slices as stage 2's conditions are (Listing 1): bicubic S to S/K to S, noise, perhaps blur."""

    def __init__(
        self,
        keys: KeysCollection,
        k: int = 4,
        noise_levels: tuple[int, int] = NOISE_LEVELS,
        blur_share: float = 0.5,
        degradation: Way = "ctgrid",
        allow_missing_keys: bool = False,
    ) -> None:
        """Choose the degradation.

        Args:
            keys: of images (1, S, S) in [-1, 1].
            k: factor by which they are shrunk.
            noise_levels: lowest and highest noise, of 255 gray levels.
            blur_share: share of images that are blurred.
            degradation: ``published`` is that of the published code, see :mod:`ctgrid.data.degrade`: gray becomes
                (3, S, S), each channel with noise of its own.
            allow_missing_keys: leave items without a key as they are.
        """
        MapTransform.__init__(self, keys, allow_missing_keys)
        RandomizableTransform.__init__(self, 1.0)
        look_up(dict.fromkeys(get_args(Way)), degradation, "degradation")
        self.k, self.noise_levels, self.blur_share, self.degradation = k, noise_levels, blur_share, degradation

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Draw for each key and degrade."""
        out = dict(data)
        generator = _generator(self)
        for key in self.key_iterator(out):
            drawn = draw_degradation(generator, self.noise_levels, self.blur_share)
            image = _plain(out[key])
            if self.degradation == "published":
                out[key] = degraded_as_published(image, self.k, drawn)
            else:
                out[key] = degrade(enlarge(downsample(image[None], self.k).clamp(-1, 1), self.k)[0], drawn)
        return out


def from_volume(volume: Volume, name: str) -> MetaTensor:
    """Return a volume as MONAI holds it: (1, x, y, z) float32 HU with its affine and record."""
    image = rearrange(torch.from_numpy(np.ascontiguousarray(volume.hu, dtype=np.float32)), "z y x -> 1 x y z")
    meta = {"filename_or_obj": name, RECORD: json.dumps({**volume.record, "dtype": str(volume.hu.dtype)}, default=str)}
    return MetaTensor(image, affine=torch.tensor(volume.affine.tolist(), dtype=torch.float64), meta=meta)


def to_volume(image: Any) -> Volume:
    """Return a MONAI image (1, x, y, z) in HU as a volume.

    Raises:
        CtgridError: it has no affine, or is not one channel of a 3-D image.
    """
    if not isinstance(image, MetaTensor) or image.ndim != 4 or image.shape[0] != 1:
        raise CtgridError(
            f"expected a MetaTensor (1, x, y, z) in HU, got {type(image).__name__} {tuple(image.shape)}; "
            "load it with LoadVolumed, or LoadImaged and EnsureChannelFirstd"
        )
    record = json.loads(image.meta.get(RECORD, "{}"))
    array = rearrange(image.as_tensor().cpu(), "1 x y z -> z y x").numpy()
    whole = record.pop("dtype", "float32") == "int16" and bool((array == np.rint(array)).all())
    hu = np.ascontiguousarray(array.astype(np.int16) if whole else array.astype(np.float32))
    return Volume(hu, image.affine.cpu().numpy(), record)


def canonical_affine(record: CanonicalRecord) -> np.ndarray:
    """Return the affine (4, 4) of a canonical array, voxel (x, y, z) to RAS+ mm: the scan's, cut and scaled.

    Voxels are cells, not points: voxel i covers [i, i + 1) scale, less the padding before the first.
    """
    x, y = (side / record.size for side in reversed(record.square))
    scale = np.array([x, y, record.shape[0] / record.slices])
    before = np.array([record.pad[1], record.pad[0], 0.0])
    change = np.diag([*scale, 1.0])
    change[:3, 3] = scale / 2 - 0.5 - before
    return np.asarray(record.affine @ change)


def _generator(transform: RandomizableTransform) -> torch.Generator:
    """Return torch's generator for one call, seeded from the transform's own random state."""
    transform.randomize(None)
    return torch.Generator().manual_seed(int(transform.R.randint(0, 2**31)))


def _plain(image: Any) -> Tensor:
    return image.as_tensor() if isinstance(image, MetaTensor) else torch.as_tensor(image)


__all__ = ["Canonicald", "Degraded", "Gridd", "LoadVolumed", "RandSliced", "from_volume", "to_volume"]

"""ctgrid's MONAI transforms: the same numbers as ctgrid's own functions, with affines, inverse and random state."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from ctgrid.base.errors import CtgridError
from ctgrid.scan.grid import downsample, to_grid
from ctgrid.scan.protocols.canonical import to_canonical
from ctgrid.scan.volume import Volume

pytestmark = pytest.mark.skipif(find_spec("monai") is None, reason="monai is not installed")  # seconds of imports


@pytest.fixture
def scan(chest: Callable[..., np.ndarray], oblique_affine: np.ndarray, tmp_path: Path) -> Path:
    """A small oblique chest as NIfTI."""
    return Volume(chest((20, 40, 48)), oblique_affine).write(tmp_path / "scan.nii.gz")


def test_loading_keeps_hu_and_affine(scan: Path) -> None:
    """Channel first, then x, y, z."""
    from ctgrid.data.monai_transforms import LoadVolumed

    image = LoadVolumed("image")({"image": scan})["image"]
    volume = Volume.read(scan)
    assert image.shape == (1, 48, 40, 20)
    assert np.array_equal(image.numpy()[0].transpose(2, 1, 0), volume.hu)
    assert np.allclose(image.affine.numpy(), volume.affine)


def test_canonical_form_is_ctgrids_and_comes_back(
    chest: Callable[..., np.ndarray], oblique_affine: np.ndarray, tmp_path: Path
) -> None:
    """Nothing is resampled at the scan's own size where pixels are square: the inverse is exact but for clipping."""
    from monai.transforms import Compose

    from ctgrid.data.monai_transforms import Canonicald, LoadVolumed

    square = oblique_affine.copy()
    square[:3, 1] *= 0.7 / 0.8
    scan = Volume(chest((20, 40, 48)), square).write(tmp_path / "square.nii.gz")
    pipeline = Compose([LoadVolumed("image"), Canonicald("image", size=48)])
    data = pipeline({"image": scan})
    volume = Volume.read(scan)
    expected, _ = to_canonical(volume, 48)
    image = data["image"]
    assert np.array_equal(image.numpy()[0].transpose(2, 1, 0), expected)
    back = pipeline.transforms[1].inverse(data)["image"]
    assert back.shape == (1, 48, 40, 20) and back.applied_operations == []
    assert np.abs(back.numpy()[0].transpose(2, 1, 0) - np.clip(volume.hu, -1000, 1000)).max() < 0.5
    assert np.allclose(back.affine.numpy(), volume.affine)


@pytest.mark.parametrize(("size", "slices", "fov_mm"), [(48, None, None), (24, 10, None), (32, 7, 25.0)])
def test_the_canonical_affine_keeps_bodies_in_place(
    size: int, slices: int | None, fov_mm: float | None, scan: Path
) -> None:
    """A blob's centre of mass lies at one point in mm, before and after."""
    from ctgrid.data.monai_transforms import Canonicald, from_volume

    affine = Volume.read(scan).affine
    z, y, x = np.indices((20, 40, 48))
    blob = np.exp(-0.5 * (((x - 26) / 3) ** 2 + ((y - 17) / 3) ** 2 + ((z - 9) / 2.5) ** 2))
    volume = Volume((1000 * blob - 1000).astype(np.float32), affine)
    image = Canonicald("image", size, slices, fov_mm)({"image": from_volume(volume, "blob")})["image"]

    def centre(weights: np.ndarray, matrix: np.ndarray) -> np.ndarray:
        voxel = [(axis * weights).sum() / weights.sum() for axis in np.indices(weights.shape)]
        return matrix[:3, :3] @ voxel + matrix[:3, 3]

    was = centre(volume.hu.transpose(2, 1, 0) + 1000, affine)
    now = centre(image.numpy()[0] + 1, image.affine.numpy())
    assert np.abs(was - now).max() < 0.15


def test_grids_slices_and_degradation_follow_the_random_state(scan: Path) -> None:
    """The same state, the same result; the grid holds the slices it names."""
    from ctgrid.data.monai_transforms import Canonicald, Degraded, Gridd, LoadVolumed, RandSliced

    data = Canonicald("image", size=32)(LoadVolumed("image")({"image": scan}))
    slices = torch.as_tensor(data["image"].numpy()[0]).permute(2, 1, 0)[:, None]
    grids = Gridd("image", k=2, strides=(1, 3))
    first = grids.set_random_state(3)(data)
    assert torch.equal(first["image"], grids.set_random_state(3)(data)["image"])
    starts = {int(grids(data)["z_index"][0]) for _ in range(12)}
    assert len(starts) > 3
    expected = to_grid(downsample(slices[first["z_index"]], 2).clamp(-1, 1), 2)[0]
    assert torch.equal(first["image"], expected) and first["image"].shape == (1, 32, 32)
    one = RandSliced("image").set_random_state(1)(data)
    assert torch.equal(one["image"], slices[int(one["z_index"])])
    bad = Degraded("image", k=2).set_random_state(2)
    degraded = bad(one)["image"]
    assert degraded.shape == (1, 32, 32) and not torch.equal(degraded, bad(one)["image"])
    assert torch.equal(degraded, bad.set_random_state(2)(one)["image"])
    published = Degraded("image", k=2, degradation="published").set_random_state(2)(one)["image"]
    assert published.shape == (3, 32, 32) and not torch.equal(published[0], published[1])
    with pytest.raises(CtgridError, match="unknown degradation 'mine'"):
        Degraded("image", degradation="mine")


def test_an_image_that_is_none_of_monais_is_refused() -> None:
    """With the transforms that load one."""
    from ctgrid.data.monai_transforms import Canonicald

    with pytest.raises(CtgridError, match="LoadVolumed"):
        Canonicald("image")({"image": torch.zeros(1, 4, 4, 4)})

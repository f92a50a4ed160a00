"""Volumes as nibabel, SimpleITK and torch hold them: the same values at the same places."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
import torch

from ctgrid import CtgridError, Volume

WAYS: dict[str, Callable[[Volume], Volume]] = {
    "nibabel": lambda volume: Volume.from_nibabel(volume.to_nibabel()),
    "simpleitk": lambda volume: Volume.from_simpleitk(volume.to_simpleitk()),
    "torch": lambda volume: Volume.from_torch(*volume.to_torch()),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_there_and_back_is_exact(chest_volume: Volume, way: str, dtype: str) -> None:
    volume = replace(chest_volume, hu=chest_volume.hu.astype(dtype))
    back = WAYS[way](volume)
    np.testing.assert_array_equal(back.hu, volume.hu)
    np.testing.assert_allclose(back.affine, volume.affine, rtol=0, atol=1e-9)
    assert back.hu.dtype == ("float32" if way == "torch" else dtype)


def test_nibabel_indexes_from_x_in_ras(chest_volume: Volume) -> None:
    image = chest_volume.to_nibabel()
    assert np.asanyarray(image.dataobj)[5, 7, 3] == chest_volume.hu[3, 7, 5]
    place = nibabel.affines.apply_affine(image.affine, (5, 7, 3))
    np.testing.assert_allclose(place, chest_volume.index_to_mm((3, 7, 5)), atol=1e-9)
    assert image.header.get_xyzt_units()[0] == "mm"


def test_simpleitk_places_voxels_in_lps(chest_volume: Volume) -> None:
    image = chest_volume.to_simpleitk()
    assert image.GetPixel(5, 7, 3) == chest_volume.hu[3, 7, 5]
    x, y, z = chest_volume.index_to_mm((3, 7, 5))
    np.testing.assert_allclose(image.TransformIndexToPhysicalPoint((5, 7, 3)), (-x, -y, z), atol=1e-9)


def test_torch_gets_a_copy_with_its_affine(chest_volume: Volume) -> None:
    values, affine = chest_volume.to_torch()
    assert values.shape == (1, *chest_volume.shape)
    assert (values.dtype, affine.dtype) == (torch.float32, torch.float64)
    first = int(chest_volume.hu[0, 0, 0])
    values.add_(1)
    assert chest_volume.hu[0, 0, 0] == first
    assert Volume.from_torch(values[0].to(torch.int16), affine.numpy()).hu[0, 0, 0] == first + 1


def test_scaling_of_nibabel_images_is_applied(chest_volume: Volume, oblique_affine: np.ndarray) -> None:
    image = nibabel.Nifti1Image((chest_volume.hu.transpose(2, 1, 0) + 1024)[..., None].astype(np.int16), oblique_affine)
    image.header.set_slope_inter(1, -1024)
    loaded = nibabel.Nifti1Image.from_bytes(image.to_bytes())
    np.testing.assert_array_equal(Volume.from_nibabel(loaded).hu, image.get_fdata()[..., 0].transpose(2, 1, 0) - 1024)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Volume.from_nibabel(np.zeros((2, 2, 2))), "ndarray is no nibabel image"),
        (lambda: Volume.from_nibabel(nibabel.Nifti1Image(np.zeros((2, 2)), np.eye(4))), "three non-empty dimensions"),
        (lambda: Volume.from_simpleitk(np.zeros((2, 2, 2))), "ndarray is no SimpleITK image"),
        (lambda: Volume.from_simpleitk(sitk.Image([2, 2], sitk.sitkInt16)), "three dimensions"),
        (lambda: Volume.from_simpleitk(sitk.Image([2, 2, 2], sitk.sitkVectorFloat32)), "one real number"),
        (lambda: Volume.from_torch(torch.zeros(2, 2, 2, 2), np.eye(4)), "three non-empty dimensions"),
        (lambda: Volume.from_torch(torch.zeros(2, 2, 2, dtype=torch.bool), np.eye(4)), "real numbers, got bool"),
    ],
)
def test_what_is_no_volume_is_refused(make: Callable[[], Volume], words: str) -> None:
    with pytest.raises(CtgridError, match=words):
        make()


def test_metres_of_a_nibabel_image_are_refused() -> None:
    image = nibabel.Nifti1Image(np.zeros((2, 2, 2), np.int16), np.eye(4))
    image.header.set_xyzt_units("meter")
    with pytest.raises(CtgridError, match=r"in meters; read the file with Volume\.read"):
        Volume.from_nibabel(image)

"""Volumes of a store as training draws them, beside what the store itself reads."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn.functional import interpolate

from ctgrid.data.framing import Pose
from ctgrid.data.stored import CoarseVolumes, StoreSlices, posed, stored_volumes


@pytest.fixture(scope="module")
def volumes(make_store: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> list[StoreSlices]:
    """Two volumes of 20 slices of 64 x 64, coarse 16 x 16."""
    store = make_store(tmp_path_factory.mktemp("store") / "x.zarr", "a", "b", size=64)
    return stored_volumes(store, store.names())


def test_slices_come_in_unit_range(volumes: list[StoreSlices]) -> None:
    """By number, slice or tensor; coarse ones clipped where the reduction overshoots."""
    from ctgrid.data.store import StoredVolume

    volume = volumes[1]
    hu = torch.from_numpy(StoredVolume(volume.folder).read_slices()).float() / 1000
    assert len(volume) == 20 and volume.name == "b" and volume.spacing_mm == (1.5, 3.0, 3.0)
    assert torch.equal(volume.unit(slice(2, 9, 3)), hu[2:9:3])
    assert torch.equal(volume.unit(torch.tensor([4, 4, -1])), hu[[4, 4, -1]])
    assert torch.equal(volume.unit(7), hu[7])
    coarse = torch.from_numpy(StoredVolume(volume.folder).read_coarse()).float() / 1000
    assert torch.equal(volume.coarse(slice(None)), coarse.clamp(-1, 1))
    assert torch.equal(volume.small(3, 16), volume.coarse(3))
    shrunk = interpolate(hu[3][None, None], size=(8, 8), mode="bicubic", antialias=True)[0, 0]
    assert torch.equal(volume.small(3, 8), shrunk.clamp(-1, 1))
    assert torch.equal(pickle.loads(pickle.dumps(volume)).unit(7), hu[7])


def test_the_digest_tells_volumes_and_arrays_apart(volumes: list[StoreSlices]) -> None:
    """It is what a run's data are known by."""
    digests = {v.digest(arrays) for v in volumes for arrays in (("slices",), ("coarse",), ("slices", "coarse"))}
    assert len(digests) == 6 and volumes[0].digest() == volumes[0].digest()


def test_variants_are_fixed_poses_of_a_volume(volumes: list[StoreSlices]) -> None:
    """The first is straight; a pose belongs to its volume, number and seed."""
    straight, varied = CoarseVolumes(volumes), CoarseVolumes(volumes, 3, seed=4)
    index = torch.tensor([2, 5, 11])
    assert (len(straight), len(varied)) == (2, 6) and len(varied[5]) == 20
    assert torch.equal(varied[3][index], straight[1][index])
    assert torch.equal(straight[1][index], volumes[1].coarse(index)[:, None])
    again, other = CoarseVolumes(volumes, 3, seed=4), CoarseVolumes(volumes, 3, seed=5)
    assert torch.equal(varied[4][index], again[4][index])
    different = [varied[4][index], varied[5][index], varied[1][index], other[4][index], straight[1][index]]
    assert all(not torch.equal(a, b) for i, a in enumerate(different) for b in different[:i])
    assert all(v.min() >= -1 and v.max() <= 1 for v in different)
    with pytest.raises(IndexError):
        varied[6]


def test_poses_move_the_body_and_leave_air(volumes: list[StoreSlices]) -> None:
    """None changes nothing; a shift down and right moves the picture so, with air behind it."""
    images = torch.zeros(1, 1, 16, 16)
    assert torch.allclose(posed(images, Pose()), images, atol=1e-6)
    moved = posed(images, Pose(shift=(0.25, 0.125)))[0, 0]
    assert torch.allclose(moved[4:, 2:], torch.zeros(12, 14), atol=1e-5)
    assert torch.allclose(moved[:3], -torch.ones(3, 16), atol=1e-5)
    assert torch.allclose(moved[:, :1], -torch.ones(16, 1), atol=1e-5)

"""Collections: published sizes, clips that cannot be used, and grids as a function of seed, epoch and number."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ctgrid.base.errors import CtgridError
from ctgrid.data.video import Minecraft, SkyTimelapse, Taichi, VideoFolder, VideoGrids
from ctgrid.scan.grid import from_grid


@pytest.fixture(scope="module")
def sky(tmp_path_factory: pytest.TempPathFactory, write_clip: Callable[..., Path]) -> Path:
    """Three good clips, one too short, one that is no video; one to test with."""
    root = tmp_path_factory.mktemp("sky")
    for i in range(2):
        write_clip(root / "sky_train" / "long" / f"clip{i}", 20 + i, i)
    write_clip(root / "sky_train" / "film.mp4", 24, 2)
    write_clip(root / "sky_train" / "short", 9)
    (root / "sky_train" / "bad.mp4").write_text("no film")
    write_clip(root / "sky_test" / "clip", 16)
    return root


@pytest.mark.parametrize(("kind", "size"), [(SkyTimelapse, 256), (Taichi, 256), (Minecraft, 128)])
def test_published_sizes_and_cells(
    kind: type[VideoFolder], size: int, tmp_path: Path, write_clip: Callable[..., Path]
) -> None:
    """K = 4: cells of 64, 64 and 32 pixels."""
    write_clip(tmp_path / "train" / "clip", 16)
    (clip,) = kind(tmp_path)
    assert clip.images(0).shape == (1, 3, size, size)
    assert clip.coarse(0).shape == (1, 3, size // 4, size // 4)


def test_clips_that_cannot_be_used_are_skipped_with_a_reason(sky: Path) -> None:
    """The others are there, sorted."""
    folder = SkyTimelapse(sky, size=32)
    assert [clip.name for clip in folder] == ["film", "long__clip0", "long__clip1"]
    assert [len(clip) for clip in folder] == [24, 20, 21]
    assert set(folder.skipped) == {"bad", "short"}
    assert "too short, 9 frames where 16 are needed" in folder.skipped["short"]
    assert "bad.mp4: cannot be read as a video" in folder.skipped["bad"]
    assert [clip.name for clip in SkyTimelapse(sky, "test", size=32)] == ["clip"]
    assert len(SkyTimelapse(sky, size=32, k=2)) == 4  # nine frames fill a grid of four


def test_nothing_usable_is_refused(sky: Path) -> None:
    """With the first reason."""
    with pytest.raises(CtgridError, match=r"none of 5 clips is usable; bad: .*cannot be read"):
        SkyTimelapse(sky, size=32, frame_stride=4)
    with pytest.raises(CtgridError, match="multiple of k"):
        SkyTimelapse(sky, size=30)


def test_grids_hold_consecutive_frames_in_order(sky: Path) -> None:
    """Cell after cell is the clip's frame of that number, mirrored or not; nothing but seed, epoch, index counts."""
    folder = SkyTimelapse(sky, size=32)
    grids = VideoGrids(folder, mirror=True, seed=3)
    assert len(grids) == 6
    by_name = {clip.name: clip for clip in folder}
    seen = set()
    for item in grids:  # type: ignore[attr-defined]
        assert torch.equal(item["z_index"], item["z_index"][0] + torch.arange(16))
        cells = from_grid(item["grid"][None], 4)
        expected = by_name[item["name"]].coarse(item["z_index"])
        torch.testing.assert_close(cells, expected.flip(-1) if item["mirrored"] else expected)
        seen.add((item["name"], item["mirrored"]))
    assert len(seen) == 6
    again = VideoGrids(folder, mirror=True, seed=3)
    assert torch.equal(again[4]["grid"], grids[4]["grid"])
    starts = [int(grids[0]["z_index"][0])]
    for epoch in range(1, 6):
        grids.set_epoch(epoch)
        starts.append(int(grids[0]["z_index"][0]))
    assert len(set(starts)) > 1


def test_workers_read_the_same(sky: Path) -> None:
    """Clips travel to other processes."""
    import pickle

    grids = VideoGrids(SkyTimelapse(sky, size=32, gray=True))
    copy = pickle.loads(pickle.dumps(grids))
    assert torch.equal(copy[1]["grid"], grids[1]["grid"]) and copy[1]["grid"].shape == (1, 32, 32)


def test_grids_refuse_what_cannot_be_drawn(sky: Path) -> None:
    """Strides below one, and no clips."""
    with pytest.raises(CtgridError, match="at least 1"):
        VideoGrids(SkyTimelapse(sky, size=32), strides=(0,))
    with pytest.raises(CtgridError, match="some clip"):
        VideoGrids([])

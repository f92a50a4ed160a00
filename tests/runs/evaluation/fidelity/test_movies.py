"""Clips to be measured: found, named by their content, read one at a time, compared frame by frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.data.video.layouts import FOLDER
from ctgrid.data.video.read import open_frames
from ctgrid.runs.evaluation.fidelity.movies import content_of, fits_pairwise, open_movies, square_frames
from ctgrid.runs.evaluation.lost import Lost


def clip(folder: Path, count: int = 3, shade: int = 0) -> Path:
    """Write a folder of frames, twice as wide as high, brighter from frame to frame."""
    folder.mkdir(parents=True)
    for number in range(count):
        frame = np.full((8, 16, 3), shade + 10 * number, np.uint8)
        frame[:, :4] = frame[:, -4:] = 255
        PIL.Image.fromarray(frame).save(folder / f"{number:03}.png")
    return folder


def test_frames_are_middle_squares_of_the_size(tmp_path: Path) -> None:
    frames = square_frames(open_frames(clip(tmp_path / "a")), 4)
    assert frames.shape == (3, 4, 4, 3) and frames.dtype == np.uint8
    for number, frame in enumerate(frames):
        assert (frame == 10 * number).all(), "the bright sides are cut off"


def test_content_is_known_whatever_it_is_called(tmp_path: Path) -> None:
    one, same, other = (
        open_frames(clip(tmp_path / name, shade=shade)) for name, shade in (("a", 0), ("b", 0), ("c", 1))
    )
    assert content_of(one) == content_of(same) != content_of(other)


def test_a_folder_of_clips_is_listed_by_name(tmp_path: Path) -> None:
    """One that cannot be read is named; two are the least that make a distribution."""
    for name in ("b", "a"):
        clip(tmp_path / "in" / name, shade=ord(name) - 97)
    lost = Lost()
    found = open_movies(tmp_path / "in", FOLDER, None, lost)
    assert [sample.name for sample in found] == ["a", "b"] and lost.lines == []
    assert found[0].frames(4).shape == (3, 4, 4, 3) and found[0].digest != found[1].digest
    with pytest.raises(CtgridError):
        open_movies(tmp_path / "none", FOLDER, None, lost)


def test_pairs_are_compared_over_the_frames_that_both_have() -> None:
    """PSNR of an even error by its formula, mean over frames; the same frames are alike."""
    real = np.random.default_rng(0).integers(20, 200, (3, 16, 16, 3)).astype(np.uint8)
    fake = real[:2].copy()
    fake[0] += 5
    fake[1] += 10
    psnr, ssim = fits_pairwise(real, fake)
    assert psnr == pytest.approx(np.mean([20 * np.log10(255 / error) for error in (5, 10)]), abs=1e-6)
    assert 0.8 < ssim < 1 and fits_pairwise(real, real)[1] == pytest.approx(1)

"""Clips as training sees them: squares of one size, in order, coarse versions, and mirrored cell by cell."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ctgrid.data.video.clips import LUMA, Clip, CoarseClips, fit
from ctgrid.data.video.read import open_frames
from ctgrid.scan.grid import downsample, from_grid, to_grid


@pytest.fixture
def clip(tmp_path: Path, write_clip: Callable[..., Path]) -> Clip:
    """Twenty frames of 32 x 48, taken at 32 x 32."""
    return Clip("clip", open_frames(write_clip(tmp_path / "clip", 20)), size=32, count=20)


def test_the_middle_square_is_cut_out() -> None:
    """Wide and tall frames; at its own size nothing is resampled."""
    frame = np.zeros((4, 8, 3), np.uint8)
    frame[:, 2:6] = np.arange(4)[:, None, None] * 85
    for one, turned in ((frame, False), (frame.transpose(1, 0, 2), True)):
        image = fit(one, 4)
        assert image.shape == (3, 4, 4) and image.dtype == torch.float32
        rows = image[0].T if turned else image[0]
        assert torch.allclose(rows[:, 0], torch.tensor([-1.0, -1 / 3, 1 / 3, 1.0]), atol=1e-6)
        assert torch.equal(rows, rows[:, :1].expand(4, 4))


def test_shrinking_is_antialiased() -> None:
    """Stripes a pixel wide become gray, not stripes of chance."""
    frame = np.zeros((32, 32, 3), np.uint8)
    frame[:, ::2] = 255
    assert fit(frame, 8)[..., 1:-1].abs().max() < 0.05  # borders aside


def test_gray_is_luma() -> None:
    """The weights of the standard, before anything is resampled."""
    frame = np.full((8, 8, 3), (200, 100, 50), np.uint8)
    value = sum(w * v for w, v in zip(LUMA, (200, 100, 50), strict=True))
    gray = fit(frame, 4, gray=True)
    assert gray.shape == (1, 4, 4)
    assert gray.mean() == pytest.approx(value / 127.5 - 1, abs=1e-5)
    assert sum(LUMA) == pytest.approx(1)


def test_frames_come_in_the_order_asked_for(clip: Clip, square: Callable[..., list[np.ndarray]]) -> None:
    """Repeats too."""
    images = clip.images(torch.tensor([7, 2, 7]))
    assert images.shape == (3, 3, 32, 32)
    for image, number in zip(images, (7, 2, 7), strict=True):
        assert torch.equal(image, fit(square(20)[number], 32))


def test_coarse_frames_are_the_frames_shrunk(clip: Clip) -> None:
    """As stage 2 sees them."""
    index = torch.arange(4)
    assert torch.equal(clip.coarse(index), downsample(clip.images(index), 4).clamp(-1, 1))
    assert clip.coarse(index).shape == (4, 3, 8, 8)


def test_a_stride_takes_every_nth_frame(clip: Clip) -> None:
    """And pieces go on where the one before ends."""
    from dataclasses import replace

    strided = replace(clip, frame_stride=3, count=7)
    assert torch.equal(strided.images(torch.tensor([0, 2])), clip.images(torch.tensor([0, 6])))
    pieces = strided.pieces(3)
    assert [(p.first, len(p)) for p in pieces] == [(0, 3), (3, 3)]
    assert torch.equal(pieces[1].images(slice(None)), clip.images(torch.tensor([9, 12, 15])))


def test_gray_clips_are_slice_sources(clip: Clip) -> None:
    """The codec's task draws from them as from CT."""
    from dataclasses import replace

    gray = replace(clip, gray=True)
    assert gray.unit(3).shape == (32, 32) and gray.unit(slice(0, 2)).shape == (2, 32, 32)
    assert gray.small(3, 8).shape == (8, 8) and clip.small(3, 8).shape == (3, 8, 8)
    assert clip.unit(3).shape == (3, 32, 32)
    assert torch.allclose(gray.small(3, 8), gray.coarse(3)[0, 0], atol=1e-6)


def test_mirroring_flips_every_cell_in_itself(clip: Clip) -> None:
    """The order of the frames stays; a flip of the whole grid would reverse it in every row."""
    views = CoarseClips([clip], mirror=True)
    assert len(views) == 2 and len(CoarseClips([clip])) == 1
    index = torch.arange(16)
    straight, mirrored = (to_grid(views[i][index], 4) for i in range(2))
    assert not torch.equal(straight, mirrored)
    torch.testing.assert_close(from_grid(mirrored, 4), from_grid(straight, 4).flip(-1))
    assert not torch.equal(mirrored, straight.flip(-1))
    assert [v.mirrored for v in (views.clip(0), views.clip(1))] == [False, True]
    with pytest.raises(IndexError):
        views[2]


def test_the_digest_says_what_is_taken(clip: Clip) -> None:
    """The same files in gray are other data."""
    from dataclasses import replace

    digests = {replace(clip, **change).digest() for change in ({}, {"gray": True}, {"size": 64}, {"frame_stride": 2})}
    assert len(digests) == 4

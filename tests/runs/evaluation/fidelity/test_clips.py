"""Which slices make a clip, and how HU become grey levels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ctgrid.base.errors import CtgridError
from ctgrid.runs.evaluation.fidelity.clips import clip_indices, to_uint8
from ctgrid.runs.evaluation.fidelity.protocol import GrayWindow

DIGESTS = [f"{i:064x}"[::-1] for i in range(1, 400)]


def test_random_clips_fit_and_reach_every_place() -> None:
    starts = {int(clip_indices(20, 16, digest=d)[0, 0]) for d in DIGESTS}
    assert starts == {0, 1, 2, 3, 4}
    clip = clip_indices(20, 16, digest=DIGESTS[0])[0]
    np.testing.assert_array_equal(np.diff(clip), 1)


def test_strided_clips_start_where_the_published_code_lets_them() -> None:
    """random.randint(0, n - frames * stride + stride - 1), both ends included."""
    starts = {int(clip_indices(40, 9, 4, digest=d)[0, 0]) for d in DIGESTS}
    assert starts == set(range(40 - 36 + 4))
    assert clip_indices(40, 9, 4, digest=DIGESTS[0]).max() < 40


def test_draws_depend_on_content_seed_length_and_number_alone() -> None:
    first = clip_indices(200, 16, digest=DIGESTS[0], count=3, seed=1)
    np.testing.assert_array_equal(first, clip_indices(200, 16, digest=DIGESTS[0], count=3, seed=1))
    np.testing.assert_array_equal(first[:1], clip_indices(200, 16, digest=DIGESTS[0], count=1, seed=1))
    assert len(set(first[:, 0].tolist())) == 3
    others = [clip_indices(200, 16, digest=DIGESTS[1], seed=1), clip_indices(200, 16, digest=DIGESTS[0], seed=2)]
    assert all(other[0, 0] != first[0, 0] for other in others)


def test_a_whole_volume_has_one_clip_whatever_the_offset() -> None:
    for offset in ("random", "start"):
        np.testing.assert_array_equal(clip_indices(201, 201, offset=offset, digest="ff", count=4), [np.arange(201)])


def test_clips_of_a_volume_start_at_different_places() -> None:
    starts = clip_indices(20, 16, digest=DIGESTS[0], count=9)[:, 0]
    assert sorted(starts.tolist()) == [0, 1, 2, 3, 4]


def test_from_the_start() -> None:
    np.testing.assert_array_equal(clip_indices(50, 4, offset="start"), [[0, 1, 2, 3]])


def test_short_volumes() -> None:
    np.testing.assert_array_equal(clip_indices(3, 7, count=5), [[0, 1, 2, 0, 1, 2, 0]])
    assert clip_indices(3, 7, too_short="discard").shape == (0, 7)
    with pytest.raises(CtgridError, match="3 slices, a clip needs 7"):
        clip_indices(3, 7, too_short="refuse")


def test_uint8_is_the_published_codes_map_of_generated_frames() -> None:
    hu = np.arange(-1000, 1001, dtype=np.int16)
    x = torch.from_numpy(hu).double() / 1000
    expected = (x * 127.5 + 128).add(1e-9).clamp(0, 255).to(torch.uint8).numpy()  # but for rounding of x itself
    found = to_uint8(hu, GrayWindow(low_hu=-1000, high_hu=1000, rounding="floor-127.5x-plus-128"))
    np.testing.assert_array_equal(found, expected)
    assert (found[0], found[1000], found[-1]) == (0, 128, 255)
    assert to_uint8(np.array([400]), GrayWindow(low_hu=-1000, high_hu=1000, rounding="floor-127.5x-plus-128"))[0] == 179


def test_windows_clip_and_may_truncate() -> None:
    lung = GrayWindow(low_hu=-1000, high_hu=0, rounding="floor-127.5x-plus-127.5")
    np.testing.assert_array_equal(to_uint8(np.array([-2000, -1000, -500, -1, 0, 9]), lung), [0, 0, 127, 254, 255, 255])

"""Animated images: equal neighbours are stored once and shown as long as the timing says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ctgrid.base.errors import CtgridError
from ctgrid.data.video.animations import MOST_SHOWN, is_animated, shown
from ctgrid.data.video.layouts import find_clips
from ctgrid.data.video.read import open_frames
from ctgrid.data.video.write import write_video

ORDER = (0, 0, 1, 1, 1, 2, 3, 3, 4, 0)


def shades(count: int = 5) -> list[np.ndarray]:
    """Return flat frames (16, 16, 3), all different."""
    return [np.full((16, 16, 3), 50 * i, np.uint8) for i in range(count)]


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
@pytest.mark.parametrize("order", [ORDER, range(5)], ids=["equal-neighbours", "all-differ"])
def test_frames_come_back_as_often_as_they_were_written(suffix: str, order: tuple[int, ...], tmp_path: Path) -> None:
    """At a rate that is no whole number of centiseconds; any frame alone as in a run through all."""
    path = tmp_path / f"a{suffix}"
    write_video([shades()[i] for i in order], path, fps=16)
    reader = open_frames(path)
    frames = dict(reader.read(range(len(reader))))
    assert [round(float(frames[i].mean()) / 50) for i in range(len(reader))] == list(order)
    for number in (0, len(order) // 2, len(order) - 1):
        assert np.array_equal(dict(reader.read([number]))[number], frames[number])


def test_times_count_by_the_shortest(tmp_path: Path) -> None:
    """28 frames a second are 3 and 4 centiseconds in turn: one frame each; a frame without a time counts once."""
    path = tmp_path / "a.gif"
    assert shown(path, [3, 4, 3, 4]) == (0, 1, 2, 3)
    assert shown(path, [6, 12, 18]) == (0, 1, 1, 2, 2, 2)
    assert shown(path, [0, 0]) == (0, 1)
    with pytest.raises(CtgridError, match=rf"shows {MOST_SHOWN + 1} frames.*convert it to mp4"):
        shown(path, [1, MOST_SHOWN])


def test_timing_tells_files_apart(tmp_path: Path) -> None:
    """The same pictures for another time are another clip."""
    digests = set()
    for name, order in (("a.gif", ORDER), ("b.gif", (*ORDER, 0))):
        write_video([shades()[i] for i in order], tmp_path / name)
        digests.add(open_frames(tmp_path / name).digest())
    assert len(digests) == 2


def test_an_animated_webp_is_a_clip_and_a_still_one_a_frame(tmp_path: Path) -> None:
    """Side by side in a folder: two clips, the stills being the frames of the second."""
    (tmp_path / "x").mkdir()
    write_video([shades()[i] for i in ORDER], tmp_path / "x" / "moves.webp")
    for i in range(3):
        Image.fromarray(shades()[i]).save(tmp_path / "x" / f"{i}.webp")
    assert is_animated(tmp_path / "x" / "moves.webp") and not is_animated(tmp_path / "x" / "0.webp")
    assert {clip.name: len(open_frames(clip.path)) for clip in find_clips(tmp_path)} == {"x": 3, "x__moves": 10}


def test_a_broken_webp_is_one_line(tmp_path: Path) -> None:
    """Cut off, or damaged inside a frame."""
    path = tmp_path / "a.webp"
    write_video([np.random.default_rng(i).integers(0, 255, (16, 16), np.uint8) for i in range(3)], path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CtgridError, match=r"a\.webp: cut off, .* bytes of at least"):
        open_frames(path)
    path.write_bytes(whole[:110] + bytes(len(whole) - 110 - 40) + whole[-40:])
    with pytest.raises(CtgridError, match=r"a\.webp: (cannot be decoded|holds no frame)") as caught:
        reader = open_frames(path)
        list(reader.read(range(len(reader))))
    assert "\n" not in str(caught.value)

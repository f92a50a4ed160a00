"""Movies: what is written reads back, sizes are even, and nothing half-written is left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from ctgrid.base.errors import CtgridError
from ctgrid.data.video.read import FrameFolder
from ctgrid.data.video.write import open_movie, write_video

Frames = list[np.ndarray]


def read(path: Path) -> Frames:
    """Decode all frames."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_an_mp4_reads_back(tmp_path: Path, square: Callable[..., Frames]) -> None:
    """Number, size, order, rate and pixel format; close to what was given."""
    frames = square(21)
    assert write_video(iter(frames), tmp_path / "a.mp4", fps=12.5) == (21, 32, 48)
    back = read(tmp_path / "a.mp4")
    assert len(back) == 21 and back[0].shape == (32, 48, 3)
    assert max(np.abs(a.astype(int) - b).mean() for a, b in zip(back, frames, strict=True)) < 4
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert (float(stream.average_rate), stream.pix_fmt) == (12.5, "yuv420p")


def test_gray_frames_of_odd_size(tmp_path: Path) -> None:
    """The last row and column are repeated; gray has no colour."""
    frames = [np.full((7, 9), 40 * i, np.uint8) for i in range(4)]
    assert write_video(frames, tmp_path / "a.mp4") == (4, 8, 10)
    back = read(tmp_path / "a.mp4")
    assert [f.shape for f in back] == [(8, 10, 3)] * 4
    assert [round(float(f.mean()) / 40) for f in back] == [0, 1, 2, 3]
    assert max(np.ptp(f.astype(int), axis=2).max() for f in back) <= 3


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_animations(tmp_path: Path, square: Callable[..., Frames], suffix: str) -> None:
    """Through Pillow, at the size given."""
    path = tmp_path / f"a{suffix}"
    assert write_video(square(5), path, fps=20) == (5, 32, 48)
    with Image.open(path) as image:
        assert (image.n_frames, image.size) == (5, (48, 32))  # type: ignore[attr-defined]


def test_equal_frames_give_equal_bytes(tmp_path: Path, square: Callable[..., Frames]) -> None:
    """So that a seed stands for a file."""
    for name in ("a.mp4", "b.mp4"):
        write_video(square(10), tmp_path / name)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


@pytest.mark.parametrize(
    ("name", "frames", "words"),
    [
        ("a.avi", [np.zeros((8, 8), np.uint8)], "must end in .mp4 or .gif or .webp"),
        ("a.mp4", [], "at least one frame"),
        ("a.mp4", [np.zeros((8, 8))], "frames are uint8"),
        ("a.mp4", [np.zeros((8, 8, 4), np.uint8)], "frames are uint8"),
        ("a.mp4", [np.zeros((8, 8), np.uint8), np.zeros((8, 6), np.uint8)], "differ in shape"),
        ("none/a.mp4", [np.zeros((8, 8), np.uint8)], "does not exist"),
    ],
)
def test_what_cannot_be_written_leaves_nothing(name: str, frames: Frames, words: str, tmp_path: Path) -> None:
    """One line, no file."""
    with pytest.raises(CtgridError, match=words):
        write_video(frames, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_frames(tmp_path: Path, square: Callable[..., Frames]) -> None:
    """Every pixel kept, in order; whole or not at all; nothing but frames is replaced."""
    frames, folder = square(5), tmp_path / "clip"
    assert write_video(frames, folder) == (5, 32, 48)
    back = FrameFolder.open(folder)
    assert all(np.array_equal(frame, frames[number]) for number, frame in back.read(range(5)))
    with pytest.raises(CtgridError, match="--overwrite"):
        write_video(frames, folder)

    def broken() -> Iterator[np.ndarray]:
        yield from square(2)
        raise CtgridError("no more")

    with pytest.raises(CtgridError, match="no more"):
        write_video(broken(), folder, overwrite=True)
    assert len(FrameFolder.open(folder)) == 5
    write_video(frames[:3], folder, overwrite=True)
    assert sorted(p.name for p in folder.iterdir()) == ["000000.png", "000001.png", "000002.png"]
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(CtgridError, match=r"holds notes\.txt, so it is no folder of frames"):
        write_video(frames, folder, overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["clip"]


def test_an_interrupted_movie_leaves_what_was_there(tmp_path: Path, square: Callable[..., Frames]) -> None:
    """Frame by frame, until something happens; and nothing is overwritten unasked."""
    path = tmp_path / "a.mp4"
    path.write_bytes(b"before")

    def broken() -> Iterator[np.ndarray]:
        yield from square(9)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_video(broken(), path, overwrite=True)
    with pytest.raises(CtgridError, match="--overwrite"):
        write_video(square(2), path)
    with pytest.raises(CtgridError, match="fps"), open_movie(path, fps=0, overwrite=True):
        pass
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"] and path.read_bytes() == b"before"

"""Finished frames as a movie: mp4 through PyAV, animated gif or webp through Pillow; or as a folder of PNG images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from ctgrid.base.errors import CtgridError
from ctgrid.base.extras import require
from ctgrid.base.files import atomic_folder, atomic_output, check_output, full_suffix
from ctgrid.base.usual import MOST_FPS

VIDEO_SUFFIXES = (".mp4", ".gif", ".webp")

FRAMES = ""
"""What the name of a folder of frames ends in: nothing."""

FRAME_NAME = "{:06d}.png"

MILLISECONDS = 1000
QUALITY = "12"
"""x264's constant rate factor: finer than what is seen, and a tenth of the frames' bytes."""


class Movie:
    """A movie that takes frames one after the other; see :func:`open_movie`.

    Attributes:
        count: frames so far.
        shape: height and width of the movie; None before the first frame.
    """

    def __init__(self, path: Path, fps: float, suffix: str) -> None:
        """Write to ``path``, a file or a new folder, as the suffix says."""
        self.path, self.fps, self.suffix = path, fps, suffix
        self.count, self.shape = 0, None  # type: tuple[int, tuple[int, int] | None]
        self._frame_shape: tuple[int, ...] | None = None
        self._encoder: _Mp4 | _Animation | _Frames | None = None

    def add(self, frame: np.ndarray) -> None:
        """Append a frame, uint8 (H, W) or (H, W, 3).

        Raises:
            CtgridError: for another type, or a shape that differs from the first one's.
        """
        if frame.dtype != np.uint8 or frame.ndim not in (2, 3) or frame.shape[2:] not in ((), (3,)):
            raise CtgridError(f"frames are uint8 (H, W) or (H, W, 3), got {frame.dtype} of shape {frame.shape}")
        if self._frame_shape not in (None, frame.shape):
            raise CtgridError(f"frames differ in shape: {self._frame_shape}, then {frame.shape}; resize them first")
        self._frame_shape = frame.shape
        colour = np.repeat(frame[..., None], 3, axis=2) if frame.ndim == 2 else np.ascontiguousarray(frame)
        if self._encoder is None:
            self._encoder = ENCODERS[self.suffix](self.path, self.fps, *colour.shape[:2])
            self.shape = self._encoder.shape
        self._encoder.add(colour)
        self.count += 1

    def close(self, failed: bool = False) -> None:
        """Finish the file, or after a failure only let go of it."""
        if self._encoder is not None:
            self._encoder.close(failed)


@contextmanager
def open_movie(path: str | Path, *, fps: float = 16.0, overwrite: bool = False) -> Iterator[Movie]:
    """Open a movie to add frames to; half a file, or folder, is never seen.

    A name without a suffix is a folder of PNG images, ``000000.png`` and so on, which keep every pixel. An mp4 is H.264
    in yuv420p, which every player shows: it needs even sides, so an odd one gets its last row or column twice.

    Args:
        path: ends in .mp4, .gif or .webp, or in no suffix.
        fps: frames per second; a folder of images has none.
        overwrite: replace what is there; of folders only one of frames.

    Yields:
        The movie, which takes frames.

    Raises:
        CtgridError: for no frame, another suffix, or a path that cannot be written.
    """
    path = check_movie(path, fps=fps, overwrite=overwrite)
    suffix = full_suffix(path)
    with atomic_folder(path) if suffix == FRAMES else atomic_output(path, overwrite) as temporary:
        movie = Movie(temporary, fps, suffix)
        try:
            yield movie
        except BaseException:
            movie.close(failed=True)
            raise
        if not movie.count:
            raise CtgridError(f"cannot write {path}: a movie needs at least one frame")
        movie.close()


def check_movie(path: str | Path, *, fps: float = 16.0, overwrite: bool = False) -> Path:
    """Make sure that a movie can be written, before any long work starts.

    Raises:
        CtgridError: for another suffix, a rate that is none, or a path that cannot be written.
    """
    path = Path(path)
    if full_suffix(path) not in (*VIDEO_SUFFIXES, FRAMES):
        raise CtgridError(
            f"cannot write {path}: a movie must end in {' or '.join(VIDEO_SUFFIXES)}; a name without an ending is a "
            "folder of PNG frames"
        )
    if not 0 < fps <= MOST_FPS:
        raise CtgridError(f"fps must lie above 0 and at most {MOST_FPS}, got {fps:g}")
    if full_suffix(path) == ".mp4":
        require("av")
    if full_suffix(path) == FRAMES and path.is_dir():
        there = [file.name for file in path.iterdir()]
        foreign = [name for name in there if not name.endswith(".png")]
        if foreign:
            raise CtgridError(f"{path} holds {foreign[0]}, so it is no folder of frames; choose another --out")
        if there and not overwrite:
            raise CtgridError(f"{path} exists; pass --overwrite to replace it")
        return path
    return check_output(path, overwrite)


def write_video(
    frames: Iterable[np.ndarray], path: str | Path, *, fps: float = 16.0, overwrite: bool = False
) -> tuple[int, int, int]:
    """Write frames, one after the other, as :func:`open_movie` does.

    Args:
        frames: uint8 (H, W) or (H, W, 3), all of one shape.
        path: see :func:`open_movie`; likewise the others.
        fps: frames per second.
        overwrite: replace what is there.

    Returns:
        Frames written, height and width of the movie.

    Raises:
        CtgridError: for no frame, frames of other types or shapes, another suffix, or a path that cannot be written.
    """
    with open_movie(path, fps=fps, overwrite=overwrite) as movie:
        for frame in frames:
            movie.add(frame)
    assert movie.shape is not None
    return movie.count, *movie.shape


class _Mp4:
    """H.264, or MPEG-4 part 2 where x264 is missing; one thread, so that equal frames give equal bytes."""

    def __init__(self, path: Path, fps: float, height: int, width: int) -> None:
        av = require("av")

        self.shape = (height + height % 2, width + width % 2)
        self._pad = ((0, height % 2), (0, width % 2), (0, 0))
        x264 = "libx264" in av.codecs_available
        self._container = av.open(str(path), "w")
        self._stream: Any = self._container.add_stream(
            "libx264" if x264 else "mpeg4",
            rate=Fraction(fps).limit_denominator(MOST_FPS),
            options={"crf": QUALITY, "threads": "1"} if x264 else {"qscale": "2"},
        )
        self._stream.height, self._stream.width = self.shape
        self._stream.pix_fmt = "yuv420p"

    def add(self, frame: np.ndarray) -> None:
        av = require("av")

        even = np.pad(frame, self._pad, mode="edge")
        self._container.mux(self._stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")))

    def close(self, failed: bool) -> None:
        if not failed:
            self._container.mux(self._stream.encode())
        self._container.close()


class _Frames:
    """A folder of PNG images, which are written as they come."""

    def __init__(self, path: Path, fps: float, height: int, width: int) -> None:
        self.shape = (height, width)
        self._path, self._count = path, 0

    def add(self, frame: np.ndarray) -> None:
        from PIL import Image

        Image.fromarray(frame).save(self._path / FRAME_NAME.format(self._count))
        self._count += 1

    def close(self, failed: bool) -> None:
        """Every frame is written already."""


class _Animation:
    """A gif or webp: its frames are held until the end."""

    def __init__(self, path: Path, fps: float, height: int, width: int) -> None:
        self.shape = (height, width)
        self._path, self._milliseconds = path, max(1, round(MILLISECONDS / fps))
        self._images: list[Any] = []

    def add(self, frame: np.ndarray) -> None:
        from PIL import Image

        self._images.append(Image.fromarray(frame))

    def close(self, failed: bool) -> None:
        if not failed:
            first, *others = self._images
            first.save(self._path, save_all=True, append_images=others, duration=self._milliseconds, loop=0, quality=90)


ENCODERS: dict[str, type[_Mp4 | _Animation | _Frames]] = {
    ".mp4": _Mp4,
    ".gif": _Animation,
    ".webp": _Animation,
    FRAMES: _Frames,
}
"""By the suffix of what is written."""

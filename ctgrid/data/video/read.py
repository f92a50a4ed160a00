"""Frames of one clip by their numbers: from a folder of images, or from a video file through PyAV."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np

from ctgrid.base.errors import CtgridError
from ctgrid.base.extras import require
from ctgrid.base.limits import check_bytes, max_bytes
from ctgrid.data.video.animations import Timed, Webp, is_animated, shown
from ctgrid.data.video.layouts import FRAME_SUFFIXES, natural
from ctgrid.data.video.reader import FrameReader
from ctgrid.data.video.whole import cut_at

CLIPS_REMEMBERED = 4096
"""Video files whose frames' times are kept in memory."""

_ONLY = {"protocol_whitelist": "file", "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,avi,matroska,webm,gif"}
"""Containers that hold their frames themselves: no play list, which may name any file, whatever its suffix."""


_PIXEL_BYTES = 32
"""What a pixel takes while its frame is decoded: as RGB, as the stream holds it, and in frames that it refers to."""


def open_frames(path: str | Path) -> FrameReader:
    """Open a video file or a folder of frames, reading no more than a header.

    Raises:
        CtgridError: where it cannot be read, is cut off, or holds no frame.
    """
    path = Path(path)
    if path.is_dir():
        return FrameFolder.open(path)
    if is_animated(path):
        webp = Webp.open(path)
        return Timed(webp, shown(path, webp.delays))
    file = VideoFile.open(path)
    numbers = shown(path, gif_delays(path)) if _is_gif(path) else ()
    return Timed(file, numbers) if len(numbers) > len(file) else file


@dataclass(frozen=True)
class FrameFolder:
    """A folder of images, ordered by the numbers in their names."""

    path: Path
    names: tuple[str, ...]

    @classmethod
    def open(cls, path: Path) -> FrameFolder:
        """List the frames.

        Raises:
            CtgridError: where there is none, one is empty, or the first is no image.
        """
        files = [p for p in path.iterdir() if p.name.lower().endswith(FRAME_SUFFIXES) and not p.name.startswith(".")]
        files = [p for p in files if not is_animated(p)]  # a clip of its own
        if not files:
            raise CtgridError(f"{path}: holds no frame; expected {', '.join(FRAME_SUFFIXES)} files")
        for file in files:
            if not file.stat().st_size:
                raise CtgridError(f"{file}: an empty file; fetch the clip again")
        folder = cls(path, tuple(sorted((file.name for file in files), key=natural)))
        next(folder.read([0]))
        return folder

    def __len__(self) -> int:
        return len(self.names)

    def read(self, numbers: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
        """Decode the chosen images."""
        from PIL import Image

        for number in sorted(set(numbers)):
            file = self.path / self.names[number]
            try:
                with Image.open(file) as image:
                    yield number, _colours(image)
            except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
                raise CtgridError(f"{file}: cannot be read as a frame: {_line(error)}") from error

    def digest(self) -> str:
        """Hash the frames' names and sizes."""
        return sha256(repr([(n, (self.path / n).stat().st_size) for n in self.names]).encode()).hexdigest()


def _colours(image: Any) -> np.ndarray:
    """Return an image of Pillow as (H, W, 3) uint8; the upper 8 of 16 bits, which ``convert`` would cut off at 255."""
    if not image.mode.startswith("I"):
        return np.asarray(image.convert("RGB"))
    gray = (np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)
    return np.repeat(gray[..., None], 3, axis=-1)


@dataclass(frozen=True)
class VideoFile:
    """A video file."""

    path: Path
    count: int

    @classmethod
    def open(cls, path: Path) -> VideoFile:
        """Read the header, or all packets where it does not tell how many frames there are.

        Raises:
            CtgridError: where the file is no video, has no frame or ends before its last one.
        """
        size = path.stat().st_size if path.is_file() else 0
        if not size:
            raise CtgridError(f"{path}: {'an empty file' if path.exists() else 'no such file'}; fetch the clip again")
        if (needed := cut_at(path)) is not None:
            raise CtgridError(f"{path}: cut off, {size} bytes of at least {needed}; fetch the clip again")
        with _opened(path) as container:
            stream = container.streams.video[0]
            entries = stream.index_entries if hasattr(stream, "index_entries") else ()
            count, listed = int(stream.frames), len(entries)
            end = entries[listed - 1].pos + entries[listed - 1].size if listed else 0
            if listed == count:  # an edit list may leave out frames at both ends
                ends = (range(listed), range(listed - 1, -1, -1))
                count -= sum(sum(1 for _ in takewhile(lambda i: entries[i].is_discard, way)) for way in ends)
        if end > size:
            raise CtgridError(f"{path}: cut off, {size} bytes of at least {end}; fetch the clip again")
        count = count if count > 0 else len(frame_times(path))
        if not count:
            raise CtgridError(f"{path}: holds no frame")
        return cls(path, count)

    def __len__(self) -> int:
        return self.count

    def read(self, numbers: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
        """Decode from the keyframe before the first chosen frame to the last one."""
        wanted = sorted(set(numbers))
        times = frame_times(self.path)
        if wanted and wanted[-1] >= len(times):
            raise CtgridError(f"{self.path}: holds {len(times)} frames, its header says {self.count}; fetch it again")
        number_of = {times[number]: number for number in wanted}
        with _opened(self.path) as container:
            stream = container.streams.video[0]
            if wanted and wanted[0] > 0:
                container.seek(times[wanted[0]], stream=stream)
            try:
                for frame in container.decode(stream):
                    number = number_of.pop(frame.pts, None)
                    if number is not None:
                        yield number, frame.to_ndarray(format="rgb24")
                    if not number_of:
                        return
            except _failures() as error:
                raise CtgridError(f"{self.path}: cannot be decoded: {_line(error)}") from error
        missing = ", ".join(str(number) for number in sorted(number_of.values())[:3])
        raise CtgridError(f"{self.path}: frame {missing} could not be decoded; fetch the clip again")

    def digest(self) -> str:
        """Hash the file's size, its beginning and its end."""
        with self.path.open("rb") as stream:
            head = stream.read(1 << 16)
            stream.seek(-min(1 << 16, self.path.stat().st_size), 2)
            return sha256(f"{self.path.stat().st_size}".encode() + head + stream.read()).hexdigest()


def frame_times(path: Path) -> tuple[int, ...]:
    """Return the presentation times of a video file's frames, ascending, in the stream's own unit."""
    state = path.stat()
    return _times(path, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=CLIPS_REMEMBERED)
def _times(path: Path, size: int, changed: int) -> tuple[int, ...]:
    with _opened(path) as container:
        stream = container.streams.video[0]
        try:
            packets = [(p.pts, p.is_discard) for p in container.demux(stream) if p.size]
        except _failures() as error:
            raise CtgridError(f"{path}: cannot be read: {_line(error)}") from error
    if any(pts is None for pts, _ in packets):
        raise CtgridError(f"{path}: frames without times cannot be told apart; convert the clip to mp4")
    return tuple(sorted({int(pts) for pts, discard in packets if not discard}))


def gif_delays(path: Path) -> list[int]:
    """Return how long each frame of a gif stays, in the stream's own unit."""
    with _opened(path) as container:
        packets = {p.pts: int(p.duration or 0) for p in container.demux(container.streams.video[0]) if p.size}
    return [packets[time] for time in frame_times(path)]


def _is_gif(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(4) == b"GIF8"


def _opened(path: Path) -> Any:
    """Open a container that has a video stream."""
    av = require("av")

    try:
        container = av.open(str(path), options={**_ONLY, **_bounded()})  # some frames are decoded at once
    except _failures() as error:
        raise CtgridError(f"{path}: cannot be read as a video: {_line(error)}") from error
    try:
        if not container.streams.video:
            raise CtgridError(f"{path}: holds no picture, only sound or text")
        stream = container.streams.video[0]
        if stream.codec_context is None:
            raise CtgridError(f"{path}: its encoding is unknown; convert the clip to mp4")
        check_bytes(int(stream.width) * int(stream.height) * _PIXEL_BYTES, f"{path}: decoding its frames takes")
    except BaseException:
        container.close()
        raise
    stream.thread_type = "NONE"  # clips are read side by side instead
    stream.codec_context.options = _bounded()  # a frame itself may claim another size than the header
    return container


def _bounded() -> dict[str, str]:
    return {"max_pixels": str(max(1, max_bytes() // _PIXEL_BYTES))}


def _failures() -> tuple[type[BaseException], ...]:
    """Return what PyAV raises for bad files."""
    av = require("av")

    return (OSError, ValueError, LookupError, av.FFmpegError)


def _line(error: BaseException) -> str:
    """Return an error's own words, without the path that stands before them anyway."""
    return str(getattr(error, "strerror", None) or error) or type(error).__name__

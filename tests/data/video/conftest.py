"""Small clips: a square that moves over a coloured ground, as folders of images or encoded files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

Frames = list[np.ndarray]


def moving_square(count: int, seed: int = 0, height: int = 32, width: int = 48) -> Frames:
    """Frames (height, width, 3): the square moves to the right, and the ground brightens from frame to frame."""
    frames = []
    for i in range(count):
        frame = np.full((height, width, 3), (20 + 8 * i % 200, 60, 40 * (seed % 5)), np.uint8)
        left = (width // 3 + i) % (width - 8)
        frame[height // 4 : height // 2, left : left + 8] = (250, 220, 30)
        frames.append(frame)
    return frames


def encode(path: Path, frames: Frames, **options: str) -> Path:
    """Write a video file with frames in display order other than that of decoding, and keyframes every twelve."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options={"movflags": "faststart"} if path.suffix == ".mp4" else {}) as container:
        stream: Any = container.add_stream("libx264", rate=8, options={"crf": "5", "bf": "2", "g": "12", **options})
        stream.height, stream.width, stream.pix_fmt = *frames[0].shape[:2], "yuv420p"
        stream.codec_context.thread_count = 1  # several have given other bytes on a busy machine
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="session")
def square() -> Callable[..., Frames]:
    """Return the maker of frames."""
    return moving_square


@pytest.fixture(scope="session")
def write_clip() -> Callable[..., Path]:
    """Return a writer: an encoded file for a name with a suffix, else a folder of png frames from number 1 on."""

    def write(path: Path, count: int = 20, seed: int = 0, suffix: str = ".png", **sizes: int) -> Path:
        frames = moving_square(count, seed, **sizes)
        if path.suffix in (".mp4", ".mkv") and suffix == ".png":
            return encode(path, frames)
        path.mkdir(parents=True)
        for i, frame in enumerate(frames, start=1):
            Image.fromarray(frame).save(path / f"frame{i}{suffix}")
        return path

    return write

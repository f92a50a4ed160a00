"""Movies that were cut short: found out by their containers, in every format; whole ones are not."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.data.video.read import open_frames
from ctgrid.data.video.whole import cut_at
from ctgrid.data.video.write import write_video

FRAMES = [np.full((16, 16, 3), 20 * n, np.uint8) for n in range(6)]


def movie(path: Path) -> bytes:
    """Write one, with a keyframe in every frame."""
    if path.suffix == ".gif":
        write_video(FRAMES, path)
        return path.read_bytes()
    moves = {"movflags": "frag_keyframe+empty_moov"} if path.stem == "fragments" else {}
    with av.open(str(path), "w", options=moves) as container:
        stream = container.add_stream("mpeg4" if path.suffix in (".avi", ".mkv") else "libx264", rate=8)
        stream.height, stream.width, stream.pix_fmt, stream.gop_size = 16, 16, "yuv420p", 1
        for frame in FRAMES:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path.read_bytes()


@pytest.mark.parametrize("name", ["a.mp4", "fragments.mp4", "a.mov", "a.mkv", "a.avi", "a.gif"])
def test_a_movie_that_was_cut_is_refused_wherever(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    content = movie(path)
    assert cut_at(path) is None and len(open_frames(path)) == len(FRAMES)
    for left in (len(content) - 1, len(content) * 9 // 10, len(content) // 2):
        path.write_bytes(content[:left])
        with pytest.raises(CtgridError, match=r"cut off, .* fetch the clip again|cannot be read as a video"):
            open_frames(path)


@pytest.mark.parametrize(
    "content",
    [
        b"\0\0\0\x10ftypisom\0\0\0\0",
        b"\0\0\0\x10ftypisom\0\0\0\0\0\0\0\0mdat" + bytes(30),  # to the end of the file
        b"\0\0\0\x10ftypisom\0\0\0\0" + b"\xff\xff\xff\xff\x01\x02\x03\x04",  # of others, behind the last box
        b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\x01" + b"\xff" * 7 + bytes(9),  # a stream of unknown size
        b"\x1a\x45\xdf\xa3",
        b"GIF89a\0;\0\0",
        b"something else",
        b"RIFF\4\0\0\0AVI ",
    ],
)
def test_what_says_nothing_of_its_end_is_let_through(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(content)
    assert cut_at(tmp_path / "a") is None

"""Frames by number: folders in natural order, files at any place, and clips that are broken."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from ctgrid.base.errors import CtgridError
from ctgrid.data.video.read import open_frames

Frames = list[np.ndarray]
Write = Callable[..., Path]


def test_a_folder_in_the_order_of_its_numbers(tmp_path: Path, write_clip: Write, square: Callable[..., Frames]) -> None:
    """frame2 before frame10; lossless; asked for in any order, given in ascending order."""
    reader = open_frames(write_clip(tmp_path / "clip", 12))
    assert len(reader) == 12
    got = dict(reader.read([11, 0, 1, 1]))
    assert list(got) == [0, 1, 11]
    for number, frame in got.items():
        assert np.array_equal(frame, square(12)[number])


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_any_frame_of_a_file_equals_that_of_decoding_it_all(tmp_path: Path, write_clip: Write, suffix: str) -> None:
    """Across keyframes and frames that are stored out of order; mkv does not tell its number of frames."""
    path = write_clip(tmp_path / f"clip{suffix}", 40)
    with av.open(str(path)) as container:
        whole = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    reader = open_frames(path)
    assert len(reader) == len(whole) == 40
    for numbers in ([0], [39], [13, 11, 12], [5, 25, 38], list(range(40))):
        got = dict(reader.read(numbers))
        assert list(got) == sorted(numbers)
        assert all(np.array_equal(got[n], whole[n]) for n in numbers)


def test_the_files_frames_are_the_squares(tmp_path: Path, write_clip: Write, square: Callable[..., Frames]) -> None:
    """Right place in time, to what encoding loses."""
    reader = open_frames(write_clip(tmp_path / "clip.mp4", 30))
    for number, frame in reader.read(range(0, 30, 7)):
        assert np.abs(frame.astype(int) - square(30)[number]).mean() < 4


def test_a_gray_or_transparent_image_is_a_frame(tmp_path: Path) -> None:
    """Whatever its mode, it comes as RGB."""
    for i, mode in enumerate(["L", "RGBA", "P"]):
        Image.new(mode, (4, 3), 90 if mode != "RGBA" else (90, 90, 90, 255)).save(tmp_path / f"{i}.png")
    frames = [frame for _, frame in open_frames(tmp_path).read([0, 1, 2])]
    assert [frame.shape for frame in frames] == [(3, 4, 3)] * 3
    assert frames[0][0, 0].tolist() == frames[1][0, 0].tolist() == [90, 90, 90]


def test_sixteen_bits_of_gray_keep_their_upper_eight(tmp_path: Path) -> None:
    """They are not cut off at 255, which would show a white frame."""
    deep = np.array([[0, 255, 256, 30000, 65535]], np.uint16)
    Image.fromarray(deep).save(tmp_path / "0.png")
    ((_, frame),) = open_frames(tmp_path).read([0])
    assert frame.dtype == np.uint8 and frame.shape == (1, 5, 3)
    assert frame[0].tolist() == [[value] * 3 for value in (0, 0, 1, 117, 255)]


def test_a_digest_tells_files_apart(tmp_path: Path, write_clip: Write) -> None:
    """Same content, same digest, whenever written; another frame or another file, another one."""
    one = write_clip(tmp_path / "1.mp4", 20)
    two = tmp_path / "2.mp4"
    two.write_bytes(one.read_bytes())  # encoded a second time it need not have the same bytes
    os.utime(two, (0, 0))
    other = write_clip(tmp_path / "3.mp4", 20, seed=3)
    assert open_frames(one).digest() == open_frames(two).digest() != open_frames(other).digest()
    folder = open_frames(write_clip(tmp_path / "f", 3))
    before = folder.digest()
    (tmp_path / "f" / "frame2.png").write_bytes(b"more than before" * 100)
    assert folder.digest() != before


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("cut", "cut off, .* bytes of at least"),
        ("text", "cannot be read as a video"),
        ("empty", "an empty file; fetch the clip again"),
        ("missing", "no such file"),
        ("sound", "holds no picture"),
        ("no-frames", "holds no frame"),
        ("empty-frame", "frame3.png: an empty file"),
        ("bad-frame", "frame1.png: cannot be read as a frame"),
    ],
)
def test_broken_clips_are_one_line(kind: str, words: str, tmp_path: Path, write_clip: Write) -> None:
    """When they are opened, so that training never meets them."""
    path = tmp_path / ("clip" if "frame" in kind else "clip.mp4")
    if "frame" in kind:
        write_clip(path, 4)
        for file in path.iterdir() if kind == "no-frames" else ():
            file.unlink()
        (path / "frame3.png").write_bytes(b"") if kind == "empty-frame" else None
        (path / "frame1.png").write_bytes(b"no image") if kind == "bad-frame" else None
    elif kind == "cut":
        whole = write_clip(path, 40).read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
    elif kind == "sound":
        with av.open(str(path), "w") as container:
            stream = container.add_stream("aac", rate=8000, layout="mono")
            sound = av.AudioFrame.from_ndarray(np.zeros((1, 2048), np.float32), format="fltp", layout="mono")
            sound.sample_rate = 8000
            container.mux(stream.encode(sound))
            container.mux(stream.encode())
    elif kind != "missing":
        path.write_bytes(b"" if kind == "empty" else b"this is no film\n" * 99)
    with pytest.raises(CtgridError, match=f"^{tmp_path}.*{words}") as caught:
        open_frames(path)
    assert "\n" not in str(caught.value)


def test_a_frame_that_breaks_later_is_named(tmp_path: Path, write_clip: Write) -> None:
    """A damaged image in the middle of a folder; one beyond the end of a file."""
    folder = open_frames(write_clip(tmp_path / "clip", 4))
    (tmp_path / "clip" / "frame3.png").write_bytes(b"damaged")
    with pytest.raises(CtgridError, match=r"frame3\.png: cannot be read as a frame"):
        list(folder.read([0, 2]))
    file = open_frames(write_clip(tmp_path / "clip.mp4", 20))
    with pytest.raises(CtgridError, match=r"clip\.mp4: holds 20 frames"):
        list(file.read([20]))


@pytest.mark.parametrize("head", ["ffconcat version 1.0\nfile 'other.mp4'\n", "#EXTM3U\n#EXTINF:1,\nother.mp4\n"])
def test_a_play_list_names_no_other_file(tmp_path: Path, write_clip: Write, head: str) -> None:
    write_clip(tmp_path / "other.mp4")
    (tmp_path / "clip.mp4").write_text(head)
    with pytest.raises(CtgridError, match="cannot be read as a video"):
        open_frames(tmp_path / "clip.mp4")


def test_frames_that_claim_to_be_enormous_are_not_decoded(
    tmp_path: Path, write_clip: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit is that of all inputs; a raised one reads them."""
    path = write_clip(tmp_path / "a.mp4", 3)
    monkeypatch.setenv("CTGRID_MAX_BYTES", "20K")
    with pytest.raises(CtgridError, match=r"a\.mp4.*--max-bytes"):
        open_frames(path)
    monkeypatch.delenv("CTGRID_MAX_BYTES")
    assert len(open_frames(path)) == 3


def test_a_frame_that_is_larger_than_its_header_says_is_not_decoded(tmp_path: Path) -> None:
    """A JPEG in an AVI has a size of its own."""
    path = tmp_path / "a.avi"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "yuvj420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8)).reformat(format="yuvj420p")
        container.mux([*stream.encode(frame), *stream.encode()])
    content = path.read_bytes()
    place = content.index(b"\xff\xc0") + 5  # height and width of the baseline frame
    path.write_bytes(content[:place] + b"\x3a\x98\x3a\x98" + content[place + 4 :])  # 15000 x 15000: 0.7 GB
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CtgridError, match=r"a\.avi"):
        next(iter(open_frames(path).read([0])))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


def test_an_encoding_that_nobody_knows_is_one_line(tmp_path: Path, write_clip: Write) -> None:
    path = write_clip(tmp_path / "a.mp4", 3)
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzzz"))
    with pytest.raises(CtgridError, match=r"a\.mp4: "):
        list(open_frames(path).read([0]))

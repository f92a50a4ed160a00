"""Clips and movies to be measured: found in a folder, named by their content, read one at a time."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Literal

import numpy as np

from ctgrid.base.errors import CtgridError
from ctgrid.base.files import sha256_of
from ctgrid.base.limits import check_bytes
from ctgrid.base.privacy import alias, hides
from ctgrid.base.progress import Progress, silent
from ctgrid.data.video.animations import Timed
from ctgrid.data.video.clips import fit
from ctgrid.data.video.layouts import Found, Layout, Part, find_clips, part_folder
from ctgrid.data.video.read import FrameFolder, open_frames
from ctgrid.data.video.reader import FrameReader
from ctgrid.methods.synthesis.video import frames_of
from ctgrid.runs.evaluation.fidelity.protocol import Protocol
from ctgrid.runs.evaluation.lost import Lost


@dataclass(frozen=True, eq=False)
class MovieView:
    """A movie in the protocol's form: ``shown`` (n, S, S, 3) uint8, and the hash of its content."""

    shown: np.ndarray
    digest: str

    def __len__(self) -> int:
        return len(self.shown)


@dataclass(frozen=True, eq=False)
class MovieSample:
    """A clip or movie, not read yet.

    Attributes:
        name: unique among those it was opened with.
        reader: of its frames.
        digest: SHA-256 of its files' content, whatever they are called.
        frame: what tells its features from those of a volume in the cache.
    """

    name: str
    reader: FrameReader
    digest: str
    frame: Literal["square"] = "square"

    @property
    def path(self) -> Path:
        """The movie's file, or the folder of its frames."""
        return self.reader.path

    def frames(self, size: int) -> np.ndarray:
        """Read all frames as training sees them: the middle square, antialiased bicubic; (n, size, size, 3) uint8.

        Raises:
            CtgridError: where one cannot be read.
        """
        return square_frames(self.reader, size)


def square_frames(reader: FrameReader, size: int) -> np.ndarray:
    """Return all frames of a clip, their middle squares at a size: (n, size, size, 3) uint8.

    Raises:
        CtgridError: where one cannot be read, or all together take more memory than one input may.
    """
    check_bytes(len(reader) * size * size * 3, f"{reader.path}: its {len(reader)} frames take")
    shown = np.empty((len(reader), size, size, 3), np.uint8)
    for number, frame in reader.read(range(len(reader))):
        shown[number] = frames_of(fit(frame, size)[None], size)[0].numpy()
    return shown


def view_of(sample: MovieSample, protocol: Protocol) -> MovieView:
    """Read a movie and show it as a protocol says; frames stay in their order."""
    return MovieView(sample.frames(protocol.resolution), sample.digest)


def open_movies(
    path: Path, layout: Layout, part: Part | None, lost: Lost, progress: Progress = silent, least: int = 2
) -> list[MovieSample]:
    """List the clips of a folder without holding any.

    Args:
        path: a folder of video files and folders of frames, at any depth, or a collection with parts.
        layout: names the parts' folders.
        part: of the collection; None takes ``test`` where there are parts, and everything where there are none.
        lost: notes clips that cannot be read.
        progress: told of every clip, whose content is hashed.
        least: clips there must be; distributions take two.

    Returns:
        That many at least, sorted by name.

    Raises:
        CtgridError: where there are fewer.
    """
    try:
        found = clips_in(path, layout, part)
    except CtgridError as error:
        if path.is_dir() and holds_scans(path):
            raise CtgridError(f"{path} holds no clip but scans; ctgrid evaluate volumes compares those") from error
        raise
    samples = []
    for i, item in enumerate(found):
        progress(f"hashing {path.name}", i, len(found))
        try:
            reader = open_frames(item.path)
            name = alias(item.name) if hides() else item.name
            samples.append(MovieSample(name, reader, content_of(reader)))
        except (CtgridError, OSError) as error:
            lost.note(item.path, error)
    lost.check_enough(path, len(samples), "clips", least)
    return samples


def holds_scans(path: Path) -> bool:
    """Tell whether a folder holds a scan."""
    from ctgrid.scan.cases import find_cases

    try:
        return bool(find_cases([path]))
    except CtgridError:
        return False


def clips_in(path: Path, layout: Layout, part: Part | None) -> list[Found]:
    """Find a folder's clips; ``part`` as in :func:`open_movies`.

    Raises:
        CtgridError: where the folder, the part or any clip is missing.
    """
    if part is None and path.is_dir():
        try:
            part = "train" if part_folder(path, layout, "train") == path else "test"
        except CtgridError:  # parts, but none to train on
            part = "test"
    return find_clips(path, layout, part or "train")


def content_of(reader: FrameReader) -> str:
    """Return a SHA-256 of a clip's content: of the file, or of the frames' files in their order."""
    if isinstance(reader, Timed):  # features that were kept by the file's hash alone are of each stored frame once
        return sha256(f"{sha256_of(reader.path)} {reader.numbers}".encode()).hexdigest()
    if isinstance(reader, FrameFolder):
        return sha256("".join(sha256_of(reader.path / name) for name in reader.names).encode()).hexdigest()
    return sha256_of(reader.path)


def fits_pairwise(real: np.ndarray, fake: np.ndarray) -> tuple[float, float]:
    """Return PSNR in dB and SSIM of frames made from real ones, means over the frames that both have.

    Args:
        real: (n, S, S, 3) uint8.
        fake: (m, S, S, 3) uint8.

    Returns:
        PSNR over all pixels and colours of a frame; SSIM colour by colour. Black is 0, the range 255.
    """
    from ctgrid.metrics.reconstruction import psnr, ssim

    pairs = [(b.astype(np.float64), a.astype(np.float64)) for a, b in zip(real, fake, strict=False)]
    ratios = [psnr(made, truth, 255.0) for made, truth in pairs]
    alike = [ssim(np.moveaxis(made, -1, 0), np.moveaxis(truth, -1, 0), 255.0) for made, truth in pairs]
    return float(np.mean(ratios)), float(np.mean(alike))

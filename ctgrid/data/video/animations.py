"""Animated images: gif and webp keep equal neighbours as one frame that is shown longer; here it is given as often."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ctgrid.base.errors import CtgridError
from ctgrid.base.files import sha256_of
from ctgrid.data.video.reader import FrameReader
from ctgrid.data.video.whole import cut_at

WEBP = ".webp"
MOST_SHOWN = 100_000
"""Frames of one animation; a damaged timing can ask for millions."""

_HEAD = 21  # bytes, of which the last holds the flags
_ANIMATED = 0x02


def shown(path: Path, delays: Sequence[int]) -> tuple[int, ...]:
    """Return the stored frame behind each frame that is shown.

    Args:
        path: of the file.
        delays: how long each stored frame stays, in any unit. The shortest is one frame of the movie; another counts as
            often as that goes into it, rounded, and once at least.

    Raises:
        CtgridError: where that makes more frames than any movie has.
    """
    unit = min((delay for delay in delays if delay > 0), default=1)
    counts = [max(1, round(delay / unit)) for delay in delays]
    if sum(counts) > MOST_SHOWN:
        raise CtgridError(f"{path}: its timing shows {sum(counts)} frames, more than {MOST_SHOWN}; convert it to mp4")
    return tuple(i for i, count in enumerate(counts) for _ in range(count))


@dataclass(frozen=True)
class Timed:
    """Frames of a file as often as its timing shows them.

    Attributes:
        stored: reads what the file holds.
        numbers: of a stored frame for each that is shown, ascending.
    """

    stored: FrameReader
    numbers: tuple[int, ...]

    @property
    def path(self) -> Path:
        """The file."""
        return self.stored.path

    def __len__(self) -> int:
        return len(self.numbers)

    def read(self, numbers: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
        """Decode each stored frame once, however often it is shown."""
        wanted: dict[int, list[int]] = {}
        for number in sorted(set(numbers)):
            wanted.setdefault(self.numbers[number], []).append(number)
        for stored, frame in self.stored.read(list(wanted)):
            for number in wanted[stored]:
                yield number, frame

    def digest(self) -> str:
        """Hash the file and its timing."""
        return sha256(f"{self.stored.digest()} {self.numbers}".encode()).hexdigest()


def is_animated(path: Path) -> bool:
    """Tell whether a file is a webp of several frames, by its first bytes; what cannot be read is none."""
    if path.suffix.lower() != WEBP:
        return False
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD)
    except OSError:
        return False
    return len(head) == _HEAD and head[8:16] == b"WEBPVP8X" and bool(head[20] & _ANIMATED)


@dataclass(frozen=True)
class Webp:
    """The frames that an animated webp stores."""

    path: Path
    delays: tuple[int, ...]

    @classmethod
    def open(cls, path: Path) -> Webp:
        """Read the times of the frames, decoding none.

        Raises:
            CtgridError: where the file is cut off or holds no frame.
        """
        if (needed := cut_at(path)) is not None:
            size = path.stat().st_size
            raise CtgridError(f"{path}: cut off, {size} bytes of at least {needed}; fetch the clip again")
        with path.open("rb") as stream:
            delays = tuple(_delays(stream))
        if not delays:
            raise CtgridError(f"{path}: holds no frame")
        return cls(path, delays)

    def __len__(self) -> int:
        return len(self.delays)

    def read(self, numbers: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
        """Decode from the beginning to the last frame that was chosen."""
        from PIL import Image

        try:
            with Image.open(self.path, formats=["WEBP"]) as image:
                for number in sorted(set(numbers)):
                    image.seek(number)
                    yield number, np.asarray(image.convert("RGB"))
        except (OSError, ValueError, EOFError, SyntaxError, Image.DecompressionBombError) as error:
            raise CtgridError(f"{self.path}: cannot be decoded: {str(error) or type(error).__name__}") from error

    def digest(self) -> str:
        """Hash the file."""
        return sha256_of(self.path)


def _delays(stream: BinaryIO) -> Iterator[int]:
    """Yield how long each frame stays, in ms: of every ANMF chunk of the container (RFC 9649, 2.7.1.2)."""
    stream.seek(12)
    while len(head := stream.read(8)) == 8:
        size = int.from_bytes(head[4:], "little")
        body = stream.read(min(size, 16)) if head[:4] == b"ANMF" else b""
        if len(body) == 16:
            yield int.from_bytes(body[12:15], "little")
        stream.seek(size + size % 2 - len(body), 1)

"""What every source of a clip's frames can do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np


class FrameReader(Protocol):
    """Random access to the frames of one clip. Cheap to hold by the thousand; threads may share one."""

    @property
    def path(self) -> Path:
        """The video file or the folder of frames."""

    def __len__(self) -> int:
        """Return the number of frames."""

    def read(self, numbers: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
        """Yield (number, frame (H, W, 3) uint8 RGB), each number once, in ascending order."""

    def digest(self) -> str:
        """Return a hash that changes with the frames' files: of names and sizes, not of every pixel."""

"""A small chest on disk, and methods that tell what they were given."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ctgrid.methods.denoising.methods import METHODS, Method
from ctgrid.methods.denoising.result import DenoiseResult
from ctgrid.scan.volume import Volume

AFFINE = np.diag([-5.0, -5.0, 6.0, 1.0])


@pytest.fixture
def chest_file(chest: Callable[..., np.ndarray], tmp_path: Path) -> Path:
    """Return a clean chest of 16 slices of 64 x 64 with a lung of litres."""
    return Volume(chest((16, 64, 64), noise_hu=4.0), AFFINE).write(tmp_path / "chest.nii.gz")


class Spy:
    """A method that takes 10 HU off and keeps what it saw."""

    def __init__(self) -> None:
        """Begin with nothing seen."""
        self.seen: list[Volume] = []
        self.told: list[object] = []

    def run(self, volume: Volume, strength: object = "auto", *, progress: object = None) -> DenoiseResult:
        """Note the volume."""
        self.seen.append(volume)
        self.told.append(strength)
        noise = strength if isinstance(strength, float) else 33.0
        return DenoiseResult(Volume(volume.hu - 10, volume.affine), {}, noise)


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None], Spy]:
    """Return a maker of a method "spy" that looks at so many neighbours."""

    def make(context: int | None) -> Spy:
        method = Spy()
        monkeypatch.setitem(METHODS, "spy", Method("spy", "", lambda loading: method, context=context))
        return method

    return make

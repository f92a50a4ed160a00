"""A quick look: a few slices before and after, by the least work that the method allows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import ctgrid
from ctgrid.base.errors import CtgridError
from ctgrid.base.settings import gather
from ctgrid.methods.denoising.methods import METHODS, Method
from ctgrid.methods.denoising.result import DenoiseResult
from ctgrid.runs.denoising.bench import CaseBench
from ctgrid.runs.denoising.preview import preview
from ctgrid.runs.denoising.run import preview_denoising
from ctgrid.runs.denoising.settings import Request
from ctgrid.scan.volume import Volume

AFFINE = np.diag([-0.9, -0.9, 2.5, 1.0])


def asked(**changes: Any) -> Request:
    """Return a request with settings by name, the method's own too."""
    return gather(Request, changes, Request())


@pytest.fixture
def scans(tmp_path: Path, chest: Callable[..., np.ndarray]) -> Path:
    """Return a folder of one noisy scan."""
    (tmp_path / "scans").mkdir()
    Volume(chest((20, 32, 32), noise_hu=40), AFFINE).write(tmp_path / "scans" / "a.nii")
    return tmp_path / "scans"


def test_a_quick_look(scans: Path, tmp_path: Path) -> None:
    """Draws slices and writes no volume."""
    record = preview_denoising(scans / "a.nii", tmp_path / "look.png", method="tv")
    assert (tmp_path / "look.png").stat().st_size and record.results["done"] == 1
    assert not list(tmp_path.glob("*.nii"))


@pytest.mark.parametrize(("context", "partial", "whole"), [(0, False, False), (None, False, True), (1, True, True)])
def test_a_method_sees_what_it_needs(
    context: int | None, partial: bool, whole: bool, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chosen slices alone, all with the choice told, or all."""
    seen: list[tuple[int, object]] = []

    class Spy:
        def run(self, volume: Volume, strength: float, *, progress: object, only: object = None) -> DenoiseResult:
            seen.append((len(volume.hu), only))
            return DenoiseResult(Volume(volume.hu - 10, volume.affine), {}, strength)

    method = Method("spy", "", lambda loading: Spy(), context=context, partial=partial, classical=True)
    monkeypatch.setitem(METHODS, "spy", method)
    entry = preview(scans / "a.nii", tmp_path / "look.png", CaseBench(asked(method="spy", strength=20.0)))
    chosen = entry["slices"]
    assert seen == [(20 if whole else len(chosen), chosen if partial else None)]
    assert 1 < len(chosen) < 20 and entry["noise_hu"] == 20 and entry["status"] == "done"
    with Image.open(tmp_path / "look.png") as picture:
        assert picture.width > picture.height / 4
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["look.png"]


def test_what_cannot_be_drawn_writes_nothing(scans: Path, tmp_path: Path) -> None:
    (tmp_path / "look.png").write_bytes(b"mine")
    with pytest.raises(CtgridError, match="exists"):
        preview(scans / "a.nii", tmp_path / "look.png", CaseBench(asked(method="tv", strength=9.0)))
    assert (tmp_path / "look.png").read_bytes() == b"mine"
    assert ctgrid.Volume.read(scans / "a.nii").shape == (20, 32, 32)

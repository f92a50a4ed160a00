"""The ceiling of a codec: figures that can be checked by hand, on scans that are small."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ctgrid.base.documents import plain
from ctgrid.base.errors import CtgridError
from ctgrid.metrics.reconstruction import psnr, ssim
from ctgrid.runs.evaluation.ceiling import WINDOWS_HU, choose_slices, codec_ceiling
from ctgrid.scan.grid import downsample
from ctgrid.scan.protocols.canonical import to_canonical
from ctgrid.scan.volume import Volume
from ctgrid.stages.codecs.codecs import Codec, load_codec


class Shifted:
    """A codec that changes nothing but adds HU, here and there more: what it costs is known."""

    downsample, device, name = 8, torch.device("cpu"), "shifted"

    def __init__(self, hu: float = 0.0, worse: int | None = None) -> None:
        """Add ``hu`` everywhere, ten times that to full slice ``worse`` of those that come first."""
        self.shift, self.worse, self.seen = hu / 1000, worse, 0

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        """Pass on."""
        return images

    def decode(self, latent: torch.Tensor) -> torch.Tensor:
        """Add."""
        made = latent + self.shift
        for i in range(len(latent)):
            made[i] += 9 * self.shift * (self.seen == self.worse)
            self.seen += 1
        return made


@pytest.fixture
def volume(chest: Callable[..., np.ndarray]) -> Volume:
    """A small scan on a straight grid, nowhere near the ends of the HU that models know."""
    return Volume(chest((20, 64, 64)).clip(-900, 900), np.diag([-0.8, -0.8, 2.0, 1.0]))


def test_a_codec_that_loses_nothing_has_no_ceiling(volume: Volume) -> None:
    """Infinite PSNR, SSIM 1, no bias, at every size; and JSON can say so."""
    report = codec_ceiling(volume, Shifted(), size=64)  # type: ignore[arg-type]
    assert report["cell"] == 16 and report["slices"] == list(range(20))
    for kind in ("full", "cells", "grids"):
        assert report[kind]["psnr_db"] == np.inf and report[kind]["bias_hu"] == 0.0
        assert all(window["ssim"] == pytest.approx(1.0) for window in report[kind]["windows"].values())
    assert json.loads(json.dumps(plain(report)))["full"]["psnr_db"] == "inf"


def test_a_shift_is_found_as_bias(volume: Volume) -> None:
    """PSNR of 20 HU in 2000 is 40 dB; the shifted slice is the worst."""
    report = codec_ceiling(volume, Shifted(20.0, worse=2), size=64, slices=slice(4, 8))  # type: ignore[arg-type]
    assert report["slices"] == [4, 5, 6, 7]
    cells = report["cells"]
    assert cells["bias_hu"] == pytest.approx(20, abs=0.01) == cells["mae_hu"]
    assert cells["rmse_hu"] == pytest.approx(20, abs=0.01)
    assert cells["psnr_db"] == pytest.approx(40, abs=0.01)
    assert report["full"]["worst_slice"] == 6
    assert report["full"]["worst_psnr_db"] == pytest.approx(20, abs=0.1)
    assert report["full"]["windows"]["lung"]["data_range_hu"] == 1500


def test_the_figures_are_those_of_the_metrics(volume: Volume, tiny_model: Path) -> None:
    """PSNR of all slices together and mean SSIM, in each window, for full slices and for cells."""
    codec = load_codec(tiny_model / "codec")
    report = codec_ceiling(volume, codec, size=64, batch_size=3)
    images = torch.from_numpy(to_canonical(volume, 64)[0])[:, None]
    cells = downsample(images, 4).clamp(-1, 1)
    for kind, given in (("full", images), ("cells", cells)):
        made = codec.decode(codec.encode(given))
        for name, (low, high) in WINDOWS_HU.items():
            a, b = ((1000 * part[:, 0].numpy()).clip(low, high) for part in (made, given))
            found = report[kind]["windows"][name]
            assert found["psnr_db"] == pytest.approx(psnr(a, b, high - low), abs=1e-3)
            assert found["ssim"] == pytest.approx(ssim(a, b, high - low), abs=1e-4)
            assert (found["window_hu"], found["data_range_hu"]) == ([low, high], high - low)
    assert report["grids"]["psnr_db"] != report["cells"]["psnr_db"]


def test_batches_and_orientation_change_nothing(volume: Volume, tiny_model: Path) -> None:
    """One slice at a time as four; a scan stored upside down and mirrored as it is upright."""
    codec = load_codec(tiny_model / "codec")
    flipped = Volume(volume.hu[::-1, :, ::-1].copy(), volume.affine @ np.diag([-1.0, 1, -1, 1]))
    one = codec_ceiling(volume, codec, size=64, slices=slice(2, 9, 3), batch_size=1)
    for other in (volume, flipped):
        two = codec_ceiling(other, codec, size=64, slices=slice(2, 9, 3), batch_size=4)
        assert two["slices"] == [2, 5, 8]
        for kind in ("full", "cells", "grids"):
            assert two[kind]["psnr_db"] == pytest.approx(one[kind]["psnr_db"], abs=1e-3)
            assert two[kind]["worst_slice"] == one[kind]["worst_slice"]


@pytest.mark.parametrize(
    ("count", "chosen", "expected"),
    [
        (5, None, [0, 1, 2, 3, 4]),
        (1, None, [0]),
        (10, slice(None, None, 4), [0, 4, 8]),
        (10, slice(8, 2, -2), [4, 6, 8]),
        (10, slice(-2, None), [8, 9]),
    ],
)
def test_slices_are_chosen_as_in_python(count: int, chosen: slice | None, expected: list[int]) -> None:
    """Ascending, within the scan."""
    assert choose_slices(count, chosen) == expected


def test_without_a_choice_a_long_scan_is_thinned() -> None:
    """Evenly, with both ends."""
    numbers = choose_slices(300, None)
    assert (len(numbers), numbers[0], numbers[-1]) == (32, 0, 299)
    assert {b - a for a, b in pairwise(numbers)} <= {9, 10}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": 100}, "multiple of 32 and at least 64, got 100"),
        ({"size": 32}, "at least 64, got 32"),
        ({"size": 64, "slices": slice(30, None)}, "slices 30:: choose none of the scan's slices 0 to 19"),
    ],
)
def test_what_does_not_fit_is_refused(volume: Volume, options: dict[str, Any], words: str) -> None:
    """Before anything is encoded."""
    with pytest.raises(CtgridError, match=words):
        codec_ceiling(volume, Shifted(), **options)  # type: ignore[arg-type]


def test_progress_ends_at_all_slices(volume: Volume) -> None:
    """So that a bar is full."""
    seen: list[tuple[int, int]] = []
    codec: Codec = Shifted()  # type: ignore[assignment]
    codec_ceiling(volume, codec, size=64, progress=lambda phase, done, total: seen.append((done, total)))
    assert seen[-1] == (20, 20) and seen == sorted(seen)

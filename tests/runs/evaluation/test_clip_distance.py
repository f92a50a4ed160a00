"""Clips of measured slices, what describes them, and the distance of many volumes' clips."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ctgrid.base.errors import CtgridError
from ctgrid.base.files import sha256_of
from ctgrid.metrics.frechet import frechet_distance
from ctgrid.runs.evaluation.clip_distance import ClipMeasure, clips_of, distance_of, keep_clips, kept_clips

DETECTOR = "i3d_torchscript.pt"


class ToyVideo(torch.nn.Module):
    """Mean and spread of a clip, and of its last frame."""

    def forward(
        self, x: torch.Tensor, rescale: bool = True, resize: bool = True, return_features: bool = True
    ) -> torch.Tensor:
        values = x.float()
        last = values[:, :, -1].flatten(1)
        return torch.stack([values.flatten(1).mean(1), values.flatten(1).std(1), last.mean(1)], dim=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the toy under the published detector's name."""
    made = tmp_path_factory.mktemp("detectors")
    torch.jit.script(ToyVideo()).save(str(made / DETECTOR))
    return made


def test_clips_lie_side_by_side_in_unbroken_runs() -> None:
    """What is left of a run makes no clip, and none reaches over a gap."""
    indices = np.array([0, 1, 2, 3, 4, 9, 10, 11, 12, 20])
    assert clips_of(indices, 2).tolist() == [[0, 1], [2, 3], [5, 6], [7, 8]]
    assert clips_of(indices, 4).tolist() == [[0, 1, 2, 3], [5, 6, 7, 8]]
    assert len(clips_of(indices, 16)) == 0 and len(clips_of(indices, 0)) == 0
    assert len(clips_of(np.arange(0, 60, 3), 2)) == 0


def test_a_detector_at_hand_gives_fvd(folder: Path) -> None:
    """Clips are shown in 8 bits and three channels; the name says whether the file is pinned."""
    hu = np.linspace(-1000, 1000, 6 * 64).reshape(6, 8, 8)
    free = ClipMeasure(3, folder, device="cpu")
    pinned = ClipMeasure(3, folder, {DETECTOR: sha256_of(folder / DETECTOR)}, "cpu")
    assert (free.name, pinned.name) == ("FVD-3 (detector not pinned)", "FVD-3")
    found = free.of(hu, np.array([[0, 1, 2], [3, 4, 5]]))
    grey = np.floor((hu + 1000) * 255 / 2000 + 0.5)
    assert found[:, 0] == pytest.approx([grey[:3].mean(), grey[3:].mean()], rel=1e-5)
    assert free.facts == {"frames": 3, "features": sha256_of(folder / DETECTOR)}


def test_without_one_the_name_is_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-in never bears the name FVD; the order of slices counts, slices outside clips do not."""
    monkeypatch.setenv("CTGRID_HOME", str(tmp_path))
    measure = ClipMeasure(2, device="cpu")
    assert measure.name == "FD-2 (ctgrid-features)" and measure.facts["features"].startswith("ctgrid-features@")
    hu = np.random.default_rng(0).normal(0, 300, (3, 32, 32)).clip(-1000, 1000)
    found = measure.of(hu, np.array([[0, 2], [2, 0]]))
    assert found[0] == pytest.approx(found[1]) and len(found) == 2  # a step and its reverse are alike
    assert ClipMeasure(0).facts == {}


@pytest.mark.parametrize(
    ("measure", "words"),
    [
        (lambda folder: ClipMeasure(1), "2 to 10000 frames, or 0"),
        (lambda folder: ClipMeasure(16, folder / "no").facts, "no detector i3d"),
        (lambda folder: ClipMeasure(16, folder, {"other.pt": "0" * 64}).facts, r"pinned for other\.pt"),
        (lambda folder: ClipMeasure(16, folder, {DETECTOR: "0" * 64}).facts, "it is another detector"),
    ],
)
def test_what_cannot_be_measured_is_refused(measure: object, words: str, folder: Path) -> None:
    assert callable(measure)
    with pytest.raises(CtgridError, match=words):
        measure(folder)


def test_the_distance_is_of_all_volumes_together(tmp_path: Path) -> None:
    """Features come back as they were kept; one clip alone has no distance."""
    draw = np.random.default_rng(1)
    parts = [(draw.normal(size=(n, 4)), draw.normal(1, 1, (n, 4))) for n in (3, 5)]
    for i, (truth, made) in enumerate(parts):
        row = {"volume": f"v{i}", "case": "c"}
        keep_clips(tmp_path, row, "x4", truth, made)
        kept = kept_clips(tmp_path, row, "x4")
        assert kept is not None and np.array_equal(kept[0], truth) and np.array_equal(kept[1], made)
        assert kept_clips(tmp_path, {**row, "case": "d"}, "x4") is None
    found = distance_of(parts, 0)
    assert found is not None and (found["clips"], found["clip_volumes"], found["clip_features"]) == (8, 2, 4)
    whole = [np.concatenate(side) for side in zip(*parts, strict=True)]
    assert found["clip_distance"] == pytest.approx(frechet_distance(*whole, 0))
    assert distance_of([(np.ones((1, 4)), np.ones((1, 4)))], 0) is None

"""Detectors: called as the published ones are, whatever the batch; what is not as it should be is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ctgrid.base.errors import CtgridError
from ctgrid.base.files import sha256_of
from ctgrid.runs.evaluation.fidelity.detectors import Detector, clip_features, frame_features, parse_pins
from ctgrid.runs.evaluation.fidelity.protocol import DetectorSpec, load_protocol

SPECS = load_protocol("stylegan-v@1").protocol.detectors
GREY = np.random.default_rng(0).integers(0, 256, (11, 16, 16)).astype(np.uint8)


def test_features_of_frames_are_those_of_the_module_called_by_hand(detectors: Path) -> None:
    found = frame_features(Detector.open(SPECS.image, detectors), GREY, 3, batch_size=4)
    module = torch.jit.load(str(detectors / SPECS.image.file))
    rgb = torch.from_numpy(np.repeat(GREY[:, None], 3, axis=1))
    np.testing.assert_allclose(found, module(rgb, return_features=True).numpy(), rtol=1e-5, atol=1e-6)


def test_features_of_clips_are_those_of_the_module_called_by_hand(detectors: Path) -> None:
    indices = np.array([[0, 1, 2], [5, 6, 7], [10, 0, 1]])
    found = clip_features(Detector.open(SPECS.video, detectors), GREY, indices, 3, batch_size=6)
    module = torch.jit.load(str(detectors / SPECS.video.file))
    for features, clip in zip(found, indices, strict=True):
        clips = torch.from_numpy(np.stack([GREY[clip]] * 3)[None])
        wanted = module(clips, rescale=True, resize=True, return_features=True)[0]
        np.testing.assert_allclose(features, wanted.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 3, 11, 100])
def test_batches_do_not_matter(detectors: Path, batch_size: int) -> None:
    detector = Detector.open(SPECS.image, detectors)
    np.testing.assert_allclose(
        frame_features(detector, GREY, 3, batch_size), frame_features(detector, GREY, 3, 5), rtol=1e-5, atol=1e-6
    )


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is here")
def test_a_gpu_gives_what_the_cpu_gives(detectors: Path) -> None:
    cpu = frame_features(Detector.open(SPECS.image, detectors), GREY, 3)
    gpu = frame_features(Detector.open(SPECS.image, detectors, device="cuda"), GREY, 3)
    np.testing.assert_allclose(gpu, cpu, rtol=1e-4, atol=1e-5)


def test_a_pinned_hash_must_be_the_files(detectors: Path) -> None:
    digest = sha256_of(detectors / SPECS.image.file)
    pinned = Detector.open(SPECS.image, detectors, {SPECS.image.file: digest})
    assert pinned.record() == {
        "name": "inception-2015-12-05",
        "file": "inception-2015-12-05.pt",
        "sha256": digest,
        "pinned": True,
    }
    assert not Detector.open(SPECS.image, detectors).pinned
    with pytest.raises(CtgridError, match="--pin-detector pins 0000"):
        Detector.open(SPECS.image, detectors, {SPECS.image.file: "0" * 64})
    other = SPECS.image.model_copy(update={"sha256": "f" * 64})
    with pytest.raises(CtgridError, match="the protocol pins ffff"):
        Detector.open(other, detectors)


def test_pins_as_typed() -> None:
    assert parse_pins([f"i3d_torchscript={'A' * 64}"]) == {"i3d_torchscript.pt": "a" * 64}
    assert parse_pins([f"inception-2015-12-05.pt={'0' * 64}"]) == {"inception-2015-12-05.pt": "0" * 64}
    for text in ("i3d_torchscript", "i3d_torchscript=abc", f"={'0' * 64}"):
        with pytest.raises(CtgridError, match="write NAME=SHA256"):
            parse_pins([text])


class Wrong(nn.Module):
    """Gives something that is no features."""

    def __init__(self, nan: bool) -> None:
        super().__init__()
        self.nan = nan

    def forward(self, images: Tensor) -> Tensor:
        if self.nan:
            return torch.full([images.shape[0], 2], float("nan"))
        return images.float()


@pytest.mark.parametrize(("nan", "match"), [(True, "NaN"), (False, r"features \(B, d\) are expected")])
def test_what_gives_no_features_is_refused(tmp_path: Path, nan: bool, match: str) -> None:
    torch.jit.script(Wrong(nan)).save(str(tmp_path / "wrong.pt"))
    detector = Detector.open(DetectorSpec(file="wrong.pt", kwargs={}, sha256=None), tmp_path)
    with pytest.raises(CtgridError, match=match):
        frame_features(detector, GREY, 3)
    called = Detector.open(DetectorSpec(file="wrong.pt", kwargs={"resize": True}, sha256=None), tmp_path)
    with pytest.raises(CtgridError, match="fails on uint8"):
        frame_features(called, GREY, 3)


def test_a_missing_file_and_another_kind_of_file(tmp_path: Path) -> None:
    with pytest.raises(CtgridError, match="fetch-detectors"):
        Detector.open(SPECS.image, tmp_path)
    (tmp_path / SPECS.image.file).write_bytes(b"<html>not found</html>")
    with pytest.raises(CtgridError, match="no TorchScript file"):
        frame_features(Detector.open(SPECS.image, tmp_path), GREY, 3)

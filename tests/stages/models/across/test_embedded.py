"""The model inside the package: whole, and good enough that what it makes can be told for a chest."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ctgrid.methods.synthesis.pipeline import Synthesis, SynthesisPipeline
from ctgrid.metrics import psnr, seam_ratio
from ctgrid.scan.protocols.canonical import to_canonical
from ctgrid.scan.volume import Volume
from ctgrid.stages.models.bundle import load_bundle
from ctgrid.stages.schedules import hierarchical

SLICES = 16


@pytest.fixture(scope="module")
def chest() -> Synthesis:
    """Make a short chest with few steps."""
    return SynthesisPipeline.load().generate(slices=SLICES, seed=1, steps=8, refine_steps=1)


def test_codec_keeps_a_scan(rider: Volume) -> None:
    """At least 32 dB on slices of the validation patient, window [-1000, 1000] HU."""
    unit, _ = to_canonical(rider)
    images = torch.from_numpy(unit[::24])[:, None]
    codec = load_bundle("embedded").codec
    again = codec.decode(codec.encode(images))
    assert psnr(again.numpy() * 1000, images.numpy() * 1000, data_range=2000.0) >= 32.0


def test_facts_fit_the_networks() -> None:
    """Absolute z, clean known cells, a physical frame."""
    bundle = load_bundle("embedded")
    assert bundle.stage1.absolute_z
    assert bundle.facts1.conditioning == "clean"
    assert bundle.facts1.cell_encoding == "cell"
    assert bundle.facts1.fov_mm and bundle.facts1.extent_mm


def test_there_are_lungs_in_a_body_in_air(chest: Synthesis) -> None:
    """Air at the front corners; soft tissue and lung where a chest has them, in the middle third of z."""
    middle = chest.volume.hu[SLICES // 3 : 2 * SLICES // 3].astype(float)
    height, width = middle.shape[1:]
    front = middle[:, : height // 16]
    assert np.median(front[:, :, : width // 16]) < -900
    assert np.median(front[:, :, -width // 16 :]) < -900
    body = middle[:, height // 4 : 3 * height // 4, width // 8 : -width // 8]
    assert np.mean((body > -150) & (body < 250)) > 0.2
    assert np.mean((body > -980) & (body < -600)) > 0.1


def test_lungs_are_in_the_chest_not_below_it(chest: Synthesis) -> None:
    """The lowest slices show the abdomen: less lung than the middle."""
    centre = chest.volume.hu[:, 128:384, 64:448]
    lung = np.mean((centre > -980) & (centre < -600), axis=(1, 2))
    assert lung[SLICES // 3 : 2 * SLICES // 3].mean() > 1.5 * lung[:3].mean()


def test_keyframes_leave_no_seam(chest: Synthesis) -> None:
    """Steps beside keyframes are not much larger than those inside gaps."""
    keyframes = np.array([t for t in hierarchical(SLICES)[0][0].target if 0 < t < SLICES - 1])
    gaps = [int(k) - 1 for k in keyframes if k % 2 == 0]
    assert seam_ratio(chest.volume.hu, gaps) < 1.6

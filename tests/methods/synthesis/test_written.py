"""A model's slices as volumes: they lie in the patient as those that it was trained on, at their distance."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from ctgrid.data.store import Store, StoreSettings
from ctgrid.data.store.prepare import prepare
from ctgrid.methods.synthesis.pipeline import SynthesisPipeline
from ctgrid.methods.synthesis.settings import Settings
from ctgrid.methods.synthesis.written import as_written, synthetic_affine
from ctgrid.methods.training.facts import common_orientation
from ctgrid.runs.evaluation.samples import open_samples
from ctgrid.scan.geometry import axis_codes, centred_affine
from ctgrid.scan.protocols.generatect import CT_RATE_ORIENTATION
from ctgrid.scan.volume import Volume
from ctgrid.stages.models.facts import StageFacts

SIDE, SLICES, PIXEL_MM, SLICE_MM = 32, 201, 10.0, 1.5
QUICK: dict[str, Any] = {"steps": 1, "refine_steps": 1, "size": 64}


def write_scan(
    folder: Path, chest: Callable[..., np.ndarray], codes: str, maker: str = "Other", slices: int = SLICES
) -> Path:
    """Write a chest as collections do: NIfTI in an orientation, and a JSON that tells the scanner's maker."""
    shape = (slices, SIDE, SIDE)
    upright = Volume(chest(shape, noise_hu=30.0), centred_affine("LPS", (SLICE_MM, PIXEL_MM, PIXEL_MM), shape))
    scan = upright.reoriented(codes)
    folder.mkdir(exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(scan.hu.transpose(2, 1, 0), scan.affine), folder / "scan.nii.gz")
    said = {"RescaleSlope": 1, "RescaleIntercept": 0, "Manufacturer": maker}
    (folder / "scan_metadata.json").write_text(json.dumps(said), encoding="utf-8")
    return folder / "scan.nii.gz"


@pytest.mark.parametrize(
    ("codes", "maker", "orientation"),
    [
        ("LPS", "Other", CT_RATE_ORIENTATION),
        ("RAS", "Other", "ARS"),
        ("LAI", "Other", "ALI"),
        ("LPS", "PNMS", "PLI"),
        ("LPI", "PNMS", "PLS"),
        ("PLS", "Other", "LPS"),
    ],
)
@pytest.mark.parametrize("protocol", ["generatect", "canonical"])
def test_stored_slices_written_as_a_model_makes_them_are_their_own_source(
    codes: str, maker: str, orientation: str, protocol: Any, chest: Callable[..., np.ndarray], tmp_path: Path
) -> None:
    """Distance 0 as ``evaluate volumes`` reads both, whatever the order of the file's axes."""
    slices = SLICES if protocol == "generatect" else 40  # which takes any number, and less time
    source = write_scan(tmp_path / "source", chest, codes, maker, slices)
    settings = StoreSettings(protocol=protocol, size=SIDE, k=4, slices=slices)
    prepare([source], tmp_path / "x.zarr", settings, workers=1)
    (stored,) = Store.open(tmp_path / "x.zarr")
    assert stored.orientation == (orientation if protocol == "generatect" else "LPS")
    known = common_orientation([stored.orientation], "x.zarr")
    facts = StageFacts(size=SIDE, fov_mm=PIXEL_MM * SIDE, orientation=known)
    made = as_written(stored.read_slices(), known)
    volume = Volume(np.ascontiguousarray(made), synthetic_affine(facts, stored.shape, SLICE_MM))
    (tmp_path / "fake").mkdir()
    volume.write(tmp_path / "fake" / "scan.nii.gz")
    real, fake, from_store = (
        open_samples(path, size=None)[0].load() for path in (source, tmp_path / "fake", tmp_path / "x.zarr")
    )
    assert np.abs(real.hu.astype(int) - fake.hu).max() == 0
    np.testing.assert_array_equal(from_store.hu, fake.hu)
    assert fake.spacing_mm == pytest.approx(real.spacing_mm) == from_store.spacing_mm
    if protocol == "generatect" and codes != "PLS":  # in the order of axes that the source has
        assert volume.orientation[:2] == codes[:2]


@pytest.mark.parametrize("codes", ["LPS", "PLS", "ARS", "RAI", "PLI"])
def test_synthesis_says_how_its_slices_lie(codes: str, make_model: Callable[..., Path]) -> None:
    """The same slices as a model of upright ones makes, under another name: turned, they are where they belong."""
    upright = SynthesisPipeline.load(str(make_model()), "cpu", "float32").generate(5, **QUICK).volume
    pipeline = SynthesisPipeline.load(str(make_model(orientation=codes, protocol="generatect")), "cpu", "float32")
    made = pipeline.generate(5, **QUICK).volume
    rows_first = made.hu.transpose(0, 2, 1) if codes[0] in "AP" else made.hu
    np.testing.assert_array_equal(rows_first, upright.hu)
    assert made.orientation == (codes[1] + codes[0] + codes[2] if codes[0] in "AP" else codes)
    assert made.orientation[0] in "LR"
    np.testing.assert_array_equal(made.reoriented(codes).hu, upright.hu)
    assert pipeline.describe()["stage1"]["orientation"] == codes


def test_an_upright_models_affine_is_the_plain_one() -> None:
    """To the bit, signs of zero included."""
    facts = StageFacts(fov_mm=340.0)
    for shape in ((201, 512, 512), (1, 64, 64)):
        scale = np.array([-(340.0 / shape[2]), -(340.0 / shape[2]), 1.3])
        plain = np.diag([*scale, 1.0])
        plain[:3, 3] = -scale * (np.array(shape[::-1]) - 1) / 2
        assert synthetic_affine(facts, shape, 1.3).tobytes() == plain.tobytes()
        assert axis_codes(plain) == "LPS"


@pytest.mark.parametrize(
    ("absolute", "asked", "facts", "expected"),
    [
        (True, {"slices": 20}, {}, 300 / 20),
        (True, {"slices": 402}, {}, 300 / 402),
        (True, {"slices": 20, "schedule": "autoregressive"}, {}, 300 / 20),
        (True, {"slices": 20, "interpolate": True}, {}, 300 / 20),
        (True, {"slices": 20}, {"extent_mm": None}, 1.5 * 201 / 20),
        (False, {"slices": 20}, {}, 300 / 201),
        (False, {"slices": 402, "control_rows": 3}, {}, 300 / 201),
        (False, {"slices": 20}, {"stride": 4.0}, 4 * 300 / 201),
        (False, {"slices": 20}, {"slices": 101}, 300 / 101),
        (False, {"slices": 20}, {"extent_mm": None}, 1.5),
        (False, {"slices": 20, "interpolate": True}, {}, 300 / 201),
        (False, {"slices": 402, "interpolate": True}, {"stride": 4.0}, 4 * 300 / 201),
    ],
)
def test_slices_lie_as_far_apart_as_the_cells_they_come_from(
    absolute: bool,
    asked: dict[str, Any],
    facts: dict[str, Any],
    expected: float,
    make_model: Callable[..., Path],
) -> None:
    """A share of the extent where the model knows z, else the training grid's own step, however many are made."""
    pipeline = SynthesisPipeline.load(str(make_model(absolute, **facts)), "cpu", "float32")
    settings = pipeline.resolve(Settings(size=64, **asked))
    step = np.linalg.norm(pipeline.affine(settings)[:3, 2])
    assert step == pytest.approx(expected)

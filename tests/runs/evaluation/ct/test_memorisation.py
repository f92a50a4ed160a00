"""Memorisation: a copied training volume is found, in many guises; an independent patient is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from scipy.ndimage import gaussian_filter

from ctgrid.base.errors import CtgridError
from ctgrid.runs.evaluation.ct import memorisation
from ctgrid.runs.evaluation.ct.thumbnails import thumbnails
from ctgrid.runs.evaluation.samples import Sample


def as_hu(values: np.ndarray) -> np.ndarray:
    return np.rint(values.clip(-1000, 1000)).astype(np.int16)


GUISES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "exact": lambda hu: hu.copy(),
    "shifted": lambda hu: np.concatenate([hu[1:], hu[-1:]]),
    "noisy": lambda hu: as_hu(hu + np.random.default_rng(8).normal(0, 8, hu.shape)),
    "smooth": lambda hu: as_hu(gaussian_filter(hu.astype(float), (0, 0.4, 0.4))),
    "moved": lambda hu: np.roll(hu, (2, -3), axis=(1, 2)),
    "reversed": lambda hu: hu[::-1],
}

Found = dict[str, Any]


@pytest.fixture(scope="module")
def train(patient: Callable[..., np.ndarray], sample: Callable[..., Sample]) -> list[Sample]:
    return [sample(f"train{seed}", patient(seed)) for seed in range(4)]


@pytest.fixture(scope="module")
def test_set(patient: Callable[..., np.ndarray], sample: Callable[..., Sample]) -> list[Sample]:
    return [sample(f"test{seed}", patient(20 + seed)) for seed in range(3)]


@pytest.fixture(scope="module")
def result(
    train: list[Sample],
    test_set: list[Sample],
    patient: Callable[..., np.ndarray],
    sample: Callable[..., Sample],
    tmp_path_factory: pytest.TempPathFactory,
) -> Found:
    """Return the result for every guise of training volume 2, two other patients, and one with a planted run."""
    fake = [sample(name, guise(patient(2))) for name, guise in GUISES.items()]
    fake += [sample(f"other{seed}", patient(seed)) for seed in (70, 71)]
    mixed = patient(72, n=60)
    mixed[10:26] = patient(1)[2:18]
    fake.append(sample("run", mixed))
    wide = np.pad(patient(2), [(0, 0), (20, 28), (10, 38)], constant_values=-1000).repeat(2, 1).repeat(2, 2)
    fake.append(sample("refield", wide, (10.0, 3.0, 3.0)))
    fake.append(sample("blurred", as_hu(gaussian_filter(patient(73).astype(float), (0, 1.5, 1.5)))))
    out = tmp_path_factory.mktemp("memorisation")
    return {**memorisation(train, test_set, fake, thumbnails, out), "out": out}


def row(result: Found, name: str) -> Found:
    return next(r for r in result["samples"] if r["name"] == name)


@pytest.mark.parametrize("guise", GUISES)
def test_copies_are_found(result: Found, guise: str) -> None:
    """With the training volume they come from."""
    found = row(result, guise)
    assert found["verdict"] == "copies"
    assert found["copied_share"] > (0.3 if guise == "moved" else 0.9)  # air comes in where it was moved from
    assert found["nearest_slice"]["train"] == "train2"
    assert result["verdict"] == "copies"


def test_a_copy_in_another_field_is_found(result: Found) -> None:
    """672 mm in 224 pixels, the body off the middle, beside 384 in 64."""
    found = row(result, "refield")
    assert found["verdict"] == "copies" and found["nearest_slice"]["train"] == "train2"
    assert found["copied_share"] > 0.9 and result["field_mm"] == 340


def test_an_exact_copy_is_known_by_its_content(result: Found) -> None:
    assert row(result, "exact")["same_file_as"] == ["train2"] and row(result, "noisy")["same_file_as"] == []
    assert (
        row(result, "exact")["nearest_grid"]["train_first_slice"] == row(result, "exact")["nearest_grid"]["first_slice"]
    )
    shifted = row(result, "shifted")["nearest_grid"]
    assert (shifted["train"], shifted["train_first_slice"] - shifted["first_slice"]) == ("train2", 1)


@pytest.mark.parametrize("name", ["other70", "other71", "blurred"])
def test_other_patients_are_no_copies(result: Found, name: str) -> None:
    """Blurred ones neither, though they are more like everything."""
    found = row(result, name)
    assert found["verdict"] == "no sign" and found["copied_share"] == 0


def test_one_copied_grid_is_enough(result: Found) -> None:
    """16 of 60 slices."""
    found = row(result, "run")
    assert found["verdict"] == "copies" and 0.2 < found["copied_share"] < 0.4
    grid = found["nearest_grid"]
    assert (grid["train"], grid["first_slice"], grid["train_first_slice"], grid["slices"]) == ("train1", 10, 2, 16)
    assert grid["ssim"] == pytest.approx(1)


def test_the_rule_is_stated_and_the_picture_drawn(result: Found) -> None:
    rule = result["rule"]
    assert f"{rule['copy_ssim']:.4f}" in rule["words"] and "test-to-train" in rule["words"]
    reference = result["similarities"]["reference"]
    assert rule["copy_ssim"] > (1 + reference[3]) / 2 and rule["references"] == 3
    assert result["distances"]["levels"][0] == 0 and len(result["distances"]["fake"]) == 7
    with PIL.Image.open(result["out"] / result["picture"]) as picture:
        assert picture.height > 2 * picture.width  # six pairs, one below the other
    assert [p.name for p in result["out"].iterdir()] == ["memorisation.png"]
    plain = {key: value for key, value in result.items() if key != "out"}
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain


def test_without_test_volumes_training_stands_in(
    train: list[Sample], patient: Callable[..., np.ndarray], sample: Callable[..., Sample], tmp_path: Path
) -> None:
    fake = [sample("copy", GUISES["noisy"](patient(0))), sample("other", patient(80))]
    told: list[tuple[int, int]] = []
    found = memorisation(train, [], fake, thumbnails, tmp_path, lambda _, done, total: told.append((done, total)))
    assert [r["verdict"] for r in found["samples"]] == ["copies", "no sign"]
    assert found["reference"] == "train-to-train" and "no test volumes" in found["warnings"][0]
    assert told == [(i + 1, 12) for i in range(12)]


def test_too_few_to_judge(
    train: list[Sample], patient: Callable[..., np.ndarray], sample: Callable[..., Sample], tmp_path: Path
) -> None:
    """One training volume and no other: only a plain copy can be told."""
    fake = [sample("copy", patient(0)), sample("other", patient(80))]
    found = memorisation(train[:1], [], fake, thumbnails, tmp_path)
    assert [r["verdict"] for r in found["samples"]] == ["copies", "too few"]
    assert "0.98" in found["rule"]["words"] and found["distances"]["reference"] is None
    assert any("too few" in warning for warning in found["warnings"])
    assert memorisation(train[:1], [], fake[1:], thumbnails, tmp_path)["verdict"] == "too few"


def test_a_test_volume_that_was_trained_on_is_left_out(
    train: list[Sample],
    test_set: list[Sample],
    patient: Callable[..., np.ndarray],
    sample: Callable[..., Sample],
    tmp_path: Path,
) -> None:
    """Else nothing would be a copy."""
    leaked = sample("leaked", patient(3))
    found = memorisation(train, [leaked, *test_set[:2]], [sample("copy", patient(0))], thumbnails, tmp_path)
    assert found["verdict"] == "copies" and found["n_reference"] == 2
    assert found["warnings"] == ["test volume leaked is training volume train3: left out"]


def test_refusals(train: list[Sample], sample: Callable[..., Sample], tmp_path: Path) -> None:
    with pytest.raises(CtgridError, match="needs training and generated volumes, got 0 and 4"):
        memorisation([], [], train, thumbnails, tmp_path)
    assert list(tmp_path.iterdir()) == []

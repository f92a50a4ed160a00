"""Maps of trust: on the scan's grid, by the table, with padding left out and strange changes told from noise."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.methods.denoising.trust.maps import LOWERED, RAISED, STEP_HU, table_hash, trust_of
from ctgrid.scan.volume import Volume

AFFINE = np.diag([-0.7, -0.7, 2.5, 1.0])
NOISE = np.rint(10 * np.random.default_rng(5).standard_normal((3, 64, 64))).astype(np.int16)


@pytest.fixture
def pair() -> tuple[Volume, Volume]:
    """Even tissue with noise, and without; padding in a corner, a nodule that was taken away, one that was put in."""
    answer = np.full((3, 64, 64), 40, np.int16)
    scan = answer + NOISE
    scan[1, 20:25, 20:25] += 80
    answer[1, 44:49, 44:49] += 80
    for hu in (scan, answer):
        hu[:, :6, :6] = -2000
    return Volume(scan, AFFINE), Volume(answer, AFFINE)


def test_sigma_is_what_the_table_says_and_padding_has_none(pair: tuple[Volume, Volume], trusting_model: Path) -> None:
    """Here half of what was removed nearby, in exact steps."""
    trust = trust_of(*pair, trusting_model)
    assert trust.sigma.hu.dtype == np.float32 and np.array_equal(trust.sigma.affine, AFFINE)
    assert trust.sigma.hu[0, 20:, 20:].mean() == pytest.approx(5, rel=0.1)
    assert not trust.sigma.hu[:, :6, :6].any() and trust.sigma.hu[:, 10:, 10:].min() > 2
    assert not (trust.sigma.hu / STEP_HU % 1).any()
    assert trust.facts["median_hu"] == pytest.approx(5, rel=0.2) and trust.facts["warnings"] == []


def test_what_noise_does_not_explain_is_labelled(pair: tuple[Volume, Volume], trusting_model: Path) -> None:
    changed = trust_of(*pair, trusting_model).changed.hu
    assert changed[1, 22, 22] == LOWERED and changed[1, 46, 46] == RAISED
    assert 20 < (changed == LOWERED).sum() < 90 and not changed[0, 10:, 10:].any()


def test_every_orientation_tells_the_same(pair: tuple[Volume, Volume], trusting_model: Path) -> None:
    """Signs are those of axial slices, whichever way a file is stored; the maps lie as the scan does."""
    upright = trust_of(*pair, trusting_model)
    turned = trust_of(*(volume.reoriented("SRA") for volume in pair), trusting_model)
    for name in ("sigma", "changed"):
        map_, other = getattr(upright, name), getattr(turned, name)
        assert other.orientation == "SRA" and np.array_equal(other.reoriented("LPS").hu, map_.hu)


def test_where_nothing_was_removed_the_scans_own_noise_is_what_is_uncertain(
    chest: Callable[..., np.ndarray], trusting_model: Path
) -> None:
    scan = Volume(chest((3, 96, 96), noise_hu=12), AFFINE)
    trust = trust_of(scan, scan, trusting_model)
    assert np.median(trust.sigma.hu) == pytest.approx(12, rel=0.25) and not trust.changed.hu.any()


def test_models_without_a_table_or_with_one_of_other_weights_are_told(
    pair: tuple[Volume, Volume], detailed_model: Path, trusting_model: Path, tmp_path: Path
) -> None:
    with pytest.raises(CtgridError, match=r"no table of trust .*ctgrid model calibrate"):
        trust_of(*pair, detailed_model)
    with pytest.raises(CtgridError, match="is not that of the scan"):
        trust_of(pair[0], replace(pair[1], affine=np.diag([-1.4, -1.4, 2.5, 1.0])), trusting_model)
    other = shutil.copytree(trusting_model, tmp_path / "other")
    part = other / "detail"
    text = (part / "trust.json").read_text()
    (part / "trust.json").write_text(text.replace('"weights": "', '"weights": "0'))
    assert "made with other weights" in trust_of(*pair, other).facts["warnings"][0]
    assert table_hash(other) != table_hash(trusting_model)

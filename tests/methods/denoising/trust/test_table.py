"""A table of trust: what it says between its knots and beyond what it met; and as a file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.methods.denoising.trust.signs import SIGNS
from ctgrid.methods.denoising.trust.table import AIR_NOISE_HU, KNOTS_HU, TrustTable, air_error, terms_count, terms_of

N = len(SIGNS)


@pytest.fixture
def table() -> TrustTable:
    """1 HU at the first knot, e at the second, e² at the third, ... where all signs are in the middle."""
    weights = np.zeros((len(KNOTS_HU), terms_count()))
    weights[:, 0] = np.arange(len(KNOTS_HU))
    weights[:, 1 + N] = 0.5  # square of the first sign
    return TrustTable(weights, np.full(N, -1.0), np.full(N, 3.0), {"method": "detail"})


def test_between_knots_the_logarithm_is_interpolated_and_beyond_the_ends_it_stays(table: TrustTable) -> None:
    hu = np.array([-3000.0, KNOTS_HU[0], (KNOTS_HU[1] + KNOTS_HU[2]) / 2, KNOTS_HU[-1], 3000.0])
    sigma = table.sigma(hu, np.ones((N, 5)))
    expected = np.exp([0, 0, 1.5, len(KNOTS_HU) - 1, len(KNOTS_HU) - 1])
    assert sigma == pytest.approx(np.hypot(expected, air_error(hu)), rel=1e-5) and sigma.dtype == np.float32


def test_air_has_noise_of_its_own_and_what_lies_below_air_is_off_by_that() -> None:
    found = air_error(np.array([-1300.0, -1000.0, -950.0, -925.0, -900.0, 40.0]))
    assert found == pytest.approx([np.hypot(AIR_NOISE_HU, 300), AIR_NOISE_HU, AIR_NOISE_HU, AIR_NOISE_HU / 2, 0, 0])


def test_signs_beyond_what_was_met_count_as_its_bounds_and_noise_goes_on_in_proportion(table: TrustTable) -> None:
    values = np.ones((N, 4))
    values[0] = 1, 3, 3 + np.log(2), -1 - np.log(2)
    sigma = table.sigma(np.full(4, KNOTS_HU[2]), values)
    assert sigma == pytest.approx(np.exp(2) * np.array([1, np.exp(0.5), 2 * np.exp(0.5), 0.5 * np.exp(0.5)]), rel=1e-5)
    values[1:] = 99
    assert table.sigma(np.full(4, KNOTS_HU[2]), values) == pytest.approx(sigma)


def test_terms_are_one_every_sign_and_every_product() -> None:
    units = np.arange(2.0, 2 + N)
    terms = terms_of(units)
    assert len(terms) == terms_count() and terms[0] == 1
    assert terms[1 : 1 + N] == units.tolist() and terms[1 + N] == 4 and terms[-1] == units[-1] ** 2


def test_a_table_comes_back_from_its_file(table: TrustTable, tmp_path: Path) -> None:
    path = tmp_path / "trust.json"
    table.write(path)
    back = TrustTable.read(path)
    assert np.array_equal(back.weights, table.weights) and back.about == table.about
    with pytest.raises(CtgridError, match=r"exists; pass --overwrite"):
        table.write(path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("ctgrid_trust", 2),
        ("signs", ["noise"]),
        ("knots_hu", [0]),
        ("weights", [[1]]),
        ("weights", "x"),
        ("low", [9.0] * N),
        ("high", [float("nan")] * N),
        ("low", None),
    ],
)
def test_a_file_of_another_kind_is_refused_with_what_to_do(
    table: TrustTable, tmp_path: Path, key: str, value: object
) -> None:
    path = tmp_path / "trust.json"
    table.write(path)
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(CtgridError, match=r"trust\.json is no table of trust .* ctgrid model calibrate"):
        TrustTable.read(path)
    path.write_text("[")
    with pytest.raises(CtgridError, match="no table of trust"):
        TrustTable.read(path)

"""What a comparison compares, and all that is checked of it before any work."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.runs.evaluation.denoising_plan import NOISY, Evaluation, check_inputs, quick_methods
from ctgrid.runs.evaluation.noise import Noise

PLAN = Evaluation((Noise("gaussian", 60.0),), (NOISY, "tv"))


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    path = tmp_path / "a.nii.gz"
    path.write_bytes(b"looked at later")
    return path


def test_names_are_the_scans(scan: Path, tmp_path: Path) -> None:
    other = tmp_path / "b.nii"
    other.touch()
    assert check_inputs([scan, other], PLAN) == ["a", "b"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"noises": ()}, "at least one clean scan, one kind of noise and one method"),
        ({"methods": ()}, "and one method"),
        ({"methods": ("tvv",)}, "unknown denoising method 'tvv'"),
        ({"methods": ("tv[salt=1]",)}, "salt"),
        ({"strength": 0.0}, "a number of HU above 0, got 0"),
        ({"strength": float("nan")}, "a number of HU above 0, got nan"),
    ],
)
def test_plans_that_cannot_be(changes: dict[str, Any], words: str, scan: Path) -> None:
    with pytest.raises(CtgridError, match=words):
        check_inputs([scan], replace(PLAN, **changes))


def test_scans_that_are_not_there_or_called_alike(scan: Path, tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "a.nii").touch()
    with pytest.raises(CtgridError, match="two clean scans are called a; rename one"):
        check_inputs([scan, tmp_path / "x" / "a.nii"], PLAN)
    for clean, words in (([tmp_path / "none.nii"], "does not exist"), ([], "at least one clean scan")):
        with pytest.raises(CtgridError, match=words):
            check_inputs(clean, PLAN)


def test_a_scan_is_known_by_its_content_and_its_row(scan: Path, tmp_path: Path) -> None:
    plain = PLAN.source_of(scan)
    assert len(plain) == 64 and plain == PLAN.source_of(scan)
    table = tmp_path / "m.csv"
    found = []
    for intercept in (-1024, -1000):
        table.write_text(f"VolumeName,RescaleSlope,RescaleIntercept\na.nii.gz,1,{intercept}\n")
        found.append(replace(PLAN, metadata=(table,)).source_of(scan))
    assert all(one.startswith(plain) for one in found) and len({plain, *found}) == 3


def test_other_tools_stand_beside_the_methods(tmp_path: Path) -> None:
    plan = replace(PLAN, results=(tmp_path / "bm3d", tmp_path / "mine"))
    assert plan.compared == (NOISY, "tv", "bm3d", "mine") and plan.outside["mine"] == tmp_path / "mine"
    quick = quick_methods()
    assert quick[0] == NOISY and "tv" in quick and "patch-based" not in quick and len(set(quick)) == len(quick)

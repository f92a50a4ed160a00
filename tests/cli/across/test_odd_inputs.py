"""Bad and odd inputs: read, or refused with the reason; nothing hangs, nothing is left, nothing is touched."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2]))

from odd import archives, dicom, itk, nifti, places, stated
from odd.case import ANY, CASES, READ, Odd
from odd.run import examine, warm_up


@pytest.fixture(scope="module", autouse=True)
def warm(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Import everything once, so that time limits measure the work."""
    warm_up(tmp_path_factory.mktemp("warm"))


@pytest.mark.parametrize("odd", CASES, ids=[odd.id for odd in CASES])
def test_read_or_refused_with_the_reason(odd: Odd, tmp_path: Path) -> None:
    problems = {outcome.command: outcome.problems for outcome in examine(odd, tmp_path) if outcome.problems}
    assert problems == {}


def test_there_are_enough_of_each_kind() -> None:
    assert len({odd.name for odd in CASES}) == len(CASES) >= 40
    sure = [odd for odd in CASES if odd.convert not in (READ, ANY)]
    assert len(sure) > len(CASES) // 2 and sum(odd.convert == READ for odd in CASES) > 20
    assert all(module.__name__ in sys.modules for module in (nifti, itk, dicom, archives, places, stated))

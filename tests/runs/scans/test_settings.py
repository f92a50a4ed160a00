"""What is asked of ``convert``, ``info`` and ``simulate``: defaults said in two rooms are one."""

from __future__ import annotations

import inspect

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.base.settings import all_settings
from ctgrid.data.simulate.dose import low_dose
from ctgrid.runs.scans.settings import LowDoseSettings, read_spacing


def test_doses_have_the_defaults_of_what_makes_them() -> None:
    """Said in two rooms, because the lower one knows nothing of settings."""
    known = all_settings(LowDoseSettings)
    same = {"cutoff_per_mm": "cutoff"}
    compared = 0
    for name, parameter in inspect.signature(low_dose).parameters.items():
        if (found := known.get(same.get(name, name))) is not None:
            assert found.default == parameter.default, name
            compared += 1
    assert compared == 7


def test_spacings_as_typed() -> None:
    assert read_spacing("1.5,0.75, 0.7") == (1.5, 0.75, 0.7)
    for text in ("", "1", "1,2", "1,2,3,4", "a,b,c", "0,1,1", "1,1,401", "nan,1,1", "1,-1,1", "inf,1,1"):
        with pytest.raises(CtgridError, match=r"is not z,y,x with three numbers from 0\.05 to 400"):
            read_spacing(text)


@pytest.mark.parametrize("dose", [-0.1, 1.1, float("nan")])
def test_doses_that_are_none(dose: float) -> None:
    with pytest.raises(CtgridError, match="dose must be"):
        LowDoseSettings(dose=dose)

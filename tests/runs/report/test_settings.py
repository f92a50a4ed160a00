"""What is asked of ``ctgrid preview`` and ``report``."""

from __future__ import annotations

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.base.settings import all_settings, gather
from ctgrid.runs.report.settings import Options, PreviewSettings, ReportSettings


def test_names_or_all() -> None:
    assert PreviewSettings(name=("a",)).name == ("a",) and PreviewSettings(all=True).all
    with pytest.raises(CtgridError, match="give --name or --all, not both"):
        PreviewSettings(name=("a",), all=True)


@pytest.mark.parametrize("wrong", [{"fps": 0}, {"fps": 101}, {"plane": "oblique"}])
def test_movies_that_cannot_be(wrong: dict) -> None:
    with pytest.raises(CtgridError, match=next(iter(wrong))):
        PreviewSettings(**wrong)


@pytest.mark.parametrize(("name", "wrong"), [("max_mb", 0), ("max_volumes", -1)])
def test_reports_that_cannot_be(name: str, wrong: int) -> None:
    with pytest.raises(CtgridError, match=name):
        Options(**{name: wrong})


def test_options_of_a_report_are_settings_of_its_call() -> None:
    asked = gather(ReportSettings, {"max_mb": 64, "overwrite": True}, ReportSettings())
    assert asked.options.max_mb == 64 and asked.overwrite and asked.options.max_volumes == Options().max_volumes
    assert set(all_settings(Options)) < set(all_settings(ReportSettings))

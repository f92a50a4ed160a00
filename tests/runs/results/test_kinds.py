"""Results of every evaluation are recognised, and described as the tables and charts that people look for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.runs.report.html.chart import chart_html
from ctgrid.runs.report.html.table import table_html
from ctgrid.runs.results.chart import Lines
from ctgrid.runs.results.files import ResultsFile, read_results
from ctgrid.runs.results.kinds import KINDS, describe, kind_of, result_files
from ctgrid.runs.results.markdown import table_markdown


@pytest.fixture
def read(samples: dict[str, Any], tmp_path: Path) -> Any:
    """Return a reader of one of the samples, through a file."""

    def reader(kind: str) -> ResultsFile:
        path = tmp_path / f"{kind}.json"
        path.write_text(json.dumps(samples[kind]), encoding="utf-8")
        return read_results(path)

    return reader


@pytest.mark.parametrize("kind", [*KINDS, "rows"])
def test_every_kind_is_recognised_and_drawn(read: Any, kind: str) -> None:
    results = read(kind)
    assert results.kind.name == kind
    tables, charts = results.description.tables, results.description.charts
    assert tables and all(table_html(table) and table_markdown(table) for table in tables)
    assert all(chart_html(chart) for chart in charts)


def test_files_are_named_by_the_kinds() -> None:
    assert set(result_files()) == {"results.json", "nodules.json"}


@pytest.mark.parametrize("content", [None, [], {}, "text", {"kind": "volumes", "rows": [{"a": 1}]}])
def test_anything_else_is_no_results(content: Any) -> None:
    assert kind_of(content) is None
    with pytest.raises(CtgridError, match="no results of nodules, denoising"):
        describe(content)


def test_volumes_tell_protocol_detector_confidence_and_warnings(read: Any) -> None:
    described = read("volumes").description
    distances, ct, alike, figures, memory = described.tables
    row, column = distances.rows[0], distances.columns[2]
    assert (row["measure"], row["frames"], row["low"], row["high"]) == ("FVD", 16, 500.0, 525.0)
    assert distances.cell(row, column) == "512.5 (500 … 525)"
    assert row["detector"].startswith("i3d, cdcd") and described.protocol == "stylegan-v@1"
    assert distances.notes[0].startswith("Protocol: stylegan-v@1, sha256 abab") and "few samples" in distances.notes
    assert ct.rows[0]["real"] == 1.5 and figures.rows[0]["fake_sd"] is None
    assert (alike.rows[0]["real_min"], alike.rows[0]["fake_median"], alike.rows[0]["verdict"]) == (0.5, 0.9, "outside")
    assert "part of a chest" in alike.notes
    assert memory.rows[0]["ssim"] == 0.5 and "Verdict: new" in memory.notes[0]
    (curve,) = described.charts
    assert isinstance(curve, Lines) and set(curve.series) == {"real", "generated"}


def test_volumes_without_any_detector_keep_their_ct_measures(samples: dict[str, Any]) -> None:
    described = describe(samples["volumes"] | {"measures": [], "protocol": None})
    assert [table.columns[0].key for table in described.tables] == ["distance", "figure", "figure", "name"]


def test_volumes_without_a_detector_have_no_empty_table(samples: dict[str, Any]) -> None:
    described = describe({**samples["volumes"], "measures": [], "warnings": ["no detector"]})
    assert all(table.rows for table in described.tables) and described.notes == ["no detector"]
    assert not any("Protocol" in note for table in described.tables for note in table.notes)
    assert described.protocol == ""  # nothing was measured by it


def test_rounding_errors_are_shown_as_zero(samples: dict[str, Any]) -> None:
    distance = {"value": -2.4, "unit": "dB", "meaning": "m", "real_each": [1e-16, -3e-16]}
    ct = describe({**samples["volumes"], "ct": {"distances": {"bias": distance}}}).tables[1]
    assert [ct.cell(ct.rows[0], column) for column in ct.columns][:3] == ["bias", "-2.4", "0"]

"""Results of every evaluation are recognised, and become the tables and charts that people look for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.runs.report.html.chart import Bars, Lines
from ctgrid.runs.report.html.published import published_tables
from ctgrid.runs.report.html.result_charts import result_charts
from ctgrid.runs.report.html.result_tables import result_tables
from ctgrid.runs.report.html.results import Results, read_results


@pytest.fixture
def read(samples: dict[str, Any], tmp_path: Path) -> Any:
    """Return a reader of one of the samples, through a file."""

    def reader(kind: str) -> Results:
        path = tmp_path / f"{kind}.json"
        path.write_text(json.dumps(samples[kind]), encoding="utf-8")
        return read_results(path)

    return reader


@pytest.mark.parametrize("kind", ["denoising", "nodules", "volumes", "super-resolution", "ablation", "rows"])
def test_every_kind_is_recognised_and_drawn(read: Any, kind: str) -> None:
    results = read(kind)
    assert results.kind == kind
    assert all(table.html() and table.markdown() for table in result_tables(results))
    assert all(chart.html() for chart in result_charts(results))


def test_denoising_has_a_table_for_each_noise_and_curves_over_it(read: Any) -> None:
    results = read("denoising")
    first, second = result_tables(results)
    assert first.title.endswith("gaussian:50, 50 HU of noise") and second.notes and not first.notes
    assert [c.key for c in first.columns] == ["method", "psnr", "ssim", "seconds"]  # no column without a value
    psnr, ssim = result_charts(results)
    assert isinstance(psnr, Lines) and psnr.series["nlm"] == [(50, 42.5), (100, 40.0)]
    assert isinstance(ssim, Lines)


def test_one_noise_is_drawn_as_bars(samples: dict[str, Any]) -> None:
    results = read_results(Path("x.json"), samples["denoising"][:2])
    psnr, _ = result_charts(results)
    assert isinstance(psnr, Bars) and psnr.values == {"noisy": 37.5, "nlm": 42.5}


def test_volumes_tell_protocol_detector_confidence_and_warnings(read: Any) -> None:
    distances, ct, alike, figures, memory = result_tables(read("volumes"))
    row = distances.rows[0]
    assert (row["measure"], row["low"], row["high"]) == ("FVD, 16 frames", 500.0, 525.0)
    assert row["detector"].startswith("i3d, cdcd")
    assert distances.notes[0].startswith("Protocol: stylegan-v@1, sha256 abab") and "few samples" in distances.notes
    assert ct.rows[0]["real"] == 1.5 and figures.rows[0]["fake_sd"] is None
    assert (alike.rows[0]["real_min"], alike.rows[0]["fake_median"], alike.rows[0]["verdict"]) == (0.5, 0.9, "outside")
    assert "part of a chest" in alike.notes
    assert memory.rows[0]["ssim"] == 0.5 and "Verdict: new" in memory.notes[0]
    (curve,) = result_charts(read("volumes"))
    assert isinstance(curve, Lines) and set(curve.series) == {"real", "generated"}


def test_nodules_are_averaged(read: Any) -> None:
    (table,) = result_tables(read("nodules"))
    assert table.rows[0]["recovered"] == 0.5


def test_volumes_without_any_detector_keep_their_ct_measures(samples: dict[str, Any]) -> None:
    tables = result_tables(read_results(Path("x.json"), samples["volumes"] | {"measures": [], "protocol": None}))
    assert [table.columns[0].key for table in tables] == ["distance", "figure", "figure", "name"]


def test_ablation_is_compared_by_variant(read: Any) -> None:
    results = read("ablation")
    (table,) = result_tables(results)
    assert table.rows[1] == {"variant": "3-d", "seeds": 1, "fd": 4.5} and "Not complete" in table.notes[0]
    (published,) = published_tables(results.evaluation)
    assert published.title == "Positional embedding"
    assert results.title == "Ablation: Positions" and result_charts(results)[0].values["2-d"] == 5.5  # type: ignore


@pytest.mark.parametrize(
    "content",
    ["{", "[]", "{}", "3", '[{"volume": 1}]', '{"kind": "volumes", "measures": []}', '{"kind": "x", "rows": 3}'],
)
def test_other_files_are_refused_in_one_line(tmp_path: Path, content: str) -> None:
    path = tmp_path / "results.json"
    path.write_text(content)
    with pytest.raises(CtgridError, match="holds no results") as caught:
        read_results(path)
    assert "\n" not in str(caught.value)


def test_volumes_without_a_detector_have_no_empty_table(samples: dict[str, Any]) -> None:
    content = {**samples["volumes"], "measures": [], "warnings": ["no detector"]}
    ct, *_ = tables = result_tables(read_results(Path("x.json"), content))
    assert all(table.rows for table in tables) and ct.notes[0] == "no detector"
    assert not any("Protocol" in note for table in tables for note in table.notes)


def test_rounding_errors_are_shown_as_zero(samples: dict[str, Any]) -> None:
    distance = {"value": -2.4, "unit": "dB", "meaning": "m", "real_each": [1e-16, -3e-16]}
    content = {**samples["volumes"], "ct": {"distances": {"bias": distance}}}
    ct = result_tables(read_results(Path("x.json"), content))[1]
    assert [ct.cell(ct.rows[0], column) for column in ct.columns][:3] == ["bias", "-2.4", "0"]


@pytest.mark.parametrize(("k", "said"), [(2, "half"), (4, "a quarter"), (8, "1/8"), (None, "a part")])
def test_super_resolution_tells_the_factor(samples: dict[str, Any], k: int | None, said: str) -> None:
    rows = [{**row, "k": k} for row in samples["super-resolution"]["rows"]]
    (table,) = result_tables(read_results(Path("x.json"), {"kind": "super-resolution", "rows": rows}))
    assert table.title == f"scan: slices back from {said} of their side"

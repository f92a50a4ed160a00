"""Results of every evaluation are recognised, and described as the tables and charts that people look for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.runs.report.html.chart import chart_html
from ctgrid.runs.report.html.table import table_html
from ctgrid.runs.results.chart import Bars, Lines
from ctgrid.runs.results.files import ResultsFile, read_results
from ctgrid.runs.results.kinds import KINDS, describe, kind_of, result_files
from ctgrid.runs.results.markdown import table_markdown
from ctgrid.runs.results.published import published_tables


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


def test_denoising_has_a_table_for_each_noise_and_curves_over_it(read: Any) -> None:
    described = read("denoising").description
    first, second = described.tables
    assert first.title.endswith("gaussian:50: 50 HU of noise") and "2000 HU" in described.notes[0] and second.rows
    assert [c.key for c in first.columns] == ["method", "psnr", "ssim", "seconds"]  # no column without a value
    psnr, ssim = described.charts
    assert isinstance(psnr, Lines) and psnr.series["nlm"] == [(50, 42.5), (100, 40.0)]
    assert isinstance(ssim, Lines)


def test_one_noise_is_drawn_as_bars(samples: dict[str, Any]) -> None:
    psnr, _ = describe(samples["denoising"][:2]).charts
    assert isinstance(psnr, Bars) and psnr.values == {"noisy": 37.5, "nlm": 42.5}


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


def test_nodules_are_averaged_over_all_and_by_kind(read: Any) -> None:
    (table,) = read("nodules").description.tables
    row = table.rows[0]
    assert row["recovered"] == row["4 200"] == 0.5
    assert [c.heading for c in table.columns] == ["method", "all nodules", "false / l", "lost / l", "4 mm 200 HU", "s"]
    assert "2 nodules planted in 1.00 l of lung" in table.title


def test_volumes_without_any_detector_keep_their_ct_measures(samples: dict[str, Any]) -> None:
    described = describe(samples["volumes"] | {"measures": [], "protocol": None})
    assert [table.columns[0].key for table in described.tables] == ["distance", "figure", "figure", "name"]


def test_ablation_is_compared_by_variant(read: Any) -> None:
    described = read("ablation").description
    (table,) = described.tables
    assert table.rows[1] == {"variant": "3-d", "fd": 4.5, "fd_min": 4.5, "fd_max": 4.5}
    assert "Not complete: rows are missing." in described.notes
    published = published_tables(described.beside)
    assert [table.title for table in published] == ["Table 4: Positional embedding, 2-D (stock DiT) and 3-D"]
    assert described.title == "Ablation: Positions"
    (bars,) = described.charts
    assert isinstance(bars, Bars) and bars.values["2-d"] == 5.5


def test_a_variant_is_told_with_its_span_its_cost_and_real_volumes(samples: dict[str, Any]) -> None:
    cost = {"parameters": 1_900_000, "tokens": 64, "model": "a-seed0", "train_seconds": None, "sample_seconds": 2.0}
    described = describe(
        samples["ablation"]
        | {
            "variants": [{"name": "a", "says": "what a is"}, {"name": "b", "says": "not yet"}],
            "summary": {"a": {"seeds": 2, "fd": {"mean": 2.0, "min": 1.5, "max": 2.5}}},
            "rows": [{"variant": "a", **cost}],
            "reference": {"training": {"fd": 1.0}, "held_out": {}},
        }
    )
    figures, facts = map(table_markdown, described.tables)
    assert "2.00 (1.50 … 2.50)" in figures and "| real: training patients |" in figures
    assert "mean of 2 trainings with the least and the greatest in brackets" in figures
    assert "| what a is  |          1.90 |     64 |".replace(" ", "") in facts.replace(" ", "")
    assert "| as a " in facts and "| not yet " in facts


def test_volumes_without_a_detector_have_no_empty_table(samples: dict[str, Any]) -> None:
    described = describe({**samples["volumes"], "measures": [], "warnings": ["no detector"]})
    assert all(table.rows for table in described.tables) and described.notes == ["no detector"]
    assert not any("Protocol" in note for table in described.tables for note in table.notes)
    assert described.protocol == ""  # nothing was measured by it


def test_rounding_errors_are_shown_as_zero(samples: dict[str, Any]) -> None:
    distance = {"value": -2.4, "unit": "dB", "meaning": "m", "real_each": [1e-16, -3e-16]}
    ct = describe({**samples["volumes"], "ct": {"distances": {"bias": distance}}}).tables[1]
    assert [ct.cell(ct.rows[0], column) for column in ct.columns][:3] == ["bias", "-2.4", "0"]


def test_super_resolution_has_means_where_there_are_several_volumes(samples: dict[str, Any]) -> None:
    known = {"k": 4, "size": 64, "slices": "1:8:3", "slices_measured": 3, "through_codec": True}
    rows = [{**row, **known, "window_hu": [-1000, 1000]} for row in samples["super-resolution"]["rows"]]
    more = [{**row, "volume": "other", "psnr": row["psnr"] + 2} for row in rows[:1]]
    described = describe({"kind": "super-resolution", "rows": rows + more})
    first, _, means = described.tables
    assert first.title == (
        "scan: 3 slices (1:8:3) of 16 brought back to 64 pixels, through the codec; PSNR and SSIM over -1000 to 1000 HU"
    )
    assert means.title == "mean of 2 volumes"
    assert [(row["method"], row["psnr"]) for row in means.rows] == [("bicubic", 36.25)]  # the other lacks a volume
    (bars,) = described.charts
    assert isinstance(bars, Bars) and bars.title.endswith("through the codec")


@pytest.mark.parametrize(("k", "said"), [(4, "1/4"), (None, "a part")])
def test_super_resolution_of_earlier_versions_is_read(samples: dict[str, Any], k: int | None, said: str) -> None:
    rows = [{**row, "k": k} for row in samples["super-resolution"]["rows"]]
    (table,) = describe({"kind": "super-resolution", "rows": rows}).tables
    assert table.title == f"scan: slices back from {said} of their side"

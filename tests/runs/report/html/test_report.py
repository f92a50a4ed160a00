"""The report as a whole: its three files, what they hold, and what they must never do."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ctgrid import Volume
from ctgrid.base.errors import CtgridError
from ctgrid.runs.report.html.report import Options, write_report
from ctgrid.runs.report.html.viewer import viewer_page

SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def inputs(tmp_path: Path, samples: dict[str, Any], chest_volume: Volume) -> list[Path]:
    """Return one file of every kind, some with names that hold markup."""
    paths = [chest_volume.write(tmp_path / "a <b> & 'c'.nii.gz")]
    for kind, content in samples.items():
        paths.append(tmp_path / f"{kind}.json")
        paths[-1].write_text(json.dumps(content))
    record = {"command": f"synthesize{SCRIPT}", "status": "done", "outputs": [], "settings": {SCRIPT: SCRIPT}}
    (tmp_path / "run.json").write_text(json.dumps(record))
    return [*paths, tmp_path / "run.json"]


def test_three_files_hold_everything(inputs: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out" / "report.html"
    out.parent.mkdir()
    written = write_report(inputs, out, Options(title=f"Title {SCRIPT}"))
    assert sorted(p.name for p in out.parent.iterdir()) == ["report.html", "report.json", "report.md"]
    page = out.read_text(encoding="utf-8")
    for mark in ("viewer", "scrubber", "plane", "window", "slider", "hu-readout", "results-table", "published-table"):
        assert f'data-testid="{mark}"' in page, mark
    assert page.count('data-testid="run-record"') == 1 and page.count('data-testid="chart"') >= 5
    data = json.loads((out.parent / "report.json").read_text(encoding="utf-8"))
    kinds = [one["kind"] for one in data["results"]]
    assert kinds == [
        "denoising", "nodules", "volumes", "video", "super-resolution", "ablation:positions", "", "ceiling"
    ]  # fmt: skip
    assert data["volumes"][0]["whole_shape"] == [24, 48, 64] and len(data["published"]["tables"]) >= 8
    text = (out.parent / "report.md").read_text(encoding="utf-8")
    assert "SkyTimelapse" in text and "| nlm" in text and written.notes == []


def test_nothing_from_a_file_becomes_markup(inputs: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "x.html"
    write_report(inputs, out, Options(title=f"Title {SCRIPT}"))
    page = out.read_text(encoding="utf-8")
    assert SCRIPT not in page and "<b> &" not in page
    assert len(re.findall("<script", page)) == 4  # the program, NiiVue, the viewer's data, one volume
    assert SCRIPT not in out.with_suffix(".md").read_text(encoding="utf-8")


def test_page_asks_for_nothing_and_lets_only_its_own_program_run(inputs: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "x.html"
    write_report(inputs, out, Options())
    page = out.read_text(encoding="utf-8")
    loads = re.findall(r"<(?:link|script|img|iframe|source|video)[^>]*?(?:src|href)=\"([^\"]*)", page)
    assert all(target.startswith("data:") for target in loads), loads
    assert "url(" not in page and "@import" not in page
    policy = re.search(r'Content-Security-Policy" content="([^"]*)', page)
    assert policy is not None and policy[1].startswith("default-src &#x27;none&#x27;; script-src &#x27;sha256-")


def test_existing_reports_and_inputs_are_never_replaced(inputs: list[Path], tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text("mine")
    with pytest.raises(CtgridError, match="overwrite"):
        write_report(inputs, tmp_path / "there.html", Options())
    before = {path: path.read_bytes() for path in inputs}
    for name in ("denoising.html", "run.html"):  # their JSON would be an input
        with pytest.raises(CtgridError, match="is the input"):
            write_report(inputs, tmp_path / name, Options(), overwrite=True)
    assert before == {path: path.read_bytes() for path in inputs}
    assert (tmp_path / "there.md").read_text() == "mine" and not list(tmp_path.glob("*.html"))


def test_too_many_volumes_are_left_out_and_told(chest_volume: Volume, tmp_path: Path) -> None:
    folder = tmp_path / "volumes"
    folder.mkdir()
    for name in "abc":
        chest_volume.write(folder / f"{name}.nii.gz")
    (folder / "b.nii.gz").write_bytes(b"damaged")
    written = write_report([folder], tmp_path / "x.html", Options(max_volumes=2))
    assert [scene.name for scene in written.content.scenes] == ["a"]
    assert len(written.notes) == 2 and "b.nii.gz" in written.notes[0] and written.notes[1].endswith(": c.")
    with pytest.raises(CtgridError, match=r"b\.nii\.gz.*no report was written"):  # named itself, it is an error
        write_report([folder / "a.nii.gz", folder / "b.nii.gz"], tmp_path / "y.html", Options())


def test_output_inside_a_series_is_refused(chest_volume: Volume, tmp_path: Path) -> None:
    series = chest_volume.reoriented("LPS").write(tmp_path / "series")
    with pytest.raises(CtgridError, match="inside the input"):
        write_report([series], series / "x.html", Options())


def test_preview_page_has_the_viewer_alone(chest_volume: Volume) -> None:
    page = viewer_page([(f"one {SCRIPT}", chest_volume), ("two", chest_volume)], "A title")
    assert page.count('data-testid="scrubber"') == 1 and 'data-testid="volume"' in page
    assert SCRIPT not in page and page.startswith("<!DOCTYPE html>")

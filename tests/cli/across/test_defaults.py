"""Commands as people are told to type them, without ``--out``: where what they write goes, and what it replaces."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ctgrid import Volume


@pytest.fixture
def here(tmp_path: Path, scan: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder below that of the scan."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def names(folder: Path) -> set[str]:
    """List a folder."""
    return {path.name for path in folder.iterdir()}


def last(result: Any) -> str:
    """Return the last line on the console, of a command that succeeded."""
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    return str(result.stdout.splitlines()[-1])


def test_synthesize_as_told(ctgrid: Callable[..., Any], fails: Callable[..., str], fake: Any, here: Path) -> None:
    """Into the working folder, named by what it is; a second time only with --overwrite."""
    made = {"embedded_201slices_seed0.nii.gz", "embedded_201slices_seed0.png", "embedded_201slices_seed0.run.json"}
    line = last(ctgrid("synthesize", "--slices", 201))
    assert (
        line
        == "wrote embedded_201slices_seed0.nii.gz, embedded_201slices_seed0.png and embedded_201slices_seed0.run.json"
    )
    assert names(here) == made
    assert "embedded_201slices_seed0.nii.gz exists; pass --overwrite" in fails("synthesize", "--slices", 201)
    assert ctgrid("synthesize", "--slices", 201, "--overwrite").exit_code == 0
    assert ctgrid("synthesize", "--slices", 5, "--seed", 7, "--model", "/x/my model").exit_code == 0
    assert "my-model_5slices_seed7.nii.gz" in names(here)


def test_a_series_as_told(ctgrid: Callable[..., Any], fake: Any, here: Path) -> None:
    """Into a folder whose name holds no seed, so that more volumes go on in it."""
    line = last(ctgrid("synthesize", "--slices", 3, "--count", 2, "--no-picture"))
    assert line.startswith("wrote embedded_3slices/embedded_3slices_seed0.nii.gz, embedded_3slices_seed1.nii.gz and ")
    again = ctgrid("synthesize", "--slices", 3, "--count", 5, "--json")
    assert json.loads(again.stdout)["results"] == {"made": 3, "already_there": 2}
    volumes = {f"embedded_3slices_seed{i}.nii.gz" for i in range(5)}
    assert volumes <= names(here / "embedded_3slices")
    assert "6 files in embedded_3slices; embedded_3slices/run.json" in last(
        ctgrid("synthesize", "--slices", 3, "--seed", 9, "--count", 3)
    )
    assert names(here) == {"embedded_3slices"}
    assert last(ctgrid("synthesize", "--slices", 3, "--seed", 9, "--count", 3)) == "wrote embedded_3slices/run.json"


def test_runs_reach_the_pipeline(ctgrid: Callable[..., Any], fake: Any, here: Path) -> None:
    """As parts, and as the volume's name."""
    result = ctgrid("synthesize", "--slices", 3, "--stage1", "r/one", "--stage2", "r/two", "--codec", "r/c")
    assert "wrote one-two-c_3slices_seed0.nii.gz" in last(result)
    parts = {"stage1": Path("r/one"), "stage2": Path("r/two"), "codec": "r/c"}
    assert fake.calls[0] == {"model": "embedded", "device": "auto", "dtype": "auto", **parts}


def test_the_size_is_the_models_own(ctgrid: Callable[..., Any], tiny_model: Path, here: Path) -> None:
    """Said in the record; a series is taken up by naming it, too."""
    quick = ("--slices", 3, "--steps", 2, "--refine-steps", 1, "--device", "cpu", "--model", tiny_model, "--out", "a")
    record = json.loads(ctgrid("synthesize", *quick, "--count", 1, "--json").stdout)
    assert record["settings"]["size"] == 64 and Volume.read("a/volume_0000.nii.gz").shape == (3, 64, 64)
    again = json.loads(ctgrid("synthesize", *quick, "--count", 1, "--size", 64, "--json").stdout)
    assert again["results"] == {"made": 0, "already_there": 1}


def test_a_movie_as_told(ctgrid: Callable[..., Any], tiny_model: Path, here: Path) -> None:
    """Numbered by seed where there are several."""
    quick = ("--frames", 3, "--steps", 2, "--refine-steps", 1, "--device", "cpu", "--model", tiny_model)
    line = last(ctgrid("synthesize", "--as", "video", *quick, "--count", 2))
    stem = f"{tiny_model.name}_3frames_seed"
    assert line == f"wrote {stem}0.mp4, {stem}1.mp4 and run.json"
    assert names(here) == {f"{stem}{i}.{end}" for i in range(2) for end in ("mp4", "run.json")} | {"run.json"}


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
def test_denoise_as_told(
    suffix: str, ctgrid: Callable[..., Any], fails: Callable[..., str], fake: Any, scan: Path, here: Path
) -> None:
    """Beside the input, in its format and number format; a second time only with --overwrite."""
    source = Volume.read(scan).write(here / f"in{suffix}")
    before = source.read_bytes()
    line = last(ctgrid("denoise", f"in{suffix}"))
    assert line == f"wrote in_denoised{suffix}, in_denoised_compared.png and in_denoised.run.json"
    assert names(here) == {f"in{suffix}", f"in_denoised{suffix}", "in_denoised_compared.png", "in_denoised.run.json"}
    made = Volume.read(here / f"in_denoised{suffix}")
    assert made.shape == Volume.read(source).shape and source.read_bytes() == before
    assert f"in_denoised{suffix} exists; pass --overwrite" in fails("denoise", f"in{suffix}")
    assert ctgrid("denoise", f"in{suffix}", "--overwrite").exit_code == 0


def test_dicom_as_told(ctgrid: Callable[..., Any], fake: Any, scan: Path, here: Path) -> None:
    """A folder's series into a folder beside it, a zip's too."""
    volume = Volume.read(scan)
    volume.write(here / "series")
    shutil.make_archive(str(here / "packed"), "zip", here / "series")
    assert last(ctgrid("denoise", "series/")).startswith("wrote series_denoised, ")
    assert last(ctgrid("denoise", "packed.zip")).startswith("wrote packed_denoised, ")
    for name in ("series_denoised", "packed_denoised"):
        assert Volume.read(here / name).shape == volume.shape
    assert {"series_denoised_compared.png", "packed_denoised_compared.png"} <= names(here)


def test_a_folder_of_scans_as_told(ctgrid: Callable[..., Any], fake: Any, scan: Path, here: Path) -> None:
    """Into a folder beside it, under their own names, even from inside; --resume goes on in it."""
    (here / "scans").mkdir()
    for name in ("a.nii.gz", "b.nrrd"):
        Volume.read(scan).write(here / "scans" / name)
    assert last(ctgrid("denoise", "scans", "--no-picture")).startswith("wrote scans_denoised/a.nii.gz, b.nrrd and run")
    assert names(here) == {"scans", "scans_denoised"} and names(here / "scans") == {"a.nii.gz", "b.nrrd"}
    os.chdir("scans")
    result = ctgrid("denoise", ".", "--no-picture", "--resume", "--json")
    assert json.loads(result.stdout)["results"]["kept"] == 2


def test_several_inputs_as_told(
    ctgrid: Callable[..., Any], fails: Callable[..., str], fake: Any, scan: Path, here: Path, bad_scan: Any
) -> None:
    """Each beside its own; one that fails does not stop the others; a journal in each folder lets a call go on."""
    for name in ("one", "two", "many"):
        (here / name).mkdir()
    sources = [Volume.read(scan).write(here / place) for place in ("one/a.nii.gz", "two/a.nii.gz")]
    bad = shutil.copy(bad_scan("truncated"), here / "one" / "bad.nii.gz")
    for name in ("x.nii", "y.nii"):
        Volume.read(scan).write(here / "many" / name)
    line = ("denoise", *sources, bad, "many", "--residual", "rest", "--no-picture")
    result = ctgrid(*line)
    assert result.exit_code == 0 and "beside the inputs: 4 done, 1 failed" in result.stdout, result.output
    assert names(here / "two") == {"a.nii.gz", "a_denoised.nii.gz", "a_denoised.run.json", "denoise.jsonl"}
    assert names(here / "one") == names(here / "two") | {"bad.nii.gz", "run.json"}
    assert names(here / "many_denoised") == {"x.nii", "x.run.json", "y.nii", "y.run.json", "denoise.jsonl"}
    assert names(here / "rest") == {"one__a.nii.gz", "two__a.nii.gz", "x.nii", "y.nii"}
    assert "--resume" in fails(*line)
    again = json.loads(ctgrid(*line, "--resume", "--json").stdout)["results"]
    assert (again["kept"], again["failed"]) == (4, 1)


def test_results_are_no_inputs(ctgrid: Callable[..., Any], fails: Callable[..., str], fake: Any, here: Path) -> None:
    """A second call over the same files or the folder above leaves them out and says so; by itself, one is a scan."""
    scan = here.parent / "scan.nii.gz"
    for name in ("a.nii", "b.nii"):
        Volume.read(scan).write(here / name)
    (here / "sub").mkdir()
    Volume.read(scan).write(here / "sub" / "c.nii")
    assert ctgrid("denoise", "a.nii", "b.nii", "sub", "--no-picture").exit_code == 0
    calls = len(fake.calls)
    result = ctgrid("denoise", *sorted(here.glob("*.nii")), "sub", "--no-picture", "--overwrite")
    assert "left out as results of an earlier call: a_denoised.nii, b_denoised.nii (" in result.stdout
    assert len(fake.calls) == calls + 4 and not list(here.glob("*_denoised_denoised*"))
    result = ctgrid("denoise", here, "--out", here.parent / "all", "--no-picture", "--json")
    record = json.loads(result.stdout)["results"]
    assert [Path(path).name for path in record["left_out"]] == ["a_denoised.nii", "b_denoised.nii", "c.nii"]
    assert record["done"] == 3
    assert last(ctgrid("denoise", "a_denoised.nii", "--no-picture")).startswith("wrote a_denoised_denoised.nii")


def test_folders_that_cannot_be_written(
    fails: Callable[..., str], fake: Any, scan: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line that names --out, before any work."""
    allowed = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: Path(path).resolve() not in (here, scan.parent) and allowed(path, mode)
    )
    for line in (("synthesize",), ("denoise", scan), ("preview", scan), ("simulate", "low-dose", scan)):
        message = fails(*line)
        assert "no permission to write in" in message and "--out" in message
    assert fake.calls == []


def test_others_as_told(ctgrid: Callable[..., Any], fails: Callable[..., str], scan: Path, here: Path) -> None:
    """A picture, a page, another format, another dose, phantoms: beside the input, or in the working folder."""
    volume = Volume.read(scan)
    volume.write(here / "v.mha")
    assert last(ctgrid("preview", "v.mha")).startswith("wrote v_preview.png and ")
    assert last(ctgrid("report", "v.mha")).startswith("wrote report.html, ")
    assert last(ctgrid("convert", "v.mha")) == "wrote v.nii.gz and v.run.json"
    assert np.array_equal(Volume.read(here / "v.nii.gz").hu, volume.hu)
    assert "v.nii.gz is NIfTI already" in fails("convert", "v.nii.gz", code=2)
    for line in (("preview", "v.mha"), ("report", "v.mha"), ("convert", "v.mha")):
        assert "pass --overwrite" in fails(*line)
    small = ("--slices", 3, "--size", 32)
    assert (
        last(ctgrid("simulate", "phantom", *small))
        == "wrote phantom_3slices_seed0.nii.gz and phantom_3slices_seed0.run.json"
    )
    assert last(ctgrid("simulate", "phantom", *small, "--count", 2, "--seed", 4)).startswith(
        "wrote phantom_3slices/phantom_3slices_seed4.nii.gz, phantom_3slices_seed5.nii.gz and run"
    )
    assert last(ctgrid("simulate", "low-dose", "v.mha", "--dose", 0.5)) == "wrote v_dose0.5.mha and v_dose0.5.run.json"


def test_stores_as_told(ctgrid: Callable[..., Any], make_store: Callable[..., Any], here: Path) -> None:
    """Their pictures and their split lie beside them."""
    make_store(here / "chest.zarr", "one", "two")
    assert last(ctgrid("grids", "chest.zarr")) == "wrote chest_grids and chest_grids/run.json"
    assert list((here / "chest_grids").rglob("*.png"))
    assert last(ctgrid("split", "chest.zarr", "--valid", 50)).startswith("wrote chest_split.yaml and ")


def test_starts_are_listed_as_explained(ctgrid: Callable[..., Any]) -> None:
    """What the help explains first is listed first."""
    text = " ".join(ctgrid("denoise", "--help").stdout.replace("│", " ").split())
    assert "(matched), or with noise added. One of matched, noised." in text

"""What outputs are called where nobody named them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ctgrid import CtgridError
from ctgrid.scan.names import beside, made_by, model_word, numbered_name, scan_name


@pytest.mark.parametrize(
    ("source", "result"),
    [
        ("in.nii.gz", "in_denoised.nii.gz"),
        ("a/in.v1.NII", "a/in.v1_denoised.nii"),
        ("in.nrrd", "in_denoised.nrrd"),
        ("in.nhdr", "in_denoised.nrrd"),
        ("in.mha", "in_denoised.mha"),
        ("in.mhd", "in_denoised.mha"),
        ("study.zip", "study_denoised"),
        ("IM0001.dcm", "IM0001_denoised"),
        ("IM0001", "IM0001_denoised"),
        (".nii.gz", ".nii.gz_denoised.nii.gz"),
    ],
)
def test_beside_in_its_own_format(source: str, result: str) -> None:
    """Files keep what can be written; archives and DICOM become folders."""
    assert beside(Path(source), "_denoised") == Path(result)


def test_a_scan_is_called_as_its_file() -> None:
    """Without the suffix of a volume; dots that are none stay."""
    names = ("a.b.nii.gz", "a.b", "A.NII", "x.zip", ".nii.gz")
    assert [scan_name(Path(name)) for name in names] == ["a.b", "a.b", "A", "x", ".nii.gz"]


def test_folders_have_no_suffix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever their names look like; the working folder has the name it has above."""
    for name in ("series", "scan.nii.gz", "chest.zarr"):
        (tmp_path / name).mkdir()
    assert beside(tmp_path / "series", "_denoised").name == "series_denoised"
    assert beside(tmp_path / "scan.nii.gz", "_denoised").name == "scan.nii.gz_denoised"
    assert beside(tmp_path / "chest.zarr", "_grids", "").name == "chest_grids"
    monkeypatch.chdir(tmp_path / "series")
    assert beside(Path(), "_preview", ".png") == tmp_path / "series_preview.png"
    with pytest.raises(CtgridError, match="name it with --out"):
        beside(Path("/"), "_denoised")


def test_models_are_one_word(tmp_path: Path) -> None:
    """Names, folders and hubs; parts in place of a model's own."""
    words = [model_word(m) for m in ("embedded", tmp_path / "my model (2)", "hub:lab/tiny@v1", "hub:../..")]
    assert words == ["embedded", "my-model-2", "lab-tiny-v1", "model"]
    assert made_by("embedded", "runs/a", "runs/b") == "a-b"
    assert made_by("embedded", "runs/a", codec="hub:x/y") == "embedded-a-x-y"
    assert numbered_name("embedded", 201, "slices", 0) == "embedded_201slices_seed0"
    assert numbered_name("embedded", 201, "slices") == "embedded_201slices"

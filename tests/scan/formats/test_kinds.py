"""Which format a path stands for, read and written."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.scan.formats.kinds import FORMATS, input_format, output_format, output_kind, readable, writable


def test_every_suffix_is_of_one_format() -> None:
    """And what is written can be read again."""
    assert max(Counter(readable()).values()) == max(Counter(writable()).values()) == 1
    assert set(writable()) < set(readable())
    assert all(suffix == suffix.lower() and suffix[0] == "." for suffix in readable())
    assert all(name == each.name for name, each in FORMATS.items())


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *(("a.nii", "nifti"), ("A.NII.GZ", "nifti"), ("a.b.nrrd", "itk"), ("a.mha", "itk")),
        *(("series", "dicom"), ("patient.7", "dicom"), ("a.v1", "dicom")),
    ],
)
def test_a_name_says_what_is_written(name: str, kind: str) -> None:
    """Dots of no known suffix belong to a folder's name."""
    assert output_kind(Path(name)) == kind == output_format(Path(name)).name


@pytest.mark.parametrize("name", ["a.png", "a.nhdr", "a.zip", "a.gz", "a.json", "a.pt"])
def test_names_of_other_files_are_no_volumes(name: str, tmp_path: Path) -> None:
    """With those that are; a folder that is there may be called as it likes."""
    with pytest.raises(CtgridError, match=rf"cannot write .*{name}: volumes are written as \.nii, .*or as a folder"):
        output_format(tmp_path / name)
    (tmp_path / name).mkdir()
    assert output_kind(tmp_path / name) == "dicom"


def test_a_name_comes_before_the_content_which_comes_before_nothing(tmp_path: Path) -> None:
    """DICOM is known by its preamble under any other name."""
    dicom = bytes(128) + b"DICM"
    for name, content, kind in (
        ("a.nii", dicom, "nifti"),
        ("a.mhd", b"", "itk"),
        ("a.dcm", b"", "dicom"),
        ("IM0001", dicom, "dicom"),
        ("a.txt", dicom, "dicom"),
        ("b.txt", b"hello", None),
        ("empty", b"", None),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        found = input_format(path)
        assert (None if found is None else found.name) == kind, name
    folder = input_format(tmp_path)
    assert folder is not None and folder.name == "dicom" and folder.series

"""Names that ITK cannot open: it ends the whole process over them, so they reach it by a link."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ctgrid.scan.volume import Volume

AFFINE = np.diag([-0.8, -0.8, 2.5, 1.0])
NO_UTF8 = b"b\xff d"


@pytest.fixture
def hu() -> np.ndarray:
    """Air around soft tissue."""
    hu = np.full((4, 16, 16), -1000, np.int16)
    hu[:, 4:12, 4:12] = 40
    return hu


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_a_name_that_is_no_utf8_is_written_and_read(suffix: str, hu: np.ndarray, tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(NO_UTF8)
    folder.mkdir()
    path = folder / os.fsdecode(NO_UTF8 + suffix.encode())
    Volume(hu, AFFINE).write(path)
    back = Volume.read(path)
    assert (back.hu == hu).all() and back.record["written_by_ctgrid"]
    assert list(folder.iterdir()) == [path]


def test_a_header_finds_its_data_beside_it(hu: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(NO_UTF8 + b".mhd")
    (tmp_path / "größe.raw").write_bytes(hu.tobytes())
    text = (
        "NDims = 3\nDimSize = 16 16 4\nElementSpacing = 1 1 1\nElementType = MET_SHORT\nElementDataFile = größe.raw\n"
    )
    path.write_bytes(("ObjectType = Image\n" + text).encode())
    assert (Volume.read(path).hu == hu).all()


def test_an_ascii_file_system_encoding_ends_nothing(hu: np.ndarray, tmp_path: Path) -> None:
    """Python then holds such names in surrogates; a process of its own, because the encoding is fixed at its start."""
    Volume(hu, AFFINE).write(tmp_path / "größe.nrrd")
    code = "import sys; from ctgrid import Volume; v = Volume.read(sys.argv[1]); v.write(sys.argv[2]); print(v.shape)"
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "größe.nrrd", tmp_path / "ö.mha"],
        env=os.environ | plain,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "(4, 16, 16)\n"), done.stderr
    assert (Volume.read(tmp_path / "ö.mha").hu == hu).all()

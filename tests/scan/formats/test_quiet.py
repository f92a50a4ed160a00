"""Libraries below say nothing to the terminal: what matters arrives as an exception."""

from __future__ import annotations

import io
import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from ctgrid.scan.formats.quiet import quiet, quiet_logger


@pytest.fixture
def sound(tmp_path: Path) -> dict[str, bytes]:
    """Return a slice compressed by libjpeg."""
    image = sitk.GetImageFromArray(np.random.default_rng(0).integers(-1000, 1000, (1, 64, 64)).astype(np.int16))
    facts = {"0008|0060": "CT", "0018|0050": "2", "0020|0032": "0\\0\\0", "0020|0037": "1\\0\\0\\0\\1\\0"}
    for tag, value in facts.items():
        image.SetMetaData(tag, value)
    writer = sitk.ImageFileWriter()
    writer.UseCompressionOn()
    writer.SetCompressor("JPEG")
    writer.SetFileName(str(tmp_path / "jpeg.dcm"))
    writer.Execute(image)
    return {"jpeg.dcm": (tmp_path / "jpeg.dcm").read_bytes()}


def test_c_libraries_are_silent(sound: dict[str, bytes], tmp_path: Path, forked: Any) -> None:
    """In a process of its own, where libjpeg's complaints would reach the terminal."""
    raw = bytearray(sound["jpeg.dcm"])
    for at in range(len(raw) - 900, len(raw) - 800):
        raw[at] = 0xFF
    (tmp_path / "a.dcm").write_bytes(raw)
    code = "import sys, ctgrid; from ctgrid.scan.formats.open import read_stored; from pathlib import Path\n"
    code += "try: read_stored(Path(sys.argv[1]))\nexcept ctgrid.CtgridError: pass"
    done = forked(code, tmp_path / "a.dcm").wait()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_descriptor_two_is_pointed_away_and_back(capfd: pytest.CaptureFixture[str]) -> None:
    """After a failure too, and one inside the other."""
    with pytest.raises(KeyError), quiet():
        with quiet():
            os.write(2, b"libjpeg: inner")
        os.write(2, b"libjpeg: outer")
        raise KeyError
    os.write(2, b"afterwards")
    assert capfd.readouterr().err == "afterwards"


def test_without_a_standard_error_nothing_breaks(forked: Any) -> None:
    """As of services and of windows without a console."""
    code = (
        "import os, sys\nfrom ctgrid.scan.formats.quiet import quiet\nimport SimpleITK\n"
        "os.close(2)\nsys.stderr = None\nwith quiet(): print('inside')"
    )
    done = forked(code).wait()
    assert (done.returncode, done.stdout) == (0, "inside\n")


def test_a_logger_is_quiet_with_those_below_it_and_heard_again(logged: list[str]) -> None:
    logger = logging.getLogger("some.package")
    own = logging.StreamHandler(stream := io.StringIO())
    logger.addHandler(own)
    logger.setLevel(logging.INFO)
    with pytest.raises(KeyError), quiet_logger("some.package"):
        logger.critical("lost")
        logging.getLogger("some.package.below").critical("lost")
        raise KeyError
    logger.info("heard")
    assert logged == ["heard"] and stream.getvalue() == "heard\n"
    assert logger.level == logging.INFO and logger.handlers == [own] and logger.propagate

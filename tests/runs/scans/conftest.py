"""A small scan of whole numbers, and the command line in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import ctgrid
from ctgrid_cli import app


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """Air around a body of water, of whole numbers."""
    z, y, x = np.mgrid[:6, -1:1:32j, -1:1:32j]
    hu = np.where(x**2 + y**2 < 0.6, 40 + z, -1000).astype(np.int16)
    return ctgrid.Volume(hu, np.diag([-0.8, -0.8, 2.5, 1.0])).write(tmp_path / "scan.nii.gz")


@pytest.fixture
def line() -> Callable[..., None]:
    """Run the command line, which must succeed."""

    def run(*words: object) -> None:
        done = CliRunner().invoke(app, [str(word) for word in words])
        assert done.exit_code == 0, done.output

    return run

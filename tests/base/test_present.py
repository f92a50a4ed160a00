"""A folder must stay where it is while a command works in it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.base.present import Present


def test_a_folder_that_goes_or_is_replaced_is_noticed(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with Present(folder) as present:
        present.check()
        folder.mkdir()
        present.check()
        present.check()
        shutil.rmtree(folder)
        with pytest.raises(CtgridError, match="was removed while"):
            present.check()
        folder.mkdir()
        with pytest.raises(CtgridError, match="replaced by another"):
            present.check()

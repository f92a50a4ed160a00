"""Which volumes are shown, and pairs only where they lie on one grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ctgrid import Volume
from ctgrid.base.errors import CtgridError
from ctgrid.runs.report.html.found import Shown
from ctgrid.runs.report.html.scenes import choose, make_scene, make_scenes


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """Write a small volume."""
    return Volume(np.zeros((4, 16, 16), np.int16), np.diag([-1.0, -1.0, 2.0, 1.0])).write(tmp_path / "scan.nii.gz")


def test_pairs_come_first_then_what_was_named() -> None:
    plain, given, pair = (
        Shown("plain", Path("a")),
        Shown("given", Path("b"), given=True),
        Shown("pair", Path("c"), before=Path("d")),
    )
    shown, left = choose([plain, given, pair], 2)
    assert (shown, left) == ([pair, given], [plain])


def test_a_pair_on_another_grid_is_shown_alone(scan: Path, tmp_path: Path) -> None:
    same = Volume(np.ones((4, 16, 16), np.int16), Volume.read(scan).affine).write(tmp_path / "same.nii.gz")
    moved = Volume(np.ones((4, 16, 16), np.int16), np.diag([-1.0, -1.0, 3.0, 1.0])).write(tmp_path / "moved.nii.gz")
    assert make_scene(Shown("x", scan, before=same), 16).before is not None
    alone = make_scene(Shown("x", scan, before=moved), 16)
    assert alone.before is None and any("lies on another grid" in note for note in alone.notes)


def test_what_cannot_be_read_is_noted_unless_it_was_named(scan: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.nii"
    bad.write_bytes(b"no volume")
    scenes, notes = make_scenes([Shown("good", scan), Shown("bad", bad)], 16)
    assert [scene.name for scene in scenes] == ["good"] and "bad.nii" in notes[0]
    with pytest.raises(CtgridError, match="no report was written, leave this input away"):
        make_scenes([Shown("good", scan), Shown("bad", bad, given=True)], 16)
    with pytest.raises(CtgridError, match=r"bad\.nii"):
        make_scenes([Shown("bad", bad)], 16)

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
    assert make_scene(Shown("x", scan, before=same)).before is not None
    alone = make_scene(Shown("x", scan, before=moved))
    assert alone.before is None and any("lies on another grid" in note for note in alone.notes)


def test_what_cannot_be_read_is_noted_unless_it_was_named(scan: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.nii"
    bad.write_bytes(b"no volume")
    scenes, notes = make_scenes([Shown("good", scan), Shown("bad", bad)])
    assert [scene.name for scene in scenes] == ["good"] and "bad.nii" in notes[0]
    with pytest.raises(CtgridError, match="no report was written, leave this input away"):
        make_scenes([Shown("good", scan), Shown("bad", bad, given=True)])
    with pytest.raises(CtgridError, match=r"bad\.nii"):
        make_scenes([Shown("bad", bad)])


def test_volumes_share_what_a_page_may_hold(scan: Path, tmp_path: Path) -> None:
    volume = Volume(np.zeros((40, 16, 16), np.int16), np.diag([-1.0, -1.0, 2.0, 1.0]))
    large = volume.write(tmp_path / "large.nii.gz")
    slice_mb = 2 * 16 * 16 / 1e6
    scenes, _ = make_scenes([Shown("small", scan), Shown("large", large)], max_mb=24 * slice_mb * 1.001)
    assert [scene.block.shape[0] for scene in scenes] == [4, 20]  # the small one leaves 20 slices of the 24
    assert "every 2nd slice" in scenes[1].facts()["notes"][0] and scenes[0].facts()["notes"] == []
    pair = make_scene(Shown("pair", large, before=large), max_mb=40 * slice_mb * 1.001)
    assert pair.before is not None and pair.block.shape[0] == pair.before.shape[0] == 20


def test_maps_are_laid_over_their_volume(scan: Path, tmp_path: Path) -> None:
    """One that cannot be is told."""
    affine = Volume.read(scan).affine
    trust = Volume(np.full((4, 16, 16), 2.5, np.float32), affine).write(tmp_path / "t.nii.gz", dtype=np.float32)
    scene = make_scene(Shown("x", scan, maps={"trust": trust, "labels": trust}))
    assert list(scene.layers) == ["trust"] and any("map of labels cannot be shown" in note for note in scene.notes)

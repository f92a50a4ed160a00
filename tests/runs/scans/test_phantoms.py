"""``ctgrid simulate phantom`` from Python: named, numbered, kept where they are there already."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ctgrid
from ctgrid.base.errors import CtgridError, MisuseError
from ctgrid.runs.scans.phantoms import labels_path
from ctgrid.scan.hu.metadata import MetadataTable
from ctgrid.scan.volume import Volume

SMALL: Any = {"size": 16, "slices": 2}


def plane(seed: int, index: int, shape: Any, voxel: Any, noise_hu: float) -> np.ndarray:
    """A slice as told apart by all that it depends on."""
    return np.full(shape[1:], -900 + 10 * seed + index + int(100 * noise_hu), np.int16)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put plain slices in the place of persons, who take a second each."""

    def painted(seed: int, shape: Any, voxel: Any, noise_hu: float, *, progress: object) -> tuple[Volume, Volume]:
        hu = np.stack([plane(seed, i, shape, voxel, noise_hu) for i in range(shape[0])])
        z, y, x = voxel
        affine = np.diag([-x, -y, z, 1.0])
        return Volume(hu, affine), Volume((hu % 10).astype(np.int16), affine)

    monkeypatch.setattr("ctgrid.runs.scans.phantoms.labelled_phantom", painted)
    monkeypatch.setattr("ctgrid.runs.scans.phantoms.phantom_slice", plane)


def test_the_command_makes_the_same_bytes(tmp_path: Path, line: Callable[..., None]) -> None:
    ctgrid.make_phantoms(tmp_path / "a.nii", size=24, slices=3, noise=5.0)
    line("simulate", "phantom", "--out", tmp_path / "b.nii", "--size", 24, "--slices", 3, "--noise", 5)
    assert (tmp_path / "a.nii").read_bytes() == (tmp_path / "b.nii").read_bytes()


@pytest.mark.usefixtures("quick")
def test_several_are_numbered_and_kept(tmp_path: Path) -> None:
    """Each with a record of its own, seeds counted on; another phantom under that name is refused."""
    folder = tmp_path / "out"
    record = ctgrid.make_phantoms(folder, count=2, seed=7, **SMALL)
    names = ["phantom_0000.nii.gz", "phantom_0001.nii.gz"]
    assert record.results == {"written": 2, "kept": 0} and [Path(o["path"]).name for o in record.outputs] == names
    own = json.loads((folder / "phantom_0001.run.json").read_text())
    assert own["seed"] == 8 and len(own["outputs"]) == 1
    alone = ctgrid.make_phantoms(tmp_path / "alone.nii.gz", seed=8, **SMALL)
    assert Path(alone.outputs[0]["path"]).read_bytes() == (folder / names[1]).read_bytes()
    (folder / names[0]).unlink()
    again = ctgrid.make_phantoms(folder, count=2, seed=7, **SMALL)
    assert again.results == {"written": 1, "kept": 1} and [o.get("kept") for o in again.outputs] == [None, True]
    for changes in ({"seed": 6}, {"seed": 7, "noise": 5.0}, {"seed": 7, "slices": 3}):
        with pytest.raises(
            CtgridError, match=r"phantom_0000.* is not the phantom of seed . asked for; pass --overwrite"
        ):
            ctgrid.make_phantoms(folder, count=2, **(SMALL | changes))


@pytest.mark.usefixtures("quick")
def test_labels_lie_beside_it(tmp_path: Path) -> None:
    ctgrid.make_phantoms(tmp_path / "a.nii.gz", labels=True, **SMALL)
    path = labels_path(tmp_path / "a.nii.gz")
    assert path.name == "a_labels.nii.gz" and ctgrid.Volume.read(path, hu="stored").hu.max() < 10
    (tmp_path / "a.nii.gz").unlink()
    with pytest.raises(CtgridError, match=r"a_labels\.nii\.gz.*exists"):
        ctgrid.make_phantoms(tmp_path / "a.nii.gz", labels=True, **SMALL)


@pytest.mark.usefixtures("quick")
def test_a_part_of_ct_rate_goes_into_a_folder(tmp_path: Path) -> None:
    with pytest.raises(MisuseError, match="--out must name a folder where --ct-rate is given"):
        ctgrid.make_phantoms(tmp_path / "a.nii.gz", ct_rate="valid", **SMALL)
    assert list(tmp_path.iterdir()) == []
    record = ctgrid.make_phantoms(tmp_path / "valid", ct_rate="valid", count=1, **SMALL)
    scan, table = (Path(output["path"]) for output in record.outputs)
    assert scan.parent == tmp_path / "valid" and table.suffix == ".csv"
    stored = ctgrid.Volume.read(scan, hu="stored").hu
    assert stored.min() >= 0, "as stored, with an intercept in the table"
    row = MetadataTable.read(table).row(scan)
    assert row is not None and row.rescale() == (1.0, -1024.0)

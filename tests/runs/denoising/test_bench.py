"""The method that is loaded once, when the first good case asks for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.base.settings import gather
from ctgrid.methods.denoising.methods import METHODS, Method
from ctgrid.runs.denoising.bench import CaseBench, identity_of
from ctgrid.runs.denoising.settings import Request
from ctgrid.scan.volume import Volume

AFFINE = np.diag([-5.0, -5.0, 6.0, 1.0])


def asked(**changes: Any) -> Request:
    """Return a request with settings by name, the method's own too."""
    return gather(Request, changes, Request())


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Register a method "spy" that counts how often it is loaded."""
    loaded: list[Any] = []
    spy = Method("spy", "", lambda loading: loaded.append(loading) or loading, context=0, classical=True)
    monkeypatch.setitem(METHODS, "spy", spy)
    return loaded


def test_nothing_is_loaded_until_it_is_asked_for_and_then_once(loads: list[Any]) -> None:
    bench = CaseBench(asked(method="spy"))
    assert loads == [] and bench.seconds == 0
    assert bench.method is bench.method and len(loads) == 1 and bench.seconds >= 0


def test_what_a_method_lacks_is_refused_before_it_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(CtgridError, match="method 'tv' has no setting phases"):
        CaseBench(asked(method="tv", phases=2))
    with pytest.raises(CtgridError, match="cannot read the metadata"):
        CaseBench(asked(method="tv", metadata=(tmp_path / "none.csv",)))


def test_scans_are_read_as_asked_and_must_be_ct(tmp_path: Path, chest_volume: Volume) -> None:
    """A series is chosen in DICOM alone."""
    path = chest_volume.write(tmp_path / "a.nii.gz")
    read = CaseBench(asked(method="tv", hu="stored", series="1")).read(path)
    assert np.array_equal(read.hu, chest_volume.hu)
    flat = Volume(np.full((4, 8, 8), 40, np.int16), AFFINE).write(tmp_path / "flat.nii.gz")
    with pytest.raises(CtgridError, match="not a CT"):
        CaseBench(asked(method="tv")).read(flat)
    with pytest.raises(CtgridError, match=r"none\.nii"):
        CaseBench(asked(method="tv")).read(tmp_path / "none.nii")


def test_voxels_depend_on_all_but_batch_and_place(tiny_model: Path) -> None:
    plain = identity_of(asked(method="tv", strength=20.0))
    assert plain["model"] is None and plain == identity_of(asked(method="tv", strength=20.0, picture=False))
    assert plain != identity_of(asked(method="tv", strength=21.0)) != identity_of(asked(method="nlm", strength=21.0))
    grid = asked(method="grid", model=str(tiny_model))
    assert identity_of(grid)["model"] and "batch_size" not in identity_of(grid)
    assert identity_of(grid) == identity_of(asked(method="grid", model=str(tiny_model), batch_size=1))
    assert identity_of(grid) != identity_of(asked(method="grid", model=str(tiny_model), seed=1))

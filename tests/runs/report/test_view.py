"""``ctgrid view``: what it shows of one volume and of two, with maps; as a file, and from this machine."""

from __future__ import annotations

import http.client
import json
import re
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

import ctgrid
from ctgrid import Volume
from ctgrid.base.errors import CtgridError, MisuseError
from ctgrid.base.interrupt import Stopped
from ctgrid.runs.report import view as module
from ctgrid.runs.report.html.block import unpack
from ctgrid.runs.report.html.serve import Served

AFFINE = np.diag([-0.7, -0.8, 2.5, 1.0])


@pytest.fixture
def scan(chest: Callable[..., np.ndarray], tmp_path: Path) -> Path:
    """Write a noisy scan."""
    return Volume(chest((8, 24, 32), noise_hu=60), AFFINE).write(tmp_path / "scan.nii.gz")


@pytest.fixture
def clean(chest: Callable[..., np.ndarray], tmp_path: Path) -> Path:
    """Write what became of it."""
    return Volume(chest((8, 24, 32), noise_hu=5), AFFINE).write(tmp_path / "clean <b>.mha")


def data_of(page: str) -> dict[str, Any]:
    """Return the viewer's data."""
    found = re.search(r'id="viewer-data">(.*?)</script>', page)
    assert found
    return dict(json.loads(found[1]))


def test_a_pair_with_maps_in_one_file(scan: Path, clean: Path, tmp_path: Path) -> None:
    from base64 import b64decode

    hu = Volume.read(scan).hu
    maps = {"labels": hu > 0, "trust": np.abs(hu) / 7000, "residual": hu - Volume.read(clean).hu}
    for kind, values in maps.items():
        kept = values.astype(np.float32 if kind == "trust" else np.int16)
        Volume(kept, AFFINE).write(tmp_path / f"{kind}.nii.gz", dtype=kept.dtype)
    files = {kind: tmp_path / f"{kind}.nii.gz" for kind in maps}
    record = ctgrid.view(scan, clean, tmp_path / "x.html", **files)
    assert record is not None and record.path == tmp_path / "x.view.run.json"
    assert [Path(one["path"]).name for one in record.inputs] == [
        *("scan.nii.gz", "clean <b>.mha"),
        *("labels.nii.gz", "trust.nii.gz", "residual.nii.gz"),
    ]
    page = (tmp_path / "x.html").read_text(encoding="utf-8")
    assert "clean <b>" not in page and "connect-src" not in page
    (scene,) = data_of(page)["scenes"]
    assert set(scene["layers"]) == {"before", "after", *maps} and scene["pair"]
    for name, values in {"before": hu, "after": Volume.read(clean).hu, **maps}.items():
        layer = scene["layers"][name]
        held = re.search(rf'id="{layer["id"]}">([^<]*)<', page)
        assert held
        shown = unpack(b64decode(held[1]), (8, 24, 32)) * layer["slope"]
        assert np.allclose(shown, values, atol=layer["slope"] if name == "trust" else 0), name


def test_another_grid_makes_two_volumes(scan: Path, tmp_path: Path) -> None:
    other = Volume(Volume.read(scan).hu[::2], np.diag([-0.7, -0.8, 5.0, 1.0])).write(tmp_path / "other.nii.gz")
    ctgrid.view(scan, other, tmp_path / "x.html")
    scenes = data_of((tmp_path / "x.html").read_text(encoding="utf-8"))["scenes"]
    assert [(one["name"], one["pair"], one["shape"][0]) for one in scenes] == [("scan", False, 8), ("other", False, 4)]
    assert all("different grids" in one["notes"][0] for one in scenes)


def test_too_much_loses_slices_and_says_so(scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE_MB", 8 * 24 * 32 * 2 / 1e6 / 2)
    ctgrid.view(scan, out=tmp_path / "x.html")
    (scene,) = data_of((tmp_path / "x.html").read_text(encoding="utf-8"))["scenes"]
    assert (scene["shape"], scene["whole_shape"], scene["every"]) == ([4, 24, 32], [8, 24, 32], 2)
    assert "every 2nd slice" in scene["notes"][0] and "--max-mb" in scene["notes"][0]


def test_it_is_answered_for_until_ctrl_c(scan: Path, clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setattr(module, "has_screen", lambda: True)
    asked: dict[str, Any] = {}

    def wait(self: Served) -> None:
        url = urlsplit(self.url)
        for path in ("", "voxels/0/before", "voxels/0/after"):
            connection = http.client.HTTPConnection("127.0.0.1", url.port, timeout=20)
            connection.request("GET", url.path + path)
            asked[path] = connection.getresponse().read()
            connection.close()
        raise KeyboardInterrupt

    monkeypatch.setattr(Served, "wait", wait)
    told: list[str] = []
    before = threading.active_count()
    assert ctgrid.view(scan, clean, announce=told.append) is None
    assert opened == told and told[0].startswith("http://127.0.0.1:")
    (scene,) = data_of(asked[""].decode())["scenes"]
    assert scene["layers"]["before"]["url"] == "voxels/0/before" and b"connect-src &#x27;self&#x27;" in asked[""]
    assert np.array_equal(np.frombuffer(asked["voxels/0/before"], "<i2").reshape(8, 24, 32), Volume.read(scan).hu)
    assert np.array_equal(np.frombuffer(asked["voxels/0/after"], "<i2").reshape(8, 24, 32), Volume.read(clean).hu)
    assert threading.active_count() <= before + 1  # a connection's may be on its way out

    ctgrid.view(scan, announce=told.append, browser=False)
    assert len(opened) == 1 and len(told) == 2

    def end(self: Served) -> None:
        raise Stopped(signal.SIGTERM)

    monkeypatch.setattr(Served, "wait", end)
    with pytest.raises(Stopped):  # as for other commands: 143
        ctgrid.view(scan, announce=told.append, browser=False)


def test_what_cannot_be_shown_leaves_nothing(scan: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    with pytest.raises(CtgridError, match=r"gone\.nii does not exist"):
        ctgrid.view(scan, tmp_path / "gone.nii")
    with pytest.raises(MisuseError, match=r"must end in \.html"):
        ctgrid.view(scan, out=tmp_path / "x.png")
    with pytest.raises(CtgridError, match="choose volumes of a store or a folder"):
        ctgrid.view(scan, out=tmp_path / "x.html", name="other")
    assert sorted(tmp_path.iterdir()) == before


def test_no_browser_where_none_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert not module.has_screen()
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    assert module.has_screen()


@pytest.mark.parametrize(
    ("paths", "told"),
    [
        (("a/scan.nii", "a/clean.nii"), ["scan", "clean"]),
        (("before/scan.nii", "after/scan.nii"), ["before/scan", "after/scan"]),
        (("1/x/scan.nii", "2/x/scan.nii"), ["1/x/scan", "2/x/scan"]),
        (("a/scan.nii", "a/scan.mha"), ["scan.nii", "scan.mha"]),
        (("a/scan.nii", "a/scan.nii"), ["scan", "scan"]),
    ],
)
def test_volumes_of_one_name_are_told_apart(paths: tuple[str, str], told: list[str]) -> None:
    assert module.told_apart([(Path(path).stem, Path(path)) for path in paths]) == told

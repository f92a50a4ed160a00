"""The whole evaluation: the numbers are those of the protocol done by hand, and they order sets as they should."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import torch

from ctgrid.base.errors import CtgridError
from ctgrid.runs.evaluation.fidelity.evaluate import FidelityPlan, evaluate_volumes
from ctgrid.runs.evaluation.fidelity.features import NAME
from ctgrid.runs.evaluation.fidelity.protocol import LoadedProtocol
from ctgrid.scan.volume import Volume

Maker = Callable[..., Path]


def values(results: dict[str, Any]) -> dict[tuple[str, int | None], float]:
    return {(row["measure"], row["frames"]): row["value"] for row in results["measures"]}


def test_fid_and_fvd_are_those_of_the_protocol_done_by_hand(
    volumes: Maker, protocol: Callable[..., LoadedProtocol], detectors: Path, tmp_path: Path
) -> None:
    """Whole volumes as clips, so that no offset is drawn; every step written out independently."""
    real, fake = volumes(range(5)), volumes(range(5, 9), noise_hu=60.0)
    plan = FidelityPlan(protocol(), frames=(12,), measures=("fvd", "fid"), detectors=detectors)
    found = evaluate_volumes(real, fake, plan, tmp_path)

    def by_hand(folder: Path, file: str, clip: bool, **kwargs: bool) -> np.ndarray:
        module, features = torch.jit.load(str(detectors / file)), []
        for path in sorted(folder.glob("*.nii.gz")):
            hu = np.clip(Volume.read(path).reoriented("LPS").hu, -1000, 1000)
            grey = np.floor(hu * 0.1275 + 128 + 1e-9).clip(0, 255).astype(np.uint8)
            frames = torch.from_numpy(grey)[:, None].repeat(1, 3, 1, 1)
            frames = frames.permute(1, 0, 2, 3)[None] if clip else frames
            features.append(module(frames, **kwargs).numpy().astype(np.float64))
        return np.concatenate(features)

    def frechet(a: np.ndarray, b: np.ndarray) -> float:
        A, B = np.cov(a, rowvar=False, ddof=0), np.cov(b, rowvar=False, ddof=0)
        root = np.real(scipy.linalg.sqrtm(A @ B))
        return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(A + B - 2 * root))

    image = [by_hand(f, "inception-2015-12-05.pt", False, return_features=True) for f in (real, fake)]
    all_of = {"rescale": True, "resize": True, "return_features": True}
    video = [by_hand(f, "i3d_torchscript.pt", True, **all_of) for f in (real, fake)]
    assert values(found)["FID", None] == pytest.approx(frechet(*image), rel=1e-5)
    assert values(found)["FVD", 12] == pytest.approx(frechet(*video), rel=1e-3, abs=1e-6)  # 4 clips of 4 features
    rows = {row["measure"]: row for row in found["measures"]}
    assert (rows["FID"]["n_real"], rows["FID"]["n_fake"]) == (60, 48)
    assert (rows["FVD"]["n_real"], rows["FVD"]["n_fake"]) == (5, 4)
    assert any("below 2048" in text for text in rows["FID"]["warnings"])
    assert any("not pinned" in text for text in rows["FID"]["warnings"])
    low, high = rows["KID"]["confidence"]
    assert low < rows["KID"]["value"] < high


def test_fid_by_length_is_of_the_frames_of_the_clips(
    volumes: Maker, protocol: Callable[..., LoadedProtocol], detectors: Path, tmp_path: Path
) -> None:
    """Of clips as long as the volumes it is the FID of all frames; shorter ones have fewer; longer ones are looped."""
    real, fake = volumes(range(5)), volumes(range(5, 9), noise_hu=60.0)
    lengths = protocol(frames={"max_real": None, "max_fake": 50000, "by_length": True})

    def found(one: LoadedProtocol) -> dict[str, Any]:
        return evaluate_volumes(real, fake, FidelityPlan(one, (5, 12, 24), ("fid",), detectors), tmp_path)

    whole, by_length = found(protocol()), found(lengths)
    assert {key for key in values(by_length) if key[0] == "FID"} == {("FID", 5), ("FID", 12), ("FID", 24)}
    for length in (12, 24):  # volumes have 12 slices
        assert values(by_length)["FID", length] == pytest.approx(values(whole)["FID", None], rel=1e-5)
    counts = {row["frames"]: (row["n_real"], row["n_fake"]) for row in by_length["measures"] if row["measure"] == "FID"}
    assert counts == {5: (25, 20), 12: (60, 48), 24: (120, 96)}


def test_detectors_order_sets_as_they_should(
    volumes: Maker, protocol: Callable[..., LoadedProtocol], detectors: Path, tmp_path: Path
) -> None:
    """Other patients < noise at three levels; shuffled slices are noticed by clips and not by slices."""
    ours = protocol({"fake_offset": "random"})
    real, plan = volumes(range(6)), FidelityPlan(ours, (8,), ("fvd", "fid"), detectors, cache=tmp_path / "cache")
    sets = [volumes(range(6, 12), noise_hu=s) for s in (0.0, 60.0, 150.0, 400.0)]
    found = [values(evaluate_volumes(real, other, plan, tmp_path)) for other in sets]
    row = [one["FVD", 8] for one in found]
    assert row == sorted(row)
    assert row[0] < 0.5 * row[1]
    shuffled = values(evaluate_volumes(real, volumes(range(6, 12), shuffled=True), plan, tmp_path))
    assert shuffled["FVD", 8] > 2 * found[0]["FVD", 8]
    assert shuffled["FID", None] == pytest.approx(found[0]["FID", None], rel=1e-3)


@pytest.mark.usefixtures("coarse_measures")
def test_embedded_features_order_sets_as_they_should(
    volumes: Maker, protocol: Callable[..., LoadedProtocol], tmp_path: Path
) -> None:
    """As above: few and small volumes, as the encoder takes its time."""
    real, plan = volumes(range(4), slices=6), FidelityPlan(protocol(), (5,), (NAME,), cache=tmp_path / "cache")
    slices, clips = (f"FD ({NAME}, slices)", None), (f"FD ({NAME}, clips of 5)", 5)
    sets = [volumes(range(4, 8), noise_hu=s, slices=6) for s in (0.0, 200.0)]
    found = [values(evaluate_volumes(real, other, plan, tmp_path)) for other in sets]
    for measure in (slices, clips):
        row = [one[measure] for one in found]
        assert row == sorted(row), measure
    mixed = values(evaluate_volumes(real, volumes(range(4, 8), shuffled=True, slices=6), plan, tmp_path))
    assert mixed[clips] > 1.5 * found[0][clips]
    assert mixed[slices] == pytest.approx(found[0][slices], rel=1e-3)


def test_without_detectors_nothing_is_called_fid_or_fvd(
    volumes: Maker, protocol: Callable[..., LoadedProtocol], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CTGRID_HOME", str(tmp_path / "home"))
    plan = FidelityPlan(protocol(), frames=(4,), measures=())
    sets, left_out = plan.feature_sets()
    names = [name for one in sets for name in (one.distance, one.kernel)]
    assert names == [f"{k} ({NAME}, {what})" for what in ("slices", "clips of 4") for k in ("FD", "KD")]
    assert [text.split(":")[0] for text in left_out] == ["FID", "FVD"]
    with pytest.raises(CtgridError, match=r"no detector i3d_torchscript\.pt"):
        FidelityPlan(protocol(), measures=("fvd",)).feature_sets()
    with pytest.raises(CtgridError, match="holds neither detector"):
        FidelityPlan(protocol(), measures=(), detectors=tmp_path).feature_sets()


def test_short_volumes_are_looped_or_refused(
    volumes: Maker, protocol: Callable[..., LoadedProtocol], detectors: Path, tmp_path: Path
) -> None:
    real, fake = volumes(range(3)), volumes(range(3, 5), slices=7)
    looped = evaluate_volumes(real, fake, FidelityPlan(protocol(), (12,), ("fvd",), detectors), tmp_path)["measures"][0]
    assert "2 fake volumes have too few slices for 12 frames: looped" in looped["warnings"]
    assert (looped["n_real"], looped["n_fake"]) == (3, 2)
    discard = protocol({"too_short": "discard"})
    with pytest.raises(CtgridError, match="needs 2 clips of fake volumes, got 0"):
        evaluate_volumes(real, fake, FidelityPlan(discard, (12,), ("fvd",), detectors), tmp_path)
    refuse = protocol({"too_short": "refuse"})
    with pytest.raises(CtgridError, match="7 slices, a clip needs 12"):
        evaluate_volumes(real, fake, FidelityPlan(refuse, (12,), ("fvd",), detectors), tmp_path)


def test_fields_of_view_that_differ_are_said(
    volumes: Maker, protocol: Callable[..., LoadedProtocol], detectors: Path, tmp_path: Path
) -> None:
    """Where features are compared, until a field is asked for; the median decides."""
    real, fake = volumes(range(3)), volumes(range(3, 6))
    plan = FidelityPlan(protocol(), measures=("fid",), detectors=detectors)
    assert evaluate_volumes(real, fake, plan, tmp_path)["warnings"] == []
    for path in sorted(fake.glob("*.nii.gz"))[:2]:
        volume = Volume.read(path)
        Volume(volume.hu, np.diag([2.0, 2.0, 1.0, 1.0]) @ volume.affine).write(path, overwrite=True)
    (said,) = evaluate_volumes(real, fake, plan, tmp_path)["warnings"]
    assert "real slices are 192 mm wide, generated ones 192 to 384 mm" in said
    assert "--field-mm 192 compares" in said
    assert evaluate_volumes(real, fake, replace(plan, field_mm=192.0), tmp_path)["warnings"] == []


def test_bad_input_is_said(
    volumes: Maker, protocol: Callable[..., LoadedProtocol], detectors: Path, tmp_path: Path
) -> None:
    plan = FidelityPlan(protocol(), (4,), ("fid",), detectors)
    real = volumes(range(2))
    with pytest.raises(CtgridError, match="holds 1 volume; --fake needs at least 2"):
        evaluate_volumes(real, volumes(range(1)), plan, tmp_path)
    both = evaluate_volumes(real, real, plan, tmp_path)
    assert both["warnings"] == ["2 volumes are in both sets, such as p00: distances are too small"]
    assert values(both)["FID", None] == pytest.approx(0, abs=1e-9)
    with pytest.raises(CtgridError, match="unknown measure 'lpips'"):
        FidelityPlan(protocol(), measures=("lpips",))
    with pytest.raises(CtgridError, match="2 to 10000 frames"):
        FidelityPlan(protocol(), frames=(1,))
    with pytest.raises(CtgridError, match=r"pinned for vgg\.pt"):
        FidelityPlan(protocol(), pins={"vgg.pt": "0" * 64})
    with pytest.raises(CtgridError, match="--train"):
        evaluate_volumes(real, real, FidelityPlan(protocol(), measures=("memorisation",)), tmp_path)


@pytest.mark.usefixtures("coarse_measures")
def test_real_scans_are_brought_to_the_frame_of_generated_ones(
    volumes: Maker, protocol: Callable[..., LoadedProtocol], tmp_path: Path
) -> None:
    """By the plan or a key of the protocol; the result says so, features of both frames are kept apart."""
    real, fake = volumes(range(2), slices=100), volumes(range(2, 4), slices=12)
    (real / "short.nii.gz").write_bytes((fake / "p02.nii.gz").read_bytes())
    common: dict[str, Any] = {"frames": (4,), "measures": (NAME,), "cache": tmp_path / "cache"}
    with_ct = {**common, "measures": (NAME, "ct")}
    plain = evaluate_volumes(real, fake, FidelityPlan(protocol(), **common), tmp_path)
    framed = evaluate_volumes(real, fake, FidelityPlan(protocol(), real_frame="generatect", **with_ct), tmp_path)
    assert (plain["real_frame"], framed["real_frame"]) == ("own", "generatect")
    assert plain["left_out"] == [] and "has 12 slices" in framed["left_out"][0]
    assert [volume["name"] for volume in framed["volumes"]["real"]] == ["p00", "p01"]
    name = f"FD ({NAME}, slices)"
    assert {row["measure"]: row["n_real"] for row in plain["measures"]}[name] == 212
    assert {row["measure"]: row["n_real"] for row in framed["measures"]}[name] == 402
    assert [row["slices"] for row in framed["ct"]["volumes"]["real"]] == [201, 201]
    keyed = evaluate_volumes(real, fake, FidelityPlan(protocol(real_frame="generatect"), **common), tmp_path)
    assert keyed["real_frame"] == keyed["protocol"]["settings"]["real_frame"] == "generatect"
    assert values(keyed) == values(framed)


def test_fields_of_view_count_no_more_in_one_field(
    volumes: Maker, protocol: Callable[..., LoadedProtocol], tmp_path: Path
) -> None:
    """The same chests in a wider field are far away, and not at all once both are cut out around the body."""
    narrow, wide = volumes(range(3)), tmp_path / "wide"
    wide.mkdir()
    for path in narrow.glob("*.nii.gz"):
        scan = Volume.read(path)
        hu = np.pad(scan.hu, [(0, 0), (12, 12), (12, 12)], constant_values=-1000)
        affine = scan.affine.copy()
        affine[:3, 3] -= affine[:3, :3] @ np.array([12.0, 12.0, 0.0])
        Volume(hu, affine).write(wide / path.name)
    pixel = float(np.abs(scan.affine[0, 0]))
    common: dict[str, Any] = {"frames": (4,), "measures": (NAME,), "cache": tmp_path / "cache"}
    name = (f"FD ({NAME}, slices)", None)
    own = evaluate_volumes(narrow, wide, FidelityPlan(protocol(), **common), tmp_path)
    assert own["field_mm"] is None and values(own)[name] > 0.1
    one = evaluate_volumes(narrow, wide, FidelityPlan(protocol(), field_mm=28 * pixel, **common), tmp_path)
    assert one["field_mm"] == 28 * pixel and values(one)[name] == pytest.approx(0, abs=1e-6)

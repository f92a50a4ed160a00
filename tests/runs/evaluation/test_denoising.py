"""The evaluation: rows, conventions, resuming, and what methods are given."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.data.simulate.collection import write_stored, write_table
from ctgrid.methods.denoising.methods import Loading, find_method
from ctgrid.metrics import psnr, ssim
from ctgrid.runs.evaluation.denoising import evaluate_denoising
from ctgrid.runs.evaluation.denoising_plan import Evaluation
from ctgrid.runs.evaluation.keep import kept_case
from ctgrid.runs.evaluation.method_bench import MethodBench
from ctgrid.runs.evaluation.noise import Noise, clipped
from ctgrid.scan.noise import estimate_noise
from ctgrid.scan.volume import Volume

PLAN = Evaluation(noises=(Noise("gaussian", 60.0),), methods=("noisy", "tv"), slices="4:12:3")


@pytest.fixture
def count(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that every run of a method is noted in."""
    calls: list[str] = []
    real = MethodBench.timed

    def timed(self: MethodBench, name: str, *rest: Any) -> Any:
        calls.append(name)
        return real(self, name, *rest)

    monkeypatch.setattr(MethodBench, "timed", timed)
    return calls


def test_rows(chest_file: Path, tmp_path: Path) -> None:
    """One for each method, in order, on disk as returned; a filter beats doing nothing."""
    results = evaluate_denoising([chest_file], PLAN, tmp_path / "out")
    rows = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert rows == results.rows
    assert [(r["volume"], r["noise"], r["method"]) for r in rows] == [
        ("chest", "gaussian:60", "noisy"),
        ("chest", "gaussian:60", "tv"),
    ]
    noisy, tv = rows
    for key in ("psnr", "ssim", "psnr_lung", "ssim_soft", "edge"):
        assert tv[key] > noisy[key]
    assert tv["seconds"] > 0 and noisy["seconds"] == 0
    assert tv["slices_measured"] == tv["slices_denoised"] == 3
    assert tv["noise_hu"] == tv["assumed_hu"] == 60.0
    assert noisy["residual_soft"] == pytest.approx(60, rel=0.05) and abs(noisy["hu_bias_soft"]) < 3
    assert tv["residual_soft"] < 30
    assert tv["ms_ssim"] is None  # 64 pixels are too few


def test_the_convention(chest_file: Path, tmp_path: Path) -> None:
    """Noise on the clipped scan, clipped when measured; PSNR and SSIM over 2000 HU, slices averaged."""
    row = evaluate_denoising([chest_file], PLAN, tmp_path / "out").rows[0]
    scan = clipped(Volume.read(chest_file))
    clean = scan.hu[4:12:3]
    noisy = Noise("gaussian", 60.0).apply(scan, np.array([4, 7, 10]), 0).clip(-1000, 1000)
    pairs = list(zip(noisy, clean, strict=True))
    assert row["psnr"] == pytest.approx(np.mean([psnr(a, b, 2000.0) for a, b in pairs]), abs=2e-3)
    wanted = np.mean([ssim(a + 1000.0, b + 1000.0, 2000.0) for a, b in pairs])
    assert row["ssim"] == pytest.approx(wanted, abs=1e-4)


def test_resuming(chest_file: Path, tmp_path: Path, count: list[str]) -> None:
    """What is there is not computed again; what other settings gave, is."""
    out = tmp_path / "out"
    evaluate_denoising([chest_file], PLAN, out)
    first = (out / "results.json").read_bytes()
    evaluate_denoising([chest_file], PLAN, out)
    assert count == ["tv"] and (out / "results.json").read_bytes() == first
    more = evaluate_denoising([chest_file], replace(PLAN, methods=("noisy", "tv", "bilateral")), out)
    assert count == ["tv", "bilateral"] and [r["method"] for r in more.rows] == ["noisy", "tv", "bilateral"]
    other = evaluate_denoising([chest_file], replace(PLAN, seed=1), out)
    assert count == ["tv", "bilateral", "tv"] and len(other.rows) == 3
    assert other.rows[1]["psnr"] != json.loads(first)[1]["psnr"]
    fresh = evaluate_denoising([chest_file], PLAN, out, overwrite=True)
    assert len(fresh.rows) == 2
    timeless = [{k: v for k, v in r.items() if k != "seconds"} for r in fresh.rows]
    assert timeless == [{k: v for k, v in r.items() if k != "seconds"} for r in json.loads(first)]


def test_another_scan_of_the_same_name_is_measured_anew(chest_file: Path, tmp_path: Path, count: list[str]) -> None:
    """Files are known by what is in them."""
    evaluate_denoising([chest_file], PLAN, tmp_path / "out")
    scan = Volume.read(chest_file)
    Volume(scan.hu[::-1].copy(), scan.affine).write(chest_file, overwrite=True)
    evaluate_denoising([chest_file], PLAN, tmp_path / "out")
    assert count == ["tv", "tv"]


def test_results_survive_a_method_that_fails(
    chest_file: Path, tmp_path: Path, count: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Finished cases stay and are not repeated."""
    out, plan = tmp_path / "out", replace(PLAN, methods=("tv", "nlm"))
    with monkeypatch.context() as patch:
        patch.setattr("ctgrid.methods.denoising.baselines.filters.nlm", lambda *a, **k: 1 / 0)
        patch.setattr("ctgrid.methods.denoising.baselines.classical.CLASSICAL", broken())
        with pytest.raises(ZeroDivisionError):
            evaluate_denoising([chest_file], plan, out)
    assert len(json.loads((out / "results.json").read_text(encoding="utf-8"))) == 1
    assert len(evaluate_denoising([chest_file], plan, out).rows) == 2
    assert count == ["tv", "nlm", "nlm"]


def broken() -> dict[str, Any]:
    """Return the filters, non-local means failing."""
    from ctgrid.methods.denoising.baselines.classical import CLASSICAL

    return {**CLASSICAL, "nlm": replace(CLASSICAL["nlm"], function=lambda *a, **k: 1 / 0)}


@pytest.mark.parametrize(
    ("context", "shapes"),
    [(0, [(3, 64, 64)]), (1, [(9, 64, 64)]), (None, [(16, 64, 64)])],
)
def test_methods_see_the_slices_they_need(
    context: int | None, shapes: list[tuple[int, ...]], spy: Callable[..., Any], chest_file: Path, tmp_path: Path
) -> None:
    """Measured slices 4, 7, 10: alone, with neighbours, or within the whole volume; the same ones are measured."""
    method = spy(context)
    row = evaluate_denoising([chest_file], replace(PLAN, methods=("spy",)), tmp_path / "out").rows[0]
    assert [v.shape for v in method.seen] == shapes
    assert row["slices_measured"] == 3 and row["slices_denoised"] == shapes[0][0]
    assert row["hu_bias_soft"] == pytest.approx(-10, abs=1.5)
    assert method.seen[0].hu.min() < -1100  # noise is not clipped before methods see it


def test_neighbours_come_in_unbroken_runs(spy: Callable[..., Any], chest_file: Path, tmp_path: Path) -> None:
    """Slices 1 and 9 with a neighbour each make two volumes, each where it lies."""
    method = spy(1)
    evaluate_denoising([chest_file], replace(PLAN, methods=("spy",), slices="1:12:8"), tmp_path / "out")
    assert [v.shape[0] for v in method.seen] == [3, 3]
    heights = [v.affine[2, 3] for v in method.seen]
    assert heights[1] - heights[0] == pytest.approx(8 * 6.0)


@pytest.mark.parametrize(("strength", "told"), [("known", 60.0), ("auto", "auto"), (25.0, 25.0)])
def test_what_methods_are_told(
    strength: Any, told: object, spy: Callable[..., Any], chest_file: Path, tmp_path: Path
) -> None:
    """The noise that was added, nothing where the whole scan is seen, or a number."""
    method = spy(None)
    plan = replace(PLAN, methods=("spy",), strength=strength)
    row = evaluate_denoising([chest_file], plan, tmp_path / "out").rows[0]
    assert method.told == [told] and row["assumed_hu"] == (told if told != "auto" else 33.0)


def test_whatever_is_measured_the_noise_is_the_whole_scans(
    spy: Callable[..., Any], chest_file: Path, tmp_path: Path
) -> None:
    """A method that sees one slice, by ``auto``, is told what the whole noisy scan would have it think."""
    method, whole = spy(0), Noise("gaussian", 60.0)
    plan = replace(PLAN, methods=("spy",), strength="auto", slices="5")
    evaluate_denoising([chest_file], plan, tmp_path / "out")
    clean = clipped(Volume.read(chest_file).reoriented("LPS"))
    noisy = replace(clean, hu=whole.apply(clean, np.arange(len(clean.hu)), plan.seed))
    assert method.told == [estimate_noise(noisy)] and method.seen[0].shape == (1, 64, 64)
    assert find_method("detail").context is None


def test_noise_that_varies_is_told_as_measured_in_soft_tissue(
    spy: Callable[..., Any], chest_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Low-dose noise has no one level."""

    def low_dose(volume: Volume, dose: float, seed: int, **_: Any) -> Volume:
        noise = np.random.default_rng(seed).standard_normal(volume.shape)
        levels = np.where(volume.hu > -200, 70, 20)
        return Volume((volume.hu + levels * noise).astype(np.float32), volume.affine)

    monkeypatch.setattr("ctgrid.data.simulate.low_dose", low_dose)
    method = spy(0)
    plan = replace(PLAN, methods=("spy",), noises=(Noise("low-dose", 0.25),))
    row = evaluate_denoising([chest_file], plan, tmp_path / "out").rows[0]
    assert method.told[0] == pytest.approx(70, rel=0.03) and row["noise"] == "low-dose:0.25"


def test_what_pictures_need_is_kept(chest_file: Path, tmp_path: Path) -> None:
    """The middle slice of clean, noisy and each method."""
    evaluate_denoising([chest_file], replace(PLAN, methods=("tv",)), tmp_path / "out")
    clean, noisy, tv = (kept_case(tmp_path / "out", "chest", "gaussian:60", n) for n in ("clean", "noisy", "tv"))
    assert clean is not None and noisy is not None and tv is not None
    assert clean.index == tv.index == 7
    assert np.array_equal(clean.hu, Volume.read(chest_file).hu[7].clip(-1000, 1000))
    assert np.abs(tv.hu - clean.hu).mean() < np.abs(noisy.hu - clean.hu).mean()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"methods": ("bm3d",)}, "unknown denoising method 'bm3d'; known: noisy, grid"),
        ({"methods": ("bm3d[x=1]",)}, "unknown denoising method"),
        ({"methods": ("grid[phases=x]",)}, "phases is a whole number"),
        ({"methods": ("generatect",)}, "--weights"),
        ({"slices": "50:60"}, "select none of 16"),
        ({"noises": ()}, "at least one"),
        ({"strength": -4.0}, "above 0"),
    ],
)
def test_bad_plans_leave_nothing(change: dict[str, Any], words: str, chest_file: Path, tmp_path: Path) -> None:
    with pytest.raises(CtgridError, match=words):
        evaluate_denoising([chest_file], replace(PLAN, **change), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_methods_that_cannot_run_leave_nothing(tiny_model: Path, chest_file: Path, tmp_path: Path) -> None:
    """What only the model knows is found out late, and slices too small to measure later still."""
    plan = replace(PLAN, methods=("grid[phases=99]",), loading=Loading(str(tiny_model), "cpu"))
    with pytest.raises(CtgridError, match="phases must be 1 to 16"):
        evaluate_denoising([chest_file], plan, tmp_path / "out")
    scan = Volume.read(chest_file)
    small = Volume(scan.hu[:, :4, :4], scan.affine).write(tmp_path / "small.nii.gz")
    with pytest.raises(CtgridError, match="SSIM needs slices of 7 pixels"):
        evaluate_denoising([small], PLAN, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_bad_inputs(chest_file: Path, tmp_path: Path) -> None:
    """A missing scan, two of one name, and a file that holds other things."""
    with pytest.raises(CtgridError, match="does not exist"):
        evaluate_denoising([tmp_path / "no.nii"], PLAN, tmp_path / "out")
    with pytest.raises(CtgridError, match="two clean scans are called chest"):
        evaluate_denoising([chest_file, chest_file], PLAN, tmp_path / "out")
    (tmp_path / "out").mkdir()
    for text in ("{}", "[1]", "[{}]", "no json"):
        (tmp_path / "out" / "results.json").write_text(text, encoding="utf-8")
        with pytest.raises(CtgridError, match="--overwrite"):
            evaluate_denoising([chest_file], PLAN, tmp_path / "out")
        assert (tmp_path / "out" / "results.json").read_text(encoding="utf-8") == text


def test_the_figures_of_real_ct(rider: Volume, tmp_path: Path) -> None:
    """Noise of 50 HU: near 32.9 dB and 0.69 as measured elsewhere, and non-local means gain 6 dB."""
    Volume(rider.hu[45:46], rider.affine).write(tmp_path / "one.nii.gz")
    plan = replace(PLAN, noises=(Noise("gaussian", 50.0),), methods=("noisy", "nlm"), slices="0")
    noisy, nlm = evaluate_denoising([tmp_path / "one.nii.gz"], plan, tmp_path / "out").rows
    assert noisy["psnr"] == pytest.approx(32.9, abs=0.3) and noisy["ssim"] == pytest.approx(0.69, abs=0.03)
    assert nlm["psnr"] > noisy["psnr"] + 6 and nlm["ssim"] > 0.93


def test_parts_of_a_method_are_switched_off_by_its_name(detailed_model: Path, chest_file: Path, tmp_path: Path) -> None:
    """Settings in brackets make rows of their own; only the measured slices are finished; one model serves all."""
    always = "diffuse_from=0"
    names = (
        f"grid-detail[{always}]",
        f"grid-detail[{always},start=noised,refine_start=noised]",
        f"grid-detail[{always},refine=off]",
        "detail",
    )
    loading = Loading(str(detailed_model), "cpu", "float32")
    plan = replace(PLAN, methods=names, loading=loading)
    rows = evaluate_denoising([chest_file], plan, tmp_path / "out").rows
    assert [row["method"] for row in rows] == list(names)
    assert len({row["psnr"] for row in rows}) == len(names)
    assert {row["slices_denoised"] for row in rows} == {3}
    assert kept_case(tmp_path / "out", "chest", "gaussian:60", names[1]) is not None
    whole = evaluate_denoising([chest_file], replace(plan, slices=":", methods=names[:1]), tmp_path / "whole").rows
    assert whole[0]["slices_denoised"] == 16


def test_another_model_under_the_same_name_is_measured_anew(
    detailed_model: Path, chest_file: Path, tmp_path: Path, count: list[str]
) -> None:
    """Networks are known by what is in their files, filters by their parameters."""
    model = tmp_path / "model"
    shutil.copytree(detailed_model, model)
    plan = replace(PLAN, methods=("tv", "detail"), loading=Loading(str(model), "cpu"))
    for _ in range(2):
        evaluate_denoising([chest_file], plan, tmp_path / "out")
    assert count == ["tv", "detail"]
    config = model / "detail" / "config.json"
    config.write_text(config.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    evaluate_denoising([chest_file], plan, tmp_path / "out")
    assert count == ["tv", "detail", "detail"]


def test_low_doses_are_made_only_where_they_are_looked_at(
    spy: Callable[..., Any], chest_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slice-wise methods need the measured slices, others their neighbours as well."""
    asked: list[list[int]] = []

    def low_dose(volume: Volume, dose: float, seed: int, *, indices: Any, **_: Any) -> Volume:
        asked.append(list(indices))
        return volume

    monkeypatch.setattr("ctgrid.data.simulate.low_dose", low_dose)
    for context in (0, 1):
        spy(context)
        plan = replace(PLAN, methods=("spy",), noises=(Noise("low-dose", 0.25),), strength=30.0)
        evaluate_denoising([chest_file], plan, tmp_path / f"out{context}")
    assert asked == [[4, 7, 10], [3, 4, 5, 6, 7, 8, 9, 10, 11]]


def test_raw_files_are_read_by_the_collections_table(chest_file: Path, tmp_path: Path, count: list[str]) -> None:
    """The same figures as of the scan in HU; another table computes anew."""
    scan, out = Volume.read(chest_file), tmp_path / "out"
    raw, table = tmp_path / "raw.nii.gz", tmp_path / "m.csv"
    write_stored(raw, scan)
    write_table(table, [raw.name], scan.spacing_mm)
    wanted = evaluate_denoising([chest_file], PLAN, tmp_path / "right").rows
    plan = replace(PLAN, metadata=(table,))
    found = evaluate_denoising([raw], plan, out).rows
    assert [row["psnr"] for row in found] == [row["psnr"] for row in wanted]
    done = len(count)
    evaluate_denoising([raw], plan, out)
    assert len(count) == done
    table.write_text(table.read_text(encoding="utf-8").replace("-1024", "-1000"), encoding="utf-8")
    evaluate_denoising([raw], replace(PLAN, metadata=(table,)), out)
    assert len(count) > done


def test_one_bad_scan_stops_no_evaluation(chest_file: Path, tmp_path: Path, count: list[str]) -> None:
    """It is named, the others are measured, and all bad is an error; a name of any bytes is kept as text."""
    bad, odd = tmp_path / "bad.nii.gz", Path(os.fsdecode(os.fsencode(tmp_path) + b"/odd\xff.nii.gz"))
    bad.write_bytes(b"nothing")
    shutil.copy(chest_file, odd)
    first = evaluate_denoising([bad, odd], PLAN, tmp_path / "out")
    assert [row["volume"] for row in first.rows] == ["odd-xff"] * 2
    assert len(first.failed) == 1 and "bad.nii.gz is not a readable NIfTI" in first.failed[0]
    assert kept_case(tmp_path / "out", "odd-xff", "gaussian:60", "tv") is not None
    again = evaluate_denoising([bad, odd], PLAN, tmp_path / "out")
    assert again.rows == first.rows and again.failed == first.failed and count == ["tv"]
    with pytest.raises(CtgridError, match=r"bad\.nii\.gz is not a readable"):
        evaluate_denoising([bad], PLAN, tmp_path / "out")


def test_names_are_hidden_from_results(chest_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CTGRID_NO_PATHS", "1")
    monkeypatch.setenv("HOME", str(tmp_path))
    evaluate_denoising([chest_file], replace(PLAN, methods=("noisy",)), tmp_path / "out")
    assert "chest" not in (tmp_path / "out" / "results.json").read_text()
    assert [p.name[:5] for p in (tmp_path / "out" / "cases").iterdir()] == ["file-"]


def test_trust_is_measured_where_that_is_asked(chest_file: Path, tmp_path: Path, trusting_model: Path) -> None:
    """Not of what does nothing; asked for anew, methods run again."""
    loading = Loading(model=str(trusting_model))
    noisy, tv = evaluate_denoising([chest_file], replace(PLAN, trust=True, loading=loading), tmp_path / "out").rows
    shares = [tv[f"within_{k}_soft"] for k in (1, 2, 3)]
    assert shares == sorted(shares) and 0.5 < shares[0] < 1 and not any(key.startswith("within") for key in noisy)
    assert not any(key.startswith("within") for key in evaluate_denoising([chest_file], PLAN, tmp_path / "out").rows[1])

"""The super-resolution evaluation: rows, conventions, resuming, refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from scipy.ndimage import gaussian_filter

from ctgrid.base.errors import CtgridError
from ctgrid.data.degrade import enlarge
from ctgrid.methods.denoising.methods import Loading
from ctgrid.metrics import psnr, ssim
from ctgrid.metrics.frechet import frechet_distance
from ctgrid.runs.evaluation.clip_distance import ClipMeasure
from ctgrid.runs.evaluation.keep import Kept, kept_case
from ctgrid.runs.evaluation.samples import Sample, Slices
from ctgrid.runs.evaluation.super_resolution import Comparison, evaluate_super_resolution
from ctgrid.runs.evaluation.super_resolution_plots import draw_super_resolution
from ctgrid.runs.evaluation.upscalers import Upscalers, lanczos
from ctgrid.runs.results.kinds import describe
from ctgrid.runs.results.markdown import description_markdown
from ctgrid.runs.results.super_resolution import means_of
from ctgrid.scan.grid import downsample
from ctgrid.scan.volume import Volume

PLAN = Comparison(methods=("bicubic", "lanczos"), slices="1:8:3", size=64, k=4, batch_size=2)


class ToyClips(ClipMeasure):
    """Describes a clip by two numbers."""

    name = "FD-2 (toy)"

    def of(self, hu: np.ndarray, clips: np.ndarray) -> np.ndarray:
        return np.stack([hu[clips].mean(axis=(1, 2, 3)), hu[clips].std(axis=(1, 2, 3))], axis=1)


@pytest.fixture
def make(chest: Callable[..., np.ndarray]) -> Callable[[str, int], Sample]:
    """Return a maker of volumes of 10 slices of 64 x 64."""

    def volume(name: str, seed: int) -> Sample:
        hu = gaussian_filter(chest((10, 64, 64), noise_hu=20.0, seed=seed).astype(float), (0, 0.6, 0.6))
        values = np.rint(hu.clip(-1000, 1000)).astype(np.int16)
        digest = sha256(values.tobytes()).hexdigest()
        return Sample(name, Path(name), digest, lambda: Slices(values, (5.0, 5.0, 5.0)))

    return volume


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that every use of a method is noted in."""
    seen: list[str] = []
    real = Upscalers.get

    def get(self: Upscalers, name: str) -> object:
        seen.append(name)
        return real(self, name)

    monkeypatch.setattr(Upscalers, "get", get)
    return seen


def test_rows_and_the_convention(make: Callable[..., Sample], tmp_path: Path) -> None:
    """Shrunk as grids are, brought back, measured over 2000 HU slice by slice; the window stands in every row."""
    sample = make("a", 0)
    results = evaluate_super_resolution([sample], PLAN, tmp_path / "out")
    written = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert written == {"kind": "super-resolution", "rows": results.rows}
    row = results.rows[1]
    assert (row["volume"], row["method"], row["slices_measured"]) == ("a", "lanczos", 3)
    assert row["window_hu"] == [-1000, 1000] and row["data_range_hu"] == 2000 and (row["size"], row["k"]) == (64, 4)
    assert row["seconds"] >= 0 and row["ms_ssim"] is None  # 64 pixels are too few
    full = sample.load().hu[1:8:3]
    unit = torch.from_numpy(full.astype(np.float32) / 1000)[:, None]
    made = lanczos(downsample(unit, 4).clamp(-1, 1), 4)[:, 0].numpy() * 1000
    assert row["psnr"] == pytest.approx(np.mean([psnr(a, b, 2000) for a, b in zip(made, full, strict=True)]), abs=1e-3)
    wanted = np.mean([ssim(a + 1000, b + 1000.0, 2000) for a, b in zip(made, full, strict=True)])
    assert row["ssim"] == pytest.approx(wanted, abs=1e-4)


def test_networks_and_the_regression(make: Callable[..., Sample], tiny_model: Path, tmp_path: Path) -> None:
    """The model's size and factor; the regression beats bicubic on another chest of its kind."""
    methods = ("bicubic", "patch-regression", "stage2", "codec")
    plan = Comparison(methods, "2:8:3", batch_size=2, loading=Loading(str(tiny_model), "cpu", "float32"))
    results = evaluate_super_resolution([make("a", 0)], plan, tmp_path / "out", train=[make("t", 1), make("u", 2)])
    assert [row["method"] for row in results.rows] == list(methods)
    bicubic, regression = results.rows[:2]
    assert (bicubic["size"], bicubic["k"]) == (64, 4) and regression["psnr"] > bicubic["psnr"] + 0.3


def test_slices_through_the_codec(make: Callable[..., Sample], tiny_model: Path, tmp_path: Path) -> None:
    """Every method gets what the codec leaves of the shrunk slices; the record and the table say so."""
    plan = Comparison(("bicubic",), "2:8:3", batch_size=2, loading=Loading(str(tiny_model), "cpu", "float32"))
    plain = evaluate_super_resolution([make("a", 0)], plan, tmp_path / "out").rows[0]
    coded = replace(plan, through_codec=True)
    first, row = evaluate_super_resolution([make("a", 0)], coded, tmp_path / "out").rows
    assert first == plain and (plain["through_codec"], row["through_codec"]) == (False, True)
    assert description_markdown(describe({"kind": "super-resolution", "rows": [plain, row]})).count("| bicubic |") == 2
    full = torch.from_numpy(make("a", 0).load().hu[2:8:3].astype(np.float32) / 1000)[:, None]
    codec = Upscalers(4, 64, plan.loading).pipeline.bundle.codec
    made = enlarge(codec.decode(codec.encode(downsample(full, 4).clamp(-1, 1))), 4)
    wanted = np.mean([psnr(a, b, 2.0) for a, b in zip(made.numpy()[:, 0], full.numpy()[:, 0], strict=True)])
    assert row["psnr"] == pytest.approx(wanted, abs=1e-3) and abs(row["psnr"] - plain["psnr"]) > 0.1
    assert "64 pixels, through the codec;" in description_markdown(
        describe({"kind": "super-resolution", "rows": [row]})
    )
    pictures = draw_super_resolution([row], tmp_path / "out")
    assert [path.parent.name for path in pictures] == ["x4-codec"]


def test_resuming(make: Callable[..., Sample], tmp_path: Path, calls: list[str]) -> None:
    """What is there is not computed again; what other settings gave, or another volume of that name, is."""
    out = tmp_path / "out"
    evaluate_super_resolution([make("a", 0)], PLAN, out)
    first = (out / "results.json").read_bytes()
    evaluate_super_resolution([make("a", 0)], PLAN, out)
    assert calls == ["bicubic", "lanczos"] and (out / "results.json").read_bytes() == first
    calls.clear()
    more = replace(PLAN, methods=("bicubic", "back-projection"))
    results = evaluate_super_resolution([make("a", 0), make("b", 1)], more, out)
    assert calls == ["back-projection", "bicubic", "back-projection"] and len(results.rows) == 5
    calls.clear()
    evaluate_super_resolution([make("a", 7)], PLAN, out)
    kept = evaluate_super_resolution([make("a", 7)], replace(PLAN, slices="2"), out)
    assert calls == ["bicubic", "lanczos"] * 2
    assert [row["slices"] for row in kept.rows if row["volume"] == "a"] == ["1:8:3"] * 3 + ["2"] * 2
    fresh = evaluate_super_resolution([make("a", 0)], PLAN, out, overwrite=True)
    assert len(fresh.rows) == 2 and fresh.rows[0]["psnr"] == json.loads(first)["rows"][0]["psnr"]


def test_a_damaged_volume_is_left_out_by_name(make: Callable[..., Sample], tmp_path: Path) -> None:
    """Whether its slices are to be written for other tools or measured; the others are; all damaged is a failure."""

    def fail() -> Slices:
        raise CtgridError("bad.nii.gz is truncated")

    good, bad = make("good", 1), Sample("bad", tmp_path / "bad.nii.gz", "0" * 64, fail)
    asked = replace(PLAN, inputs_out=tmp_path / "inputs")
    found = evaluate_super_resolution([bad, good], asked, tmp_path / "out")
    assert {row["volume"] for row in found.rows} == {"good"} and found.failed == ["bad.nii.gz is truncated"]
    assert [path.name for path in (tmp_path / "inputs").iterdir()] == ["good_x4.nii.gz"]
    with pytest.raises(CtgridError, match=r"^bad\.nii\.gz is truncated$"):
        evaluate_super_resolution([bad], PLAN, tmp_path / "none")


def test_results_of_another_kind_are_not_touched(make: Callable[..., Sample], tmp_path: Path) -> None:
    for text in ("[]", '{"kind": "volumes", "rows": []}', '{"kind": "super-resolution"}', "no json"):
        (tmp_path / "results.json").write_text(text, encoding="utf-8")
        with pytest.raises(CtgridError, match="--overwrite"):
            evaluate_super_resolution([make("a", 0)], PLAN, tmp_path)
        assert (tmp_path / "results.json").read_text(encoding="utf-8") == text


def test_table_and_picture(make: Callable[..., Sample], tmp_path: Path) -> None:
    results = evaluate_super_resolution([make("a", 0), make("b", 1)], PLAN, tmp_path)
    table = description_markdown(describe(results.content))
    assert "a: 3 slices (1:8:3) of 16 brought back to 64 pixels; PSNR and SSIM over -1000 to 1000 HU" in table
    assert table.count("| lanczos |") == 3 and "mean of 2 volumes" in table
    mean = means_of(results.rows)[1]["psnr"]
    assert mean == pytest.approx(np.mean([r["psnr"] for r in results.rows if r["method"] == "lanczos"]))
    pictures = draw_super_resolution(results.rows, tmp_path)
    assert [p.relative_to(tmp_path).as_posix() for p in pictures] == [
        f"cases/{v}/x4/comparison.png" for v in ("a", "b")
    ]
    kept = kept_case(tmp_path, "a", "x4", "original")
    assert kept is not None and kept.index == 4 and np.array_equal(kept.hu, make("a", 0).load().hu[4])


def test_a_picture_shows_one_slice_by_every_method(
    make: Callable[..., Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A method that was measured on other slices only has no part in the picture of these."""
    shown: list[dict[str, int]] = []

    def draw(kept: dict[str, Kept], *args: object, **options: object) -> Figure:
        shown.append({name: case.index for name, case in kept.items()})
        return Figure()

    monkeypatch.setattr("ctgrid.runs.evaluation.plots.comparison", draw)
    evaluate_super_resolution([make("a", 0)], PLAN, tmp_path)
    other = replace(PLAN, slices="2", methods=("bicubic",))
    draw_super_resolution(evaluate_super_resolution([make("a", 0)], other, tmp_path).rows, tmp_path)
    assert shown == [{"original": 2, "bicubic": 2}]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"methods": ("esrgan",)}, "unknown super-resolution method 'esrgan'; known: stage2"),
        ({"methods": ("sinsr",)}, "method sinsr needs --sinsr DIR, a checkout of https://github.com/wyf0912/SinSR"),
        ({"methods": ()}, "at least one method"),
        ({"methods": ("patch-regression",)}, "--train"),
        ({"k": 5}, "slices of 64 pixels do not shrink by 5"),
        ({"slices": "50:60"}, "select none of 10"),
        ({"methods": ("stage2",)}, "refines slices of 128 to 512 pixels"),
    ],
)
def test_bad_plans_leave_nothing(
    change: dict[str, object], words: str, make: Callable[..., Sample], tmp_path: Path
) -> None:
    with pytest.raises(CtgridError, match=words):
        evaluate_super_resolution([make("a", 0)], replace(PLAN, **change), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_volumes_are_told_apart_and_kept_from_training(make: Callable[..., Sample], tmp_path: Path) -> None:
    with pytest.raises(CtgridError, match="two volumes are called a"):
        evaluate_super_resolution([make("a", 0), make("a", 1)], PLAN, tmp_path / "out")
    plan = replace(PLAN, methods=("patch-regression",))
    with pytest.raises(CtgridError, match="a is one of the volumes of --train"):
        evaluate_super_resolution([make("a", 0)], plan, tmp_path / "out", train=[make("other", 0), make("b", 1)])
    assert not (tmp_path / "out").exists()


def test_another_tools_slices_stand_in_the_same_table(make: Callable[..., Sample], tmp_path: Path) -> None:
    """Bicubic done elsewhere gets bicubic's figures; what lies on another grid, or is not there, is refused."""
    sample, given, tool = make("a", 0), tmp_path / "given", tmp_path / "tool"
    first = evaluate_super_resolution([sample], replace(PLAN, inputs_out=given), tmp_path / "out").rows
    coarse = Volume.read(given / "a_x4.nii.gz", hu="header")
    assert coarse.hu.shape == (10, 16, 16) and coarse.spacing_mm == pytest.approx((5, 20, 20))
    tool.mkdir()
    with pytest.raises(CtgridError, match="holds no volume called a_x4"):
        evaluate_super_resolution([sample], replace(PLAN, results=(tool,)), tmp_path / "out")
    coarse.write(tool / "a_x4.nii.gz", dtype=np.float32)
    with pytest.raises(CtgridError, match="another grid than its input: 16 x 16 x 10 voxels, not 64 x 64 x 10"):
        evaluate_super_resolution([sample], replace(PLAN, results=(tool,)), tmp_path / "out")
    large = enlarge(torch.from_numpy(coarse.hu.astype(np.float32) / 1000)[:, None], 4)[:, 0].numpy() * 1000
    Volume.from_array(large, (5.0, 5.0, 5.0)).write(tool / "a_x4.nii.gz", dtype=np.float32, overwrite=True)
    rows = evaluate_super_resolution([sample], replace(PLAN, results=(tool,)), tmp_path / "out").rows
    assert [row["method"] for row in rows] == ["bicubic", "lanczos", "tool"] and rows[:2] == first
    assert rows[2]["psnr"] == pytest.approx(rows[0]["psnr"], abs=1e-3) and rows[2]["seconds"] is None


def test_clips_stand_beside_psnr(make: Callable[..., Sample], tmp_path: Path) -> None:
    """One distance for each method, of all volumes together; rows that are kept need not be made again."""
    plan = replace(PLAN, slices="1:9", clips=ToyClips(2, device="cpu"))
    samples = [make("a", 0), make("b", 1)]
    results = evaluate_super_resolution(samples, plan, tmp_path / "out")
    found = results.content["clips"]
    assert [(row["method"], row["clips"], row["clip_volumes"]) for row in found] == [
        ("bicubic", 8, 2),
        ("lanczos", 8, 2),
    ]
    clips = np.arange(8).reshape(4, 2)
    truth, made = [], []
    for sample in samples:
        full = sample.load().hu[1:9]
        unit = torch.from_numpy(full.astype(np.float32) / 1000)[:, None]
        back = enlarge(downsample(unit, 4).clamp(-1, 1), 4)[:, 0].numpy() * 1000
        truth.append(plan.clips.of(full, clips))
        made.append(plan.clips.of(back, clips))
    wanted = frechet_distance(np.concatenate(truth), np.concatenate(made), 0)
    assert found[0]["clip_distance"] == pytest.approx(wanted, rel=1e-3)
    assert evaluate_super_resolution(samples, plan, tmp_path / "out").content == results.content
    text = description_markdown(describe(results.content))
    assert text.count("FD-2 (toy)") == 2 and f"{found[0]['clip_distance']:.5f}" in text  # in the table of means alone
    assert "(8 clips of 2 volumes, 2 features); not to be compared with a published FVD" in text
    alone = evaluate_super_resolution(samples[:1], plan, tmp_path / "one").content
    assert "| FD-2 (toy)" in description_markdown(describe(alone))
    assert "clips" not in evaluate_super_resolution(samples, replace(plan, slices="1:9:2"), tmp_path / "gaps").content

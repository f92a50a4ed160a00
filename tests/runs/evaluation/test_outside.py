"""What other tools made of the same noisy scans stands in the same table, measured alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.runs.evaluation.denoising import evaluate_denoising
from ctgrid.runs.evaluation.denoising_plan import Evaluation
from ctgrid.runs.evaluation.noise import Noise
from ctgrid.runs.evaluation.outside import check_scale, write_input
from ctgrid.scan.volume import Volume

PLAN = Evaluation(noises=(Noise("gaussian", 60.0),), methods=("noisy",), slices="4:12:3")


def test_another_tools_results_are_measured_as_ours_are(chest_file: Path, tmp_path: Path) -> None:
    """What does nothing gets the figures of doing nothing; what halves the noise gets better ones; new files count."""
    given = tmp_path / "given"
    first = evaluate_denoising([chest_file], replace(PLAN, inputs_out=given), tmp_path / "out").rows
    noisy = Volume.read(given / "chest_gaussian-60.nii.gz", hu="header")
    assert noisy.hu.shape == Volume.read(chest_file).hu.shape
    other = tmp_path / "other-tool"
    other.mkdir()
    noisy.write(other / "chest_gaussian-60.nii", dtype=np.float32)
    plan = replace(PLAN, results=(other,))
    copied = evaluate_denoising([chest_file], plan, tmp_path / "out").rows
    assert [row["method"] for row in copied] == ["noisy", "other-tool"] and copied[0] == first[0]
    assert copied[1]["psnr"] == pytest.approx(first[0]["psnr"], abs=0.01)
    assert copied[1]["seconds"] is copied[1]["assumed_hu"] is None
    clean = Volume.read(chest_file).reoriented("LPS")
    better = Volume((noisy.reoriented("LPS").hu + clean.hu) / 2, clean.affine, {})
    better.write(other / "chest_gaussian-60.nii", dtype=np.float32, overwrite=True)
    again = evaluate_denoising([chest_file], plan, tmp_path / "out").rows
    assert again[1]["psnr"] > copied[1]["psnr"] + 4


def test_results_that_do_not_belong_are_refused(chest_file: Path, tmp_path: Path) -> None:
    """In one line, before any work."""
    for name, match in (("missing", "is no folder"), ("tv", "taken as a method's name"), ("empty", "holds no volume")):
        folder = tmp_path / name
        if name != "missing":
            folder.mkdir()
        with pytest.raises(CtgridError, match=match):
            evaluate_denoising([chest_file], replace(PLAN, results=(folder,)), tmp_path / "out")
    scan = Volume.read(chest_file)
    Volume(scan.hu[1:], scan.affine, {}).write(folder / "chest_gaussian-60.nii.gz")
    with pytest.raises(CtgridError, match="another grid"):
        evaluate_denoising([chest_file], replace(PLAN, results=(folder,)), tmp_path / "out")
    moved = scan.affine.copy()
    moved[0, 3] += 5
    Volume(scan.hu, moved, {}).write(folder / "chest_gaussian-60.nii.gz", overwrite=True)
    with pytest.raises(CtgridError, match="corners are up to 5 mm away"):
        evaluate_denoising([chest_file], replace(PLAN, results=(folder,)), tmp_path / "out")
    with pytest.raises(CtgridError, match="--inputs-out names a folder"):
        evaluate_denoising([chest_file], replace(PLAN, inputs_out=chest_file), tmp_path / "out")


@pytest.mark.parametrize(
    ("of_hu", "words"),
    [
        (lambda hu: (hu + 1000) / 2000, r"from .* to .*, look like 0 \.\.\. 1 and not like HU"),
        (lambda hu: hu / 1000, r"look like -1 \.\.\. 1 and"),
        (lambda hu: (hu + 1000) / 2000 * 255, r"look like 0 \.\.\. 255 and"),
        (lambda hu: hu + 1024, "are no HU of this scan: they rise by 1 for each HU of the scan and lie 1024 above it"),
        (lambda hu: np.where(hu == hu.max(), np.nan, hu), "of its values are no numbers"),
    ],
)
def test_results_that_are_no_hu_are_refused(of_hu: Callable[..., np.ndarray], words: str) -> None:
    """Whatever the range; a result that blurs, is noisy or was clipped is in HU."""
    clean = np.random.default_rng(0).choice([-1000.0, -850.0, 40.0, 400.0], (2, 32, 32))
    with pytest.raises(CtgridError, match=words):
        check_scale(Path("a.nii"), of_hu(clean), clean)
    blurred = (clean + np.roll(clean, 1, 1)) / 2
    noisy = clean + np.random.default_rng(1).normal(0, 400, clean.shape)
    for fine in (clean, blurred, noisy, noisy.clip(-1000, 400)):
        check_scale(Path("a.nii"), fine, clean)
    check_scale(Path("a.nii"), clean * 0, clean * 0 + 20)  # water alone: no scale can be told


def test_inputs_of_another_run_are_not_taken_for_these(tmp_path: Path) -> None:
    """The same are left as they are; others, which a tool has perhaps been given, are no inputs of this one."""
    like, hu = Volume(np.zeros((3, 4, 5), np.int16), np.eye(4)), np.ones((3, 4, 5))
    for _ in range(2):
        write_input(tmp_path, "a", hu, like)
    before = (tmp_path / "a.nii.gz").read_bytes()
    with pytest.raises(CtgridError, match=r"a\.nii\.gz is another input"):
        write_input(tmp_path, "a", hu + 50, like)
    assert (tmp_path / "a.nii.gz").read_bytes() == before

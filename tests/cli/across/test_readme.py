"""README's commands, as they stand, in a folder with what they speak of."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ctgrid import Volume
from ctgrid.data.simulate import phantom
from ctgrid.stages.models import sources
from ctgrid_cli import app

README = (Path(__file__).resolve().parents[3] / "README.md").read_text(encoding="utf-8")
FEW_STEPS = ["optimisation.steps=1", "optimisation.batch_size=2", "optimisation.decay_steps=0", "stage1.variants=1"]
"""What makes the training of README's recipe, which takes most of an hour, one of seconds."""


@pytest.mark.slow
@pytest.mark.usefixtures("coarse_measures")
def test_every_command_does_what_it_says(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a tiny model where 201 slices are asked for: .ci/wheel-smoke makes them with the embedded one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CTGRID_HOME", str(tmp_path / "home"))
    for name, seed, slices in (
        ("in", 1, 12),
        ("scans/a", 2, 16),
        ("scans/b", 3, 16),
        ("chests/c", 4, 16),
        ("chests/d", 5, 16),
    ):
        Path(name).parent.mkdir(exist_ok=True)
        phantom(seed=seed, shape=(slices, 96, 96)).write(f"{name}.nii.gz")

    lines = [line for block in re.findall(r"```bash\n(.*?)```", README, re.S) for line in block.splitlines()]
    commands = [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("ctgrid ")]
    assert [words[0] for words in commands] == ["synthesize", "denoise", "evaluate", "report", "train"]
    for words in commands:
        fewer = [word for key in FEW_STEPS for word in ("--set", key)] if words[0] == "train" else []
        with monkeypatch.context() as patch:
            if words[0] == "synthesize":
                patch.setattr(sources, "EMBEDDED_FOLDER", tiny_model)
            result = CliRunner().invoke(app, [*words, *fewer])
        assert result.exit_code == 0, f"{shlex.join(words)}: {result.output}"

    for named in re.findall(r"Writes `([\w.]+\.nii\.gz)`", README):
        assert Path(named).is_file(), named
        assert list(Path().glob(f"{named.removesuffix('.nii.gz')}*.png")), named
    assert Volume.read("embedded_201slices_seed0.nii.gz").shape == (201, 64, 64)
    assert Volume.read("in_denoised.nii.gz").shape == (12, 96, 96)
    assert json.loads(Path("measures/results.json").read_text(encoding="utf-8"))["ct"]["distances"]
    assert Path("report.html").stat().st_size > 10_000
    assert len(Path("stage1/log.jsonl").read_text(encoding="utf-8").splitlines()) == 1

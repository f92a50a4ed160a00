"""The tutorials: their commands as the pages have them, one after the other, in an empty folder."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ctgrid import Volume
from ctgrid_cli import app

FOLDER = Path(__file__).resolve().parents[3] / "docs/tutorials"


def commands(page: str) -> list[list[str]]:
    """Return what a page has under ``bash``, without ``ctgrid``; what takes longer, or more than ctgrid, is ``sh``."""
    blocks = re.findall(r"```bash\n(.*?)```", (FOLDER / page).read_text(encoding="utf-8"), re.S)
    lines = [shlex.split(line) for block in blocks for line in block.splitlines()]
    assert lines and all(words[0] == "ctgrid" for words in lines)
    return [words[1:] for words in lines]


def follow(page: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a page's commands in a folder; return all that they said."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("CTGRID_HOME", str(folder / "home"))
    told = ""
    for words in commands(page):
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, f"{shlex.join(words)}: {result.output}"
        told += result.output
    return told


@pytest.mark.slow
def test_first_volume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = follow("first-volume.md", tmp_path, monkeypatch)
    assert "512 x 512 x 16 voxels" in told
    assert Path("first.nii.gz").read_bytes() == Path("again.nii.gz").read_bytes(), "the same seed"
    assert Volume.read("first-dicom").shape == Volume.read("first.nii.gz").shape == (16, 512, 512)
    assert Path("lungs.png").is_file() and Path("report.html").is_file()


@pytest.mark.slow
def test_denoise_a_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    follow("denoise-a-study.md", tmp_path, monkeypatch)
    rows = [json.loads(line) for line in Path("denoised/denoise.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(rows) >= 2 and len(list(Path("denoised").glob("phantom_000?.nii.gz"))) == 2
    noisy, clean = Volume.read("study/phantom_0000.nii.gz"), Volume.read("denoised/phantom_0000.nii.gz")
    truth = Volume.read("clean/phantom_0000.nii.gz").hu.astype(float)
    off = [abs(volume.hu - truth)[3:9, 40:88, 40:88].mean() for volume in (noisy, clean)]
    assert off[1] < 0.7 * off[0]
    assert "nlm" in Path("measured/table.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_train_a_small_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    follow("train-a-small-model.md", tmp_path, monkeypatch)
    assert Volume.read("trial.nii.gz").shape == (16, 512, 512)
    assert all(
        len(Path(run, "log.jsonl").read_text(encoding="utf-8").splitlines()) == 2 for run in ("trial1", "trial2")
    )


def test_every_tutorial_is_followed() -> None:
    followed = set(re.findall(r'follow\("([\w-]+\.md)"', Path(__file__).read_text(encoding="utf-8")))
    elsewhere = {
        "ct-rate-on-a-cluster.md",  # at the paper's size; the walk-through has the same commands, small
        "evaluate-a-generator.md",  # its commands are README's, which test_readme.py follows
    }
    assert {path.name for path in FOLDER.glob("*.md")} == followed | elsewhere

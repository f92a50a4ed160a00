"""The walk-through of CT-RATE: its commands as the page has them, one after the other, in an empty folder."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from ctgrid.data.store import Store
from ctgrid_cli import app

PAGE = Path(__file__).resolve().parents[3] / "docs/walkthrough-ct-rate.md"

FEWER = {
    "simulate phantom --ct-rate train": ["--count", "1"],
    "train stage1": ["--set", "optimisation.batch_size=2", "--set", "optimisation.steps=40"],
    "train stage2": ["--set", "optimisation.batch_size=2", "--set", "optimisation.steps=30"],
    "synthesize --stage1": ["--steps", "1"],
}
"""What makes the commands that begin so quicker, and no other."""


def quicker(words: list[str]) -> list[str]:
    """Return a command with what makes it quicker."""
    return words + [word for start, more in FEWER.items() if shlex.join(words).startswith(start) for word in more]


def commands() -> list[list[str]]:
    """Return the page's commands, without ``ctgrid``."""
    blocks = re.findall(r"```bash\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    lines = [shlex.split(line) for block in blocks for line in block.splitlines()]
    assert all(words[0] == "ctgrid" for words in lines)
    return [words[1:] for words in lines]


@pytest.mark.slow
@pytest.mark.usefixtures("coarse_measures")
def test_every_command_does_what_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CTGRID_HOME", str(tmp_path / "home"))
    told = []
    for words in commands():
        result = CliRunner().invoke(app, quicker(words))
        assert result.exit_code == 0, f"{shlex.join(words)}: {result.output}"
        told.append(result.output)

    table = Path("train/train_metadata.csv").read_text(encoding="utf-8").splitlines()
    assert "\n".join(table[:2]) in PAGE.read_text(encoding="utf-8")
    volume = Store.open(Path("chest.zarr")).volume("train_1_a_1")
    assert volume.record["hu"]["source"] == "sidecar"
    slices = volume.read_slices([100])
    assert slices.shape == (1, 128, 128) and -1000 <= slices.min() < -900
    assert abs(np.median(slices[(slices > -300) & (slices < 300)])) < 100  # soft tissue is where it belongs
    assert any("latents of slices: 1 volumes made" in output for output in told)
    assert json.loads(Path("stage1/data.json").read_text(encoding="utf-8"))["volumes"].keys() == {"train_1_a_1"}
    losses = [json.loads(line)["loss"] for line in Path("stage1/log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert sum(losses[-10:]) < 0.6 * sum(losses[:10])  # it learnt
    results = json.loads(Path("measures/results.json").read_text(encoding="utf-8"))
    assert len(results["volumes"]["real"]) == len(results["volumes"]["fake"]) == 2
    assert results["ct"]["distances"]
    assert Path("report.html").stat().st_size > 10_000

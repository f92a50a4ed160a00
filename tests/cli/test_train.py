"""``ctgrid train``: what reaches the library, and the record. Training is tested with the library."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctgrid_cli.errors import say


def test_options_reach_the_library(ctgrid: Callable[..., Any], fake: Any, tmp_path: Path) -> None:
    """Every option once, ``--set`` read as YAML."""
    run = tmp_path / "run"
    result = ctgrid(
        "train", "stage1", "--config", "my.yaml", "--data", tmp_path, "--out", run, "--max-steps", 7,
        "--seed", 4, "--resume", "--set", "a.b=2", "--set", "c=[1, x]", "--set", "d=null",
        "--split", "parts.yaml:train", "--fraction", 60, "--init", "DiT.pt",
        "--metadata", "a.csv", "--metadata", "b.csv",
    )  # fmt: skip
    assert (result.exit_code, result.stderr) == (0, "")
    assert fake.calls[0].pop("notice") is say
    assert fake.calls == [
        {
            "kind": "stage1",
            "config": "my.yaml",
            "data": tmp_path,
            "out": run,
            "split": "parts.yaml:train",
            "fraction": 60.0,
            "resume": True,
            "max_steps": 7,
            "seed": 4,
            "overrides": {"a.b": 2, "c": [1, "x"], "d": None, "stage1.start": "DiT.pt"},
            "metadata": (Path("a.csv"), Path("b.csv")),
        }
    ]
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    assert record["results"] == {"steps": 10, "loss": 0.25}


def test_default_recipe(ctgrid: Callable[..., Any], fake: Any, tmp_path: Path) -> None:
    """Without ``--config`` the shipped recipe of the kind is used."""
    result = ctgrid("train", "codec", "--data", tmp_path, "--out", tmp_path / "run", "--json")
    assert json.loads(result.stdout)["settings"]["config"] == "embedded-codec"
    assert fake.calls[0]["config"] == "embedded-codec"


def test_interrupted_training_leaves_a_record(ctgrid: Callable[..., Any], fake: Any, tmp_path: Path) -> None:
    """There are checkpoints, so there is a record of how they came about."""
    fake.fail_at, fake.error = -1, KeyboardInterrupt()
    result = ctgrid("train", "codec", "--data", tmp_path, "--out", tmp_path / "run")
    assert (result.exit_code, result.stderr) == (130, "ctgrid: interrupted\n")
    assert json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8"))["status"] == "interrupted"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--config", "no-such-recipe"], "embedded-codec"),
        (["--config", "missing.yaml"], "missing.yaml"),
        (["--set", "optimisation.stepz=3"], "stepz"),
        (["--data", "no-such-folder"], "no-such-folder"),
        (["--out", "no-such-folder/run"], "no-such-folder"),
    ],
)
def test_bad_input_is_one_line(
    options: list[str], words: str, fails: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the real trainer: recipe, data and run folder are checked before anything is made."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    chosen = {"--data": "data", "--out": "run"} | dict(zip(options[::2], options[1::2], strict=True))
    assert words in fails("train", "codec", *[text for pair in chosen.items() for text in pair])

"""Every kind of training shows what its network makes, and a split's valid part is what validation sees."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

pytestmark = pytest.mark.usefixtures("few_examples")

SIZES = {"codec": (32, 64), "stage1": (64, 64), "stage2": (64, 192), "detail": (32, 96)}


@pytest.mark.parametrize("kind", list(SIZES))
def test_a_run_shows_what_it_makes(
    kind: str, run: Callable[..., Path], log_of: Callable[..., Any], tmp_path: Path
) -> None:
    """The picture changes while the network learns; the steps themselves do not for being watched."""
    plain = run(kind, "plain")
    watched = run(kind, "watched", changes={"validation.every": 3, "validation.picture_steps": 2})
    assert log_of(watched) == log_of(plain)
    pictures = [np.asarray(PIL.Image.open(p)).astype(int) for p in sorted((watched / "pictures").iterdir())]
    assert len(pictures) == 2
    height, width = SIZES[kind]
    assert all(picture.shape == (height, width) for picture in pictures)
    assert pictures[0].std() > 1
    assert np.abs(pictures[1] - pictures[0]).max() > 0
    assert not (watched / "validation.jsonl").exists(), "nothing was held out"


def test_the_valid_part_of_a_split_is_held_out(run: Callable[..., Path], tmp_path: Path) -> None:
    split = tmp_path / "split.json"
    split.write_text(json.dumps({"train": ["scan0"], "valid": ["scan1"]}))
    out = run("codec", "run", split=f"{split}:train", changes={"validation.every": 2, "validation.examples": 4})
    looks = [json.loads(line) for line in (out / "validation.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [look["step"] for look in looks] == [2, 4, 6]
    assert all(np.isfinite(look["loss"]) for look in looks)

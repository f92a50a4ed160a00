"""Damaged files of every kind: read, or refused in one line; no other exception, crash, hang, or hunger for memory."""

from __future__ import annotations

import importlib
import random
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

GROUPS = 8
"""Tests that the kinds of file are dealt to, so that several workers of pytest share them."""


def beside(name: str) -> ModuleType:
    """Import a file of this folder."""
    sys.path.insert(0, str(Path(__file__).parent))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.pop(0)


def test_there_is_a_reader_for_every_kind_of_file() -> None:
    """Each with its own valid file; the documents list them."""
    kinds = list(beside("readers").READERS)
    assert len(kinds) >= 50
    page = " ".join((Path(__file__).parents[2] / "docs" / "security.md").read_text(encoding="utf-8").split())
    assert "; ".join(kinds) in page


def test_damage_follows_from_the_seed_alone() -> None:
    mutate = beside("mutate").mutate
    content = b'{"a": 1, "b": [2.5, 3]}' * 20
    made = [[mutate(content, random.Random(f"{seed}")) for seed in range(200)] for _ in range(2)]
    assert made[0] == made[1]
    assert len(set(made[0])) > 120 and all(len(one) < 1 << 20 for one in made[0])


@pytest.mark.hostile
@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited as Linux does it")
@pytest.mark.parametrize("group", range(GROUPS))
def test_damaged_files_are_read_or_refused(
    group: int, forked: Any, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    count = request.config.getoption("--hostile-cases")
    names = list(beside("readers").READERS)[group::GROUPS]
    tally = beside("fuzz").fuzz(forked, tmp_path, names, request.config.getoption("--hostile-seed"), 0, count)
    assert tally.wrong == []
    assert tally.total() == count * len(names), tally.counts
    assert tally.total("refused") > 0.3 * tally.total(), tally.counts

"""The facts of a stage: read as they are written, refused by the file's name where they cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.stages.models.facts import StageFacts


def test_facts_are_read_and_written() -> None:
    """What is written is what is read; without a file they are the paper's."""
    facts = StageFacts("v", 64, 2, 33, "cell", "clean", 250.0, 301.5)
    assert StageFacts(**facts.as_dict()) == facts
    assert json.loads(json.dumps(facts.as_dict()))["fov_mm"] == 250.0
    paper = StageFacts.read(Path("no such folder"))
    assert (paper.protocol, paper.orientation) == ("canonical", "LPS")
    assert (paper.prediction, paper.size, paper.k, paper.conditioning) == ("epsilon", 512, 4, "replace")


@pytest.mark.parametrize("text", ["{", "[1, 2]", "3"])
def test_facts_that_are_none_are_refused(text: str, tmp_path: Path) -> None:
    """By the file's name."""
    (tmp_path / "stage.json").write_text(text)
    with pytest.raises(CtgridError, match=r"stage\.json is not the facts"):
        StageFacts.read(tmp_path)


@pytest.mark.parametrize("wrong", ['{"steps": "many"}', '{"fill_steps": 0}', '{"steps": true}', '{"stop": -1}'])
def test_numbers_of_steps_that_are_none_are_refused(wrong: str, tmp_path: Path) -> None:
    """Before any network runs."""
    (tmp_path / "stage.json").write_text(wrong)
    with pytest.raises(CtgridError, match=r"(steps|stop) must be a whole number above 0"):
        StageFacts.read(tmp_path)


@pytest.mark.parametrize("wrong", ["2", "-0.1", "true", '"much"'])
def test_a_habitus_that_is_none_is_refused(wrong: str, tmp_path: Path) -> None:
    (tmp_path / "stage.json").write_text(f'{{"habitus": {wrong}}}')
    with pytest.raises(CtgridError, match=r"stage\.json: habitus must be a number from 0 to 1"):
        StageFacts.read(tmp_path)


def test_slices_that_are_not_axial_are_refused(tmp_path: Path) -> None:
    """By the file's name and what it says."""
    (tmp_path / "stage.json").write_text('{"orientation": "SPL"}')
    with pytest.raises(CtgridError, match=r"stage\.json: slices of orientation 'SPL' are not axial"):
        StageFacts.read(tmp_path)


def test_sampling_ends_at_a_timestep_that_there_is(tmp_path: Path) -> None:
    (tmp_path / "stage.json").write_text('{"stop": 271}')
    assert StageFacts.read(tmp_path).stop == 271
    (tmp_path / "stage.json").write_text('{"stop": 1000}')
    with pytest.raises(CtgridError, match=r"stage\.json: stop must be a timestep below 1000, got 1000"):
        StageFacts.read(tmp_path)

"""Ranks: what the launcher's environment says, and launches that cannot work."""

from __future__ import annotations

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.runs.synthesis.ranks import Ranks

NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


@pytest.fixture(autouse=True)
def no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


def test_a_process_alone() -> None:
    alone = Ranks.here()
    assert alone == Ranks(0, 1, 0) and alone.first and alone.mine(5) and alone.device("auto") == "auto"
    alone.connect()
    assert alone.gather({"made": 2}) == [{"made": 2}]


def test_volumes_are_dealt_out(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in zip(NAMES[:3], "231", strict=True):
        monkeypatch.setenv(name, value)
    second = Ranks.here()
    assert second == Ranks(2, 3, 1) and not second.first
    assert [number for number in range(7) if second.mine(number)] == [2, 5]
    assert [sum(Ranks(index, 3).mine(number) for index in range(3)) for number in range(7)] == [1] * 7


@pytest.mark.parametrize(
    ("rank", "words"), [("x", "is no number"), ("3", "does not lie below"), ("-1", "does not lie")]
)
def test_an_environment_that_makes_no_sense(rank: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(CtgridError, match=words):
        Ranks.here()


def test_several_processes_and_no_place_to_meet() -> None:
    with pytest.raises(CtgridError, match=r"cannot meet the other processes \(.*start them with torchrun"):
        Ranks(0, 2, 0).connect()

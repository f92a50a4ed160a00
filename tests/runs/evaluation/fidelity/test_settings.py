"""What is asked of ``ctgrid evaluate volumes``, ``video`` and ``fetch-detectors``: texts are read or refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.runs.evaluation.fidelity.fetch import ADDRESSES
from ctgrid.runs.evaluation.fidelity.settings import (
    DetectorSettings,
    FidelityRequest,
    VideoRequest,
    read_frames,
    read_names,
)


def test_lengths_and_names_as_typed() -> None:
    assert read_frames("16,128, 201") == (16, 128, 201) and read_frames("16,") == (16,)
    assert read_names("a, b,a,,c") == ("a", "b", "c") and read_names("") == ()
    for text in ("", ",", "a", "1.5", "16;128"):
        with pytest.raises(CtgridError, match="write whole numbers such as 16,128,201"):
            read_frames(text)


def test_a_request_becomes_a_plan(tmp_path: Path) -> None:
    """Without features to keep there is no folder of them; the protocol is found by its name."""
    pin = "inception-2015-12-05=" + "a" * 64
    plan = FidelityRequest(real_frame="generatect", frames=(16,), pin=(pin,), cached=False, seed=3).plan()
    assert plan.loaded.protocol.id == "stylegan-v@1" and (plan.frame, plan.lengths) == ("generatect", (16,))
    assert plan.cache is None and plan.seed == 3 and set(plan.pins.values()) == {"a" * 64}
    assert plan.field_mm is None and FidelityRequest(field_mm=340.0).plan().field_mm == 340
    assert FidelityRequest().plan().cache is not None
    video = VideoRequest(layout="sky", part="train", measures=("flicker",)).plan()
    assert (video.layout, video.part, video.measures) == ("sky", "train", ("flicker",))
    assert video.loaded.protocol.id == "gridit-video-256@1"


def test_places_are_checked(tmp_path: Path) -> None:
    with pytest.raises(CtgridError, match="none is not a folder; --detectors names"):
        FidelityRequest(detectors=tmp_path / "none").check_places()
    with pytest.raises(CtgridError, match="stylegan-v@9"):
        VideoRequest(protocol="stylegan-v@9").check_places()


def test_which_detectors_are_fetched_and_from_where() -> None:
    asked = DetectorSettings(address=("mine.pt=https://x.org/a=b",))
    assert asked.addresses() == {"mine.pt": "https://x.org/a=b"} and asked.names() == (*ADDRESSES, "mine.pt")
    assert DetectorSettings(only=("i3d.pt",)).names() == ("i3d.pt",) and DetectorSettings().pins() == {}
    for text in ("mine.pt", "mine.pt=", "mine.pt=ftp://x.org/a"):
        with pytest.raises(CtgridError, match="write FILE=https://"):
            DetectorSettings(address=(text,)).addresses()

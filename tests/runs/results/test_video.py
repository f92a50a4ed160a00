"""Results of ``evaluate video``: distances, flicker of both sets, clips pair by pair with their mean."""

from __future__ import annotations

from typing import Any

import pytest

from ctgrid.runs.results.video import describe, recognises

PAIRS = [{"clip": "a", "frames": 9, "psnr": 30.0, "ssim": 0.9}, {"clip": "b", "frames": 5, "psnr": 34.0, "ssim": None}]
FLICKER = [{"frames": 16, "real": 2.5, "real_sd": None, "n_real": 4, "fake": 3.0, "fake_sd": 0.5, "n_fake": 2}]


def content(**parts: Any) -> dict[str, Any]:
    return {"kind": "video", "clips": {"real": ["a", "b"], "fake": ["a"]}, **parts}


def test_pairs_have_a_mean_where_there_are_several() -> None:
    (table,) = describe(content(pairs=PAIRS)).tables
    assert [row["clip"] for row in table.rows] == ["a", "b", "mean"]
    assert table.rows[-1]["psnr"] == 32.0 and table.rows[-1]["ssim"] == 0.9
    (alone,) = describe(content(pairs=PAIRS[:1])).tables
    assert len(alone.rows) == 1


def test_flicker_has_only_columns_with_values() -> None:
    (table,) = describe(content(flicker=FLICKER)).tables
    assert [c.key for c in table.columns] == ["frames", "real", "n_real", "fake", "fake_sd", "n_fake"]
    assert "consecutive frames" in table.notes[0]


def test_what_was_counted_and_left_out_is_said() -> None:
    described = describe(content(flicker=FLICKER, warnings=["few clips"], left_out=["x.mp4 is damaged"]))
    assert described.notes == ["2 real and 1 generated clips.", "few clips", "Left out: x.mp4 is damaged"]


@pytest.mark.parametrize(
    "other", [None, [], {"kind": "volumes", "pairs": PAIRS}, {"kind": "video"}, content(pairs=[{}])]
)
def test_other_content_is_none(other: Any) -> None:
    assert recognises(content(pairs=PAIRS)) and recognises(content(flicker=FLICKER)) and not recognises(other)

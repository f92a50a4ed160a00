"""The table says what the results say."""

from __future__ import annotations

from typing import Any

from ctgrid.runs.results.markdown import description_markdown
from ctgrid.runs.results.volumes import describe

DETECTOR = {"name": "i3d_torchscript", "sha256": "ab" * 32}
ROW: dict[str, Any] = {"measure": "FVD", "frames": 16, "value": 123.456789, "confidence": None, "detector": DETECTOR}
RESULTS: dict[str, Any] = {
    "protocol": {"name": "stylegan-v", "version": 1, "id": "stylegan-v@1", "sha256": "cd" * 32},
    "volumes": {"real": [{}] * 3, "fake": [{}] * 2},
    "measures": [
        {**ROW, "n_real": 3, "n_fake": 2},
        {**ROW, "measure": "KVD", "confidence": [-0.5, 2.25], "n_real": 3, "n_fake": 2},
    ],
    "ct": {
        "distances": {"steps": {"value": 7.5, "unit": "HU", "fake_mean": 8.25, "real_mean": None}},
        "resemblance": {
            "figures": {
                "streaks": {
                    "unit": "share",
                    "real": {"n": 3, "min": 0.5, "median": 0.6, "max": 0.7, "spread": 0.16},
                    "fake": {"n": 1, "min": 0.96, "median": 0.96, "max": 0.96, "spread": None},
                    "outside": True,
                },
                "flicker_framed": {"unit": "", "real": None, "fake": None, "outside": None},
            },
            "notes": ["scan covers 98 mm"],
        },
    },
    "memorisation": {"verdict": "no sign", "reference": "test-to-train"},
}


def test_every_figure_stands_in_the_table() -> None:
    text = description_markdown(describe(RESULTS))
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    assert text.startswith("3 real and 2 generated volumes.")
    assert "Protocol: stylegan-v@1, sha256 cdcdcdcdcdcd…" in text
    assert ["FVD", "16", "123.46", "3", "2", "i3d_torchscript, abababababab…"] in lines
    assert ["KVD", "16", "123.46 (-0.5 … 2.25)", "3", "2", "i3d_torchscript, abababababab…"] in lines
    assert ["steps", "7.5", "8.25", "HU"] in lines  # columns that nothing is known for are left out
    assert ["streaks", "0.5", "0.6", "0.7", "0.96", "outside", "16%", "share"] in lines
    assert ["flicker_framed", "–", "–", "–", "–", "–", "–", ""] in lines and "scan covers 98 mm" in text
    assert text.endswith("Verdict: no sign; reference: test-to-train.")


def test_the_field_of_view_is_told() -> None:
    """Where all volumes were cut out in one."""
    text = description_markdown(describe({**RESULTS, "field_mm": 340.0}))
    assert text.startswith("3 real and 2 generated volumes, all cut out around the body in a field of 340 mm.")


def test_parts_that_were_not_measured_are_left_out() -> None:
    described = describe({**RESULTS, "measures": [], "ct": None, "memorisation": None})
    assert not described.tables and described.notes == ["3 real and 2 generated volumes."]

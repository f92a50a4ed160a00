"""``ctgrid doctor`` for people and for machines; it exits with 1 where something stands in the way."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

FOUND: dict[str, Any] = {
    "versions": {name: "1.0" for name in ("ctgrid", "python", "torch", "numpy", "diffusers")} | {"platform": "Linux"},
    "processor": {"name": "A CPU", "cores": 2, "threads": 4, "formats": ["float32", "bfloat16"]},
    "gpus": [],
    "device": "cpu",
    "precision": "bfloat16",
    "cache": {"folder": "/scratch/x", "free_gb": 12.34},
    "working_folder": {"folder": "/tmp", "free_gb": 1.0},
    "extras": {"store": [], "video": ["av"]},
    "self_test": [
        {"name": "load the model", "ok": True, "seconds": 1.25},
        {"name": "make", "ok": False, "problem": "no"},
    ],
    "problems": [],
    "ok": True,
}


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Put a computer in the place of this one; return what is found there."""
    content, asked = dict(FOUND), []

    def examine(self_test: bool, progress: Any) -> dict[str, Any]:
        asked.append(self_test)
        return content

    monkeypatch.setattr("ctgrid.runs.doctor.examine", examine)
    content["asked"] = asked
    return content


def test_lines_for_people(ctgrid: Callable[..., Any], found: dict[str, Any]) -> None:
    result = ctgrid("doctor")
    lines = dict(line.split("  ", 1) for line in result.stdout.splitlines() if "  " in line)
    said = {name.strip(): value.strip() for name, value in lines.items()}
    assert result.exit_code == 0 and result.stdout.endswith("all is well\n") and found["asked"] == [True]
    assert said["processor"] == "A CPU, 2 cores, 4 threads" and said["GPU"] == "none"
    assert said["will use"] == "cpu, bfloat16" and said["cache"] == "/scratch/x, 12.3 GB free"
    assert said["extra store"] == "there" and said["extra video"] == "lacks av: pip install 'ctgrid[video]'"
    assert said["load the model"] == "1.2 s" and said["make"] == "failed: no"


def test_what_stands_in_the_way_is_named_and_is_a_failure(ctgrid: Callable[..., Any], found: dict[str, Any]) -> None:
    found |= {"ok": False, "problems": ["the disk is full", "no weights"], "self_test": None}
    result = ctgrid("doctor", "--no-self-test")
    assert result.exit_code == 1 and found["asked"] == [False]
    assert "the disk is full" in result.stdout and result.stdout.endswith("2 problems, see above\n")
    told = json.loads(ctgrid("doctor", "--json").stdout)
    assert told["problems"] == found["problems"] and not told["ok"]

"""Descriptions of scans from Python."""

from __future__ import annotations

import json
from pathlib import Path

import ctgrid
from ctgrid.runs.scans.info import describe_source


def test_descriptions_are_plain(scan: Path) -> None:
    """What is printed as JSON is what the call returns."""
    assert json.loads(json.dumps(describe_source(scan))) == describe_source(scan)
    assert describe_source(scan)["shape"] == list(ctgrid.Volume.read(scan).shape)

"""Protocols by name: every one is run, described and undone through the same calls."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.scan.protocols.protocols import (
    PROTOCOLS,
    Made,
    check_protocol,
    orientation_of,
    protocol_named,
    record_from_json,
    restore,
)
from ctgrid.scan.volume import Volume


@pytest.fixture
def run(tmp_path: Path, chest: Callable[..., np.ndarray]) -> Callable[[str], Made]:
    """Run a protocol on a small turned chest."""
    affine = np.array([[4.0, 0, 0, -60], [0, -4.0, 0, 50], [0, 0, 3.0, -30], [0, 0, 0, 1.0]])
    path = Volume(chest((101, 24, 32)), affine).write(tmp_path / "a.nii.gz")

    def made(name: str) -> Made:
        asked: dict[str, Any] = {"size": 32, "k": 4, "slices": None, "parity": False, "fov_mm": None, "hu": "auto"}
        return protocol_named(name).run(path, None, None, **asked)

    return made


@pytest.mark.parametrize("name", sorted(PROTOCOLS))
def test_a_scan_goes_through_a_protocol_and_back_by_its_record_alone(name: str, run: Callable[[str], Made]) -> None:
    """As JSON holds it: onto the scan's own grid; and a record tells how its slices lie."""
    made = run(name)
    assert protocol_named(name).name == name == made.result.record.protocol
    data = json.loads(json.dumps(made.result.record.to_json()))
    back = restore(made.result.slices, record_from_json(data))
    assert back.shape == made.shape and np.allclose(back.affine, made.affine)
    assert made.result.coarse.shape == (len(made.result.slices), 8, 8)
    codes = orientation_of(data)
    assert len(codes) == 3 and all(any(code in pair for code in codes) for pair in ("LR", "AP", "SI"))


@pytest.mark.parametrize("name", sorted(PROTOCOLS))
def test_a_damaged_record_is_one_line(name: str) -> None:
    """Whatever it lacks."""
    with pytest.raises(CtgridError, match=f"the record of protocol {name} is damaged"):
        record_from_json({"protocol": name})


@pytest.mark.parametrize("name", ["canonicl", None, 3])
def test_unknown_protocols_are_refused_with_those_there_are(name: Any) -> None:
    for call in (check_protocol, protocol_named, lambda n: record_from_json({"protocol": n})):
        with pytest.raises(CtgridError, match=f"unknown protocol {name!r}; known: generatect, canonical"):
            call(name)
    assert check_protocol("canonical") == "canonical"

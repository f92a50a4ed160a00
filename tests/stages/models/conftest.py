"""A hub on this machine."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ctgrid.stages.models import transfer

SPEC = importlib.util.spec_from_file_location("fake_hub", Path(__file__).parents[2] / "fake_hub.py")
assert SPEC is not None and SPEC.loader is not None
fake_hub: Any = importlib.util.module_from_spec(SPEC)
sys.modules["fake_hub"] = fake_hub
SPEC.loader.exec_module(fake_hub)

WEIGHTS = "codec/model.safetensors"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A hub with one small model, and an empty home."""
    files = {"README.md": b"# A model\n", "codec/config.json": b"{}", WEIGHTS: bytes(range(256)) * 1000, "x.png": b"p"}
    with fake_hub.FakeHub(files=files) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.hub)
        monkeypatch.setenv("NO_PROXY", "*")
        monkeypatch.setenv("CTGRID_HOME", str(tmp_path / "home"))
        for name in ("CTGRID_OFFLINE", "HF_HUB_OFFLINE", "HF_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(transfer, "WAIT_S", 0.0)
        yield server

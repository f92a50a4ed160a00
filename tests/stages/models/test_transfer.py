"""Files from a hub: each hashed, each continued where it stopped, none kept that is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.stages.models import transfer
from ctgrid.stages.models.catalogue import Catalogue, HubName
from ctgrid.stages.models.hub import Fetched, fetch

WEIGHTS = "codec/model.safetensors"
NAME = "hub:lab/chest"


def get(name: str = NAME, **options: Any) -> Fetched:
    """Fetch by name."""
    return fetch(HubName.parse(name), **options)


def home_files(tmp_path: Path) -> list[str]:
    """What lies in the home, without locks."""
    paths = (tmp_path / "home").rglob("*")
    return sorted(p.name for p in paths if p.is_file() and not p.name.endswith(".lock"))


@pytest.mark.parametrize("path", [WEIGHTS, "codec/config.json"])
def test_content_that_is_not_what_the_hub_states_is_refused(hub: Any, path: str, tmp_path: Path) -> None:
    """And nothing is kept of the whole model."""
    hub.damaged = {path}
    with pytest.raises(CtgridError, match=rf"{path}: its content has SHA-256 .* the hub states .* nothing was kept"):
        get()
    assert home_files(tmp_path) == []
    assert list(Catalogue().entries()) == [] == Catalogue().interrupted()
    hub.damaged = set()
    assert get().entry.manifest.verified


def test_a_dropped_connection_goes_on_at_once(hub: Any) -> None:
    """With the byte where it stopped."""
    hub.cuts = {WEIGHTS: [100_000, 50_000]}
    result = get()
    assert hub.downloads(WEIGHTS) == [None, "bytes=100000-", "bytes=150000-"]
    assert result.downloaded == sum(len(hub.files[path]) for path in result.entry.manifest.files)
    assert result.entry.manifest.verified


def test_a_broken_fetch_goes_on_in_the_next(hub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is listed as interrupted, not as a model, until it is whole."""
    hub.cuts = {WEIGHTS: [100_000] + [0] * transfer.RETRIES}
    with pytest.raises(CtgridError, match=r"100000 bytes are kept, fetch again to go on"):
        get()
    assert Catalogue().find(HubName.parse(NAME)) is None
    (left,) = Catalogue().interrupted()
    assert left["id"] == "lab/chest" and left["bytes"] > 100_000
    hub.log.clear()
    result = get()
    assert hub.downloads(WEIGHTS) == ["bytes=100000-"] and hub.downloads("README.md") == []
    assert result.downloaded == len(hub.files[WEIGHTS]) - 100_000
    assert result.resumed == left["bytes"] and Catalogue().interrupted() == []
    assert (result.entry.folder / WEIGHTS).read_bytes() == hub.files[WEIGHTS]


def test_ctrl_c_keeps_what_came(hub: Any) -> None:
    """And the next fetch goes on behind it."""

    def stop(phase: str, done: int, total: int) -> None:
        if phase == WEIGHTS:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get(progress=stop)
    assert Catalogue().find(HubName.parse(NAME)) is None
    hub.log.clear()
    result = get()
    (went_on,) = hub.downloads(WEIGHTS)
    assert went_on is not None and result.downloaded < len(hub.files[WEIGHTS])
    assert result.entry.manifest.verified


def test_a_server_without_ranges_starts_again(hub: Any) -> None:
    """What was there is not appended to."""
    hub.cuts, hub.ranges = {WEIGHTS: [100_000]}, False
    assert (get().entry.folder / WEIGHTS).read_bytes() == hub.files[WEIGHTS]


def test_damage_before_an_interruption_is_found_after_it(hub: Any, tmp_path: Path) -> None:
    """The whole is hashed, not only what came last."""
    hub.cuts = {WEIGHTS: [100_000] + [0] * transfer.RETRIES}
    with pytest.raises(CtgridError, match="are kept"):
        get()
    (part,) = (tmp_path / "home").rglob("*.part")
    part.write_bytes(b"\xff" + part.read_bytes()[1:])
    with pytest.raises(CtgridError, match="nothing was kept"):
        get()
    assert home_files(tmp_path) == []


def test_a_disk_that_is_too_small(hub: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Said before anything is downloaded."""
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(CtgridError, match=r"0\.00 GB are free; make room, or set CTGRID_HOME"):
        get()
    assert hub.downloads(WEIGHTS) == []

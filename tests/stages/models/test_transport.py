"""What is asked of a hub in every way it may answer, and what its refusals mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.stages.models.catalogue import HubName
from ctgrid.stages.models.hub import Fetched, fetch
from ctgrid.stages.models.sources import resolve_model
from ctgrid.stages.models.transport import RemoteFile, Transport, explained

WEIGHTS = "codec/model.safetensors"
NAME = "hub:lab/chest"
OUTSIDE = b'{"id": "lab/chest", "sha": "../x", "siblings": [{"rfilename": "config.json", "size": 2}]}'


def get(name: str = NAME, **options: Any) -> Fetched:
    """Fetch by name."""
    return fetch(HubName.parse(name), **options)


def home_files(tmp_path: Path) -> list[str]:
    """What lies in the home, without locks."""
    paths = (tmp_path / "home").rglob("*")
    return sorted(p.name for p in paths if p.is_file() and not p.name.endswith(".lock"))


@pytest.mark.parametrize("listing", ["sizes and hashes", "names and a tree", "names alone"])
def test_every_way_a_hub_lists_its_files_will_do(hub: Any, listing: str) -> None:
    """Hashes come with the listing, from the tree, or with each file's own answer; pictures stay there."""
    hub.sizes, hub.trees = listing == "sizes and hashes", listing == "names and a tree"
    result = get()
    checked = {path: entry.checked for path, entry in result.entry.manifest.files.items()}
    assert checked == {"README.md": "sha1", "codec/config.json": "sha1", WEIGHTS: "sha256"}
    assert result.left_out == ["x.png"]
    assert (resolve_model(NAME) / WEIGHTS).read_bytes() == hub.files[WEIGHTS]


@pytest.mark.parametrize(
    ("refuse", "name", "words"),
    [
        (None, "hub:lab/other", "has no such model"),
        (None, "hub:lab/chest@v9", "no revision 'v9'"),
        ((401, "", b"{}"), NAME, "gated, private, or no such model; check the name and set HF_TOKEN"),
        ((401, "RepoNotFound", b"{}"), NAME, "gated, private, or no such model"),
        ((403, "GatedRepo", b"{}"), NAME, "gated; accept its terms at http://.*/lab/chest and set HF_TOKEN"),
        ((404, "", b"not here"), NAME, "has no such model or file"),
        ((500, "", b"oops"), NAME, "answers with an error: .*500"),
        ((200, "", b"<html>log in</html>"), NAME, "does not answer as a hub does"),
        ((200, "", b"{}"), NAME, "does not answer as a hub does"),
        ((200, "", b'{"id": "lab/chest"}'), NAME, "names no commit"),
        ((200, "", OUTSIDE), NAME, r"names the commit '\.\./x', which is none"),
    ],
)
def test_refusals_say_what_to_do(hub: Any, refuse: Any, name: str, words: str, tmp_path: Path) -> None:
    """One line, and nothing is left."""
    hub.refuse = refuse
    with pytest.raises(CtgridError, match=words) as caught:
        get(name)
    assert "\n" not in str(caught.value)
    assert home_files(tmp_path) == []


@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "huggingface.co", "http://", "http://host:port"])
def test_no_hub_at_all(hub: Any, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is down, and addresses that are none."""
    monkeypatch.setenv("HF_ENDPOINT", address)
    with pytest.raises(CtgridError, match=r"cannot reach http://127|HF_ENDPOINT is"):
        get()


def test_a_file_is_read_from_any_byte(hub: Any) -> None:
    """Where ranges are ignored the content says that it begins at the beginning."""
    transport = Transport(HubName.parse(NAME))
    commit, files = transport.listing()
    assert files[WEIGHTS].size == len(hub.files[WEIGHTS]) and len(next(iter(files[WEIGHTS].stated))) == 64
    for ranges, begins in ((True, 1000), (False, 0)):
        hub.ranges = ranges
        with transport.open(commit, WEIGHTS, 1000) as (at, chunks):
            assert at == begins and b"".join(chunks) == hub.files[WEIGHTS][begins:]
    asked = transport.ask(commit, WEIGHTS, RemoteFile())
    assert asked.size == len(hub.files[WEIGHTS]) and asked.stated == files[WEIGHTS].stated


def test_what_is_no_fault_of_the_hub_passes_through() -> None:
    name = HubName.parse(NAME)
    with pytest.raises(KeyboardInterrupt), explained(name):
        raise KeyboardInterrupt
    with pytest.raises(OSError, match="disk"), explained(name):
        raise OSError("disk")
    with pytest.raises(CtgridError, match=r"^as it was$"), explained(name):
        raise CtgridError("as it was")
    with pytest.raises(CtgridError, match=r"does not answer as a hub does \(.*'sha'"), explained(name):
        raise KeyError("sha")

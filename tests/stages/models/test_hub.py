"""Fetching from a hub on this machine: what comes, what is refused, what goes on where it stopped."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.stages.models.bundle import load_bundle
from ctgrid.stages.models.catalogue import Catalogue, HubName
from ctgrid.stages.models.hub import Fetched, fetch
from ctgrid.stages.models.sources import resolve_model

fake_hub: Any = sys.modules["fake_hub"]

WEIGHTS = "codec/model.safetensors"
NAME = "hub:lab/chest"


def get(name: str = NAME, **options: Any) -> Fetched:
    """Fetch by name."""
    return fetch(HubName.parse(name), **options)


def home_files(tmp_path: Path) -> list[str]:
    """What lies in the home, without locks."""
    paths = (tmp_path / "home").rglob("*")
    return sorted(p.name for p in paths if p.is_file() and not p.name.endswith(".lock"))


def test_a_model_comes_whole_and_is_used_without_a_network(hub: Any, tiny_model: Path, tmp_path: Path) -> None:
    """The bundle loads by its name, says where it came from, and the hub is not asked again."""
    hub.files = {p.relative_to(tiny_model).as_posix(): p.read_bytes() for p in tiny_model.rglob("*") if p.is_file()}
    result = get()
    assert result.entry.manifest.verified and not result.already_here
    assert result.downloaded == sum(map(len, hub.files.values()))
    asked = len(hub.log)
    bundle = load_bundle(NAME)
    source = bundle.describe()["source"]
    assert (source["kind"], source["id"], source["revision"], source["commit"]) == (
        "hub",
        "lab/chest",
        "main",
        "a" * 40,
    )
    assert source["endpoint"] == hub.hub and source["sha256"] == load_bundle(tiny_model).source["sha256"]
    assert len(hub.log) == asked
    again = get()
    assert again.already_here and again.downloaded == 0 and all(method == "GET" for _, method, _, _ in hub.log[asked:])


def test_offline_asks_nobody(hub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """By argument or by environment; what is here is found."""
    with pytest.raises(CtgridError, match=r"not here, .* offline"):
        get(offline=True)
    for variable in ("CTGRID_OFFLINE", "HF_HUB_OFFLINE"):
        with monkeypatch.context() as patch, pytest.raises(CtgridError, match=r"not here, .* offline"):
            patch.setenv(variable, "1")
            get()
    assert hub.log == []
    get()
    hub.log.clear()
    result = get(offline=True)
    assert result.already_here and hub.log == []


def test_pickles_come_only_when_asked_for(hub: Any) -> None:
    """Beside safetensors they are left out; alone they are refused by name."""
    hub.files["codec/model.bin"] = b"\x80\x04."
    assert get().left_out == ["codec/model.bin", "x.png"]
    del hub.files[WEIGHTS]
    hub.revisions = {"main": "b" * 40}
    with pytest.raises(CtgridError, match=r"weights are pickles \(codec/model.bin\).*--allow-pickle"):
        get()
    assert "codec/model.bin" in get(pickles=True).entry.manifest.files


def test_some_files_first_and_the_rest_later(hub: Any) -> None:
    """A second fetch adds to the first and downloads only what is new."""
    first = get(include=["*.md"])
    assert sorted(first.entry.manifest.files) == ["README.md"]
    hub.log.clear()
    second = get(include=["codec/*"])
    assert sorted(second.entry.manifest.files) == ["README.md", "codec/config.json", WEIGHTS]
    assert hub.downloads("README.md") == [] and (second.entry.folder / "README.md").read_bytes() == b"# A model\n"
    with pytest.raises(CtgridError, match=r"no file like vae/\* that ctgrid reads, among 4"):
        get(include=["vae/*"])


@pytest.mark.parametrize("path", ["../up.json", "/abs.json", "a/../../b.json", "c:evil.json", "a\\b.json"])
def test_paths_that_lead_outside_are_refused(hub: Any, path: str, tmp_path: Path) -> None:
    """A hub cannot write elsewhere."""
    hub.files[path] = b"{}"
    with pytest.raises(CtgridError, match="leads out of the model's folder"):
        get()
    assert home_files(tmp_path) == []


def test_hashes_of_the_user_decide(hub: Any, tmp_path: Path) -> None:
    """Before anything is kept, and again for what is here."""
    right, wrong = fake_hub.sha256(hub.files[WEIGHTS]), "0" * 64
    with pytest.raises(CtgridError, match=f"SHA-256 is {right}, but {wrong} was asked for; nothing was kept"):
        get(pins={WEIGHTS: wrong})
    assert home_files(tmp_path) == []
    with pytest.raises(CtgridError, match=r"other\.safetensors: a hash is given, but no such file"):
        get(pins={"other.safetensors": right})
    assert get(pins={WEIGHTS: right}).entry.manifest.files[WEIGHTS].checked == "pin"
    assert get(pins={WEIGHTS: right}).already_here
    for offline in (False, True):
        with pytest.raises(CtgridError, match=f"but {wrong} was asked for"):
            get(pins={WEIGHTS: wrong}, offline=offline)


def test_revisions_live_side_by_side(hub: Any) -> None:
    """A branch that moved on is fetched anew; tags, commits and their beginnings name what is here."""
    hub.revisions = {"main": "a" * 40, "v1": "a" * 40}
    get()
    get("hub:lab/chest@v1")
    hub.revisions["main"] = "b" * 40
    hub.files["README.md"] = b"# Better\n"
    assert not get().already_here
    texts = {name: (resolve_model(name) / "README.md").read_bytes() for name in (NAME, f"{NAME}@v1", f"{NAME}@aaaaaaa")}
    assert texts == {NAME: b"# Better\n", f"{NAME}@v1": b"# A model\n", f"{NAME}@aaaaaaa": b"# A model\n"}
    assert [(e.commit[0], e.revisions) for e in Catalogue().entries()] == [("a", ("v1",)), ("b", ("main",))]
    with pytest.raises(CtgridError, match=r"hub:lab/chest@v2: not here, .*revisions here: .*main, v1"):
        resolve_model("hub:lab/chest@v2")


def test_the_token_goes_to_the_hub_alone(hub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never to the file server that it redirects to."""
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    get()
    sent = {(server, "authorization" in headers) for server, _, _, headers in hub.log}
    assert sent == {("hub", True), ("cdn", False)}


def test_two_at_once_download_once(hub: Any) -> None:
    """The second waits, and finds all there."""
    results: list[Fetched] = []
    both = [threading.Thread(target=lambda: results.append(get())) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert sorted(result.already_here for result in results) == [False, True]
    assert hub.downloads(WEIGHTS) == [None]


def test_a_home_that_cannot_be_written(hub: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line that names CTGRID_HOME."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CTGRID_HOME", str(tmp_path / "file"))
    with pytest.raises(CtgridError, match=r"cannot write into .*set CTGRID_HOME elsewhere"):
        get()

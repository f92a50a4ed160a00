"""Fetching from a hub on this machine: what comes, what is refused, what goes on where it stopped."""

from __future__ import annotations

import importlib.util
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.stages.models import transfer
from ctgrid.stages.models.bundle import load_bundle
from ctgrid.stages.models.catalogue import Catalogue, HubName
from ctgrid.stages.models.hub import Fetched, fetch
from ctgrid.stages.models.sources import resolve_model

SPEC = importlib.util.spec_from_file_location("fake_hub", Path(__file__).parents[2] / "fake_hub.py")
assert SPEC is not None and SPEC.loader is not None
fake_hub: Any = importlib.util.module_from_spec(SPEC)
sys.modules["fake_hub"] = fake_hub
SPEC.loader.exec_module(fake_hub)

WEIGHTS = "codec/model.safetensors"
NAME = "hub:lab/chest"
OUTSIDE = b'{"id": "lab/chest", "sha": "../x", "siblings": [{"rfilename": "config.json", "size": 2}]}'


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


@pytest.mark.parametrize("listing", ["sizes and hashes", "names and a tree", "names alone"])
def test_every_way_a_hub_lists_its_files_will_do(hub: Any, listing: str) -> None:
    """Hashes come with the listing, from the tree, or with each file's own answer; pictures stay there."""
    hub.sizes, hub.trees = listing == "sizes and hashes", listing == "names and a tree"
    result = get()
    checked = {path: entry.checked for path, entry in result.entry.manifest.files.items()}
    assert checked == {"README.md": "sha1", "codec/config.json": "sha1", WEIGHTS: "sha256"}
    assert result.left_out == ["x.png"]
    assert (resolve_model(NAME) / WEIGHTS).read_bytes() == hub.files[WEIGHTS]


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


def test_a_disk_that_is_too_small(hub: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Said before anything is downloaded."""
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(CtgridError, match=r"0\.00 GB are free; make room, or set CTGRID_HOME"):
        get()
    assert hub.downloads(WEIGHTS) == []

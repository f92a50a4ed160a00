"""What lies in ``CTGRID_HOME``: by name, revision and commit; nothing half is a model."""

from __future__ import annotations

from pathlib import Path

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.stages.models.catalogue import Catalogue, HubName, ctgrid_home, is_offline
from ctgrid.stages.models.manifest import MANIFEST_FILE, FileEntry, Manifest

NAME = HubName("lab", "chest")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home."""
    monkeypatch.setenv("CTGRID_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def put(commit: str, name: HubName = NAME) -> Path:
    """Lay a model into the catalogue."""
    folder = Catalogue().folder(name, commit)
    folder.mkdir(parents=True)
    Manifest({"a.safetensors": FileEntry(3, "1" * 64)}).write(folder)
    return folder


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hub:lab/chest", HubName("lab", "chest", "main")),
        ("hub:stabilityai/sd-vae-ft-mse@main", HubName("stabilityai", "sd-vae-ft-mse", "main")),
        ("hub:a/b.c_d@refs/pr/1", HubName("a", "b.c_d", "refs/pr/1")),
    ],
)
def test_names_are_read_and_written(text: str, expected: HubName) -> None:
    """``main`` is what is meant where no revision is named."""
    assert HubName.parse(text) == expected == HubName.parse(str(expected))


@pytest.mark.parametrize(
    "text", ["lab/chest", "hub:chest", "hub:a/b/c", "hub:../b", "hub:a/..", "hub:a/b@", "hub:a--b/c", "hub:-a/b"]
)
def test_other_texts_are_no_names(text: str) -> None:
    """The message shows the form."""
    with pytest.raises(CtgridError, match=r"is not hub:owner/name or hub:owner/name@revision"):
        HubName.parse(text)


def test_home_and_offline_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With the platform's cache as the default."""
    assert ctgrid_home() == tmp_path / "home"
    monkeypatch.delenv("CTGRID_HOME")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert ctgrid_home() == tmp_path / "cache" / "ctgrid"
    for name in ("CTGRID_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    assert not is_offline()
    for value, expected in (("1", True), ("true", True), ("0", False), ("", False)):
        monkeypatch.setenv("CTGRID_OFFLINE", value)
        assert is_offline() is expected


def test_a_model_is_found_by_branch_commit_and_beginning() -> None:
    one, two = "a" * 40, "a" * 6 + "b" * 34
    folder = put(one)
    catalogue = Catalogue()
    assert catalogue.find(NAME) is None
    catalogue.note_revision(NAME, one)
    catalogue.note_revision(HubName("lab", "chest", one), one)  # a commit names itself
    assert catalogue.revisions(NAME) == {"main": one}
    for revision in ("main", one, one[:7]):
        found = catalogue.find(HubName("lab", "chest", revision))
        assert found is not None and (found.folder, found.revisions, found.id) == (folder, ("main",), "lab/chest")
    put(two)
    for revision in (one[:6], "a" * 7 + "c"):  # too short, of none
        assert catalogue.find(HubName("lab", "chest", revision)) is None
    assert catalogue.find(HubName("lab", "chest", two[:7])) is not None
    with pytest.raises(
        CtgridError, match=r"hub:lab/chest@v2: not here.*aaaaaaaaaaaa, aaaaaabbbbbb, main\); run `ctgrid"
    ):
        catalogue.require(HubName("lab", "chest", "v2"))


def test_a_beginning_of_two_commits_is_neither() -> None:
    for commit in ("abcdefg1" * 5, "abcdefg2" * 5):
        put(commit)
    assert Catalogue().find(HubName("lab", "chest", "abcdefg")) is None


def test_a_damaged_model_hides_no_other(home: Path) -> None:
    put("a" * 40)
    (put("b" * 40) / MANIFEST_FILE).write_text("{")
    put("c" * 40, HubName("other", "model"))
    told: list[str] = []
    found = [(entry.id, entry.commit[0]) for entry in Catalogue().entries(told.append)]
    assert found == [("lab/chest", "a"), ("other/model", "c")] and len(told) == 1 and MANIFEST_FILE in told[0]
    (home / "models" / "lab--chest" / "revisions.json").write_text("[1")
    with pytest.raises(CtgridError, match=r"revisions\.json.*remove it and fetch hub:lab/chest again"):
        Catalogue().find(NAME)


def test_what_an_interrupted_fetch_left_is_listed_as_that(home: Path) -> None:
    assert Catalogue().interrupted() == []
    part = Catalogue().partial(NAME, "a" * 40)
    (part / "codec").mkdir(parents=True)
    (part / "codec" / "x.part").write_bytes(b"12345")
    assert Catalogue().interrupted() == [{"id": "lab/chest", "commit": "a" * 40, "bytes": 5}]
    assert list(Catalogue().entries()) == []


@pytest.mark.parametrize("commit", ["../x", "", "a/b", ".hidden", "a" * 65, "a b"])
def test_a_commit_that_can_name_no_folder_is_refused(commit: str) -> None:
    with pytest.raises(CtgridError, match="which is none"):
        Catalogue().folder(NAME, commit)

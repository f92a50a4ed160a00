"""Models by name, the catalogue of what is here, manifests: all without a network."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.stages.models.bundle import PARTS, load_bundle, model_folder
from ctgrid.stages.models.catalogue import Catalogue, HubName
from ctgrid.stages.models.manifest import MANIFEST_FILE, FileEntry, Manifest, check_folder
from ctgrid.stages.models.sources import EMBEDDED_FOLDER, list_models, recorded_files, resolve_model

COMMIT = "c" * 40


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, and a network that fails the test."""
    monkeypatch.setenv("CTGRID_HOME", str(tmp_path / "home"))

    def no_network(*args: object, **options: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    return tmp_path / "home"


@pytest.fixture
def fetched(home: Path, tiny_model: Path) -> Path:
    """The tiny model as if it had been fetched as ``hub:lab/tiny``."""
    folder = home / "models" / "lab--tiny" / COMMIT
    shutil.copytree(tiny_model, folder)
    entries = {
        path: FileEntry(entry.size, entry.sha256, "sha256") for path, entry in Manifest.of_folder(folder).files.items()
    }
    Manifest(entries, {"id": "lab/tiny", "commit": COMMIT, "endpoint": "http://hub"}).write(folder)
    Catalogue().note_revision(HubName.parse("hub:lab/tiny"), COMMIT)
    return folder


def test_each_kind_of_name_has_its_folder(fetched: Path, tmp_path: Path) -> None:
    """Embedded, a path, a hub's model by branch, commit or its beginning."""
    assert resolve_model("embedded") == EMBEDDED_FOLDER
    assert resolve_model(tmp_path) == tmp_path
    for revision in ("", "@main", f"@{COMMIT}", f"@{COMMIT[:7]}"):
        assert resolve_model(f"hub:lab/tiny{revision}") == fetched


def test_what_is_not_here_is_not_downloaded(fetched: Path) -> None:
    """One line with the command that would; it names the revisions that are here."""
    for take in (resolve_model, model_folder, load_bundle):
        with pytest.raises(CtgridError, match=r"hub:x/y: not here, in .*home; run `ctgrid model fetch hub:x/y`"):
            take("hub:x/y")
    with pytest.raises(
        CtgridError, match=r"tiny@v1: not here.*revisions here: cccccccccccc, main.*fetch hub:lab/tiny@v1"
    ):
        resolve_model("hub:lab/tiny@v1")


def test_bundles_say_where_they_come_from(fetched: Path, tiny_model: Path) -> None:
    """The same weights have the same hash, wherever they lie."""
    one, other = load_bundle("hub:lab/tiny").describe(), load_bundle(tiny_model).describe()
    assert one["source"] == {
        "kind": "hub",
        "folder": str(fetched),
        "sha256": other["source"]["sha256"],
        "id": "lab/tiny",
        "revision": "main",
        "commit": COMMIT,
        "endpoint": "http://hub",
    }
    assert other["source"]["kind"] == "folder" and one["files"] == other["files"]


def test_the_home_can_be_moved(fetched: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To another disk or another machine."""
    home.rename(tmp_path / "elsewhere")
    monkeypatch.setenv("CTGRID_HOME", str(tmp_path / "elsewhere"))
    assert model_folder("hub:lab/tiny").is_relative_to(tmp_path / "elsewhere")
    assert check_folder(resolve_model("hub:lab/tiny"), recorded_files("hub:lab/tiny")) == []


def test_the_list_names_what_is_here(fetched: Path) -> None:
    """With sizes, revisions, whether hashes were compared, and whether files are missing since."""
    embedded, tiny = list_models()
    assert (embedded["name"], embedded["verified"], embedded["complete"]) == ("embedded", True, True)
    assert (tiny["name"], tiny["commit"], tiny["revisions"]) == ("hub:lab/tiny", COMMIT, ["main"])
    assert tiny["verified"] and tiny["complete"] and tiny["bytes"] > 10_000
    assert json.loads(json.dumps(tiny)) == tiny
    (fetched / "stage1" / "config.json").unlink()
    assert not list_models()[1]["complete"]


def test_hashing_again_finds_every_change(fetched: Path) -> None:
    """A byte, a length, a file that is gone, weights that were put there."""
    assert check_folder(fetched, recorded_files("hub:lab/tiny")) == []
    weights = {part: fetched / part / "diffusion_pytorch_model.safetensors" for part in PARTS}
    content = weights["codec"].read_bytes()
    weights["codec"].write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    weights["stage1"].write_bytes(content[:-1])
    weights["stage2"].rename(fetched / "other.safetensors")
    problems = {p["path"]: p["problem"] for p in check_folder(fetched, recorded_files("hub:lab/tiny"))}
    assert problems["codec/diffusion_pytorch_model.safetensors"] == "changed"
    assert "bytes instead of" in problems["stage1/diffusion_pytorch_model.safetensors"]
    assert problems["stage2/diffusion_pytorch_model.safetensors"] == "missing"
    assert problems["other.safetensors"] == "not in the manifest"


def test_the_embedded_model_is_the_one_recorded() -> None:
    """After retraining: ``ctgrid model verify embedded --record``."""
    assert check_folder(EMBEDDED_FOLDER, recorded_files("embedded")) == []
    assert len(recorded_files("embedded")) == 14


def test_folders_without_a_record_say_so(tiny_model: Path) -> None:
    """Rather than hash against nothing."""
    with pytest.raises(CtgridError, match=r"no hashes were recorded here .*--sha256 or --manifest"):
        recorded_files(tiny_model)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"ctgrid_manifest": 2, "files": {}}',
        '{"ctgrid_manifest": 1, "files": {"a": {"bytes": 1, "sha256": "x"}}}',
    ],
)
def test_manifests_that_are_none_are_refused(text: str, tmp_path: Path) -> None:
    """By their path."""
    (tmp_path / MANIFEST_FILE).write_text(text, encoding="utf-8")
    with pytest.raises(CtgridError, match=str(tmp_path / MANIFEST_FILE)):
        recorded_files(tmp_path)

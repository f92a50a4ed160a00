"""Lists of a model's files with their hashes: written, read, compared; and paths that stay inside."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.base.files import sha256_of
from ctgrid.stages.models.manifest import (
    MANIFEST_FILE,
    FileEntry,
    Manifest,
    check_folder,
    digest_of,
    megabytes,
    read_pins,
    safe_path,
)


def test_expected_hashes_in_every_form(tmp_path: Path, tiny_model: Path) -> None:
    """From the command line, from ``sha256sum``, from a manifest; the command line wins."""
    file = tmp_path / "sums"
    digest = sha256_of(tiny_model / "codec" / "config.json")
    file.write_text(f"{digest}  ./codec/config.json\n{'0' * 64} *b.bin\n", encoding="utf-8")
    assert read_pins([], file) == {"codec/config.json": digest, "b.bin": "0" * 64}
    assert read_pins([f"b.bin={'A' * 64}"], file)["b.bin"] == "a" * 64
    folder = Path(shutil.copytree(tiny_model, tmp_path / "copy"))
    assert read_pins([], Manifest.of_folder(folder).write(folder))["codec/config.json"] == digest


@pytest.mark.parametrize("bad", ["x", "a.bin=123", f"={'0' * 64}", f"../a={'0' * 64}"])
def test_hashes_that_are_none_are_refused(bad: str, tmp_path: Path) -> None:
    """On the command line and in files."""
    with pytest.raises(CtgridError, match=r"is not FILE=HASH|leads out of"):
        read_pins([bad])
    (tmp_path / "sums").write_text("no hash here\n", encoding="utf-8")
    with pytest.raises(CtgridError, match="is not a line of sha256sum"):
        read_pins([], tmp_path / "sums")
    with pytest.raises(CtgridError, match="give a manifest or what sha256sum prints"):
        read_pins([], tmp_path / "missing")


def test_a_manifest_reads_back_what_it_wrote(tmp_path: Path) -> None:
    """Entries, source and the hash over all."""
    manifest = Manifest(
        {"a.safetensors": FileEntry(3, "1" * 64, "pin"), "b/c.json": FileEntry(2, "2" * 64)}, {"id": "x/y"}
    )
    again: Any = Manifest.read(manifest.write(tmp_path))
    assert (again.files, again.source, again.sha256) == (manifest.files, manifest.source, manifest.sha256)
    assert manifest.verified and manifest.size == 5
    assert not Manifest({"a.safetensors": FileEntry(3, "1" * 64)}).verified


def test_weights_and_configs_are_the_model_and_records_and_hidden_files_are_not(tmp_path: Path) -> None:
    own = ("codec/config.json", "codec/w.safetensors", "stage.json", "model.pt")
    others = ("run.json", "codec/run-2.json", ".cache/x.safetensors", "README.md", MANIFEST_FILE, "x.png")
    for name in (*own, *others):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    manifest = Manifest.of_folder(tmp_path)
    assert sorted(manifest.files) == sorted(own) and manifest.size == sum(map(len, own))
    assert check_folder(tmp_path, manifest.files) == []
    (tmp_path / "model.pt").unlink()
    (tmp_path / "codec" / "w.safetensors").unlink()
    with pytest.raises(CtgridError, match="no weights in this folder"):
        Manifest.of_folder(tmp_path)


def test_changes_are_found_by_hash_and_size(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(b"abc")
    files = {"a.pt": FileEntry(3, sha256_of(tmp_path / "a.pt")), "b.json": FileEntry(2, "2" * 64)}
    (tmp_path / "c.bin").write_bytes(b"x")
    seen: list[tuple[int, int]] = []
    found = {
        p["path"]: p["problem"] for p in check_folder(tmp_path, files, progress=lambda w, d, t: seen.append((d, t)))
    }
    assert found == {"b.json": "missing", "c.bin": "not in the manifest"} and seen == [(1, 1), (1, 1)]
    (tmp_path / "a.pt").write_bytes(b"abx")
    assert check_folder(tmp_path, {"a.pt": files["a.pt"]}, strict=False)[0]["problem"] == "changed"
    (tmp_path / "a.pt").write_bytes(b"abcd")
    assert check_folder(tmp_path, {"a.pt": files["a.pt"]}, strict=False)[0]["problem"] == "4 bytes instead of 3"
    unknown = {"a.pt": FileEntry(-1, "0" * 64)}
    assert check_folder(tmp_path, unknown, strict=False)[0]["problem"] == "changed"


@pytest.mark.parametrize("name", ["a", "a/b.json", "a..b/c", "ä.bin"])
def test_paths_that_stay_inside(name: str) -> None:
    assert safe_path(name) == name


@pytest.mark.parametrize("name", ["", "/a", "../a", "a/../b", "a\\b", "c:a", "a\nb", "a*", 'a"', "a|b", "a?"])
def test_paths_that_lead_outside_or_cannot_be_written(name: str) -> None:
    with pytest.raises(CtgridError, match="it is refused"):
        safe_path(name)


def test_one_hash_over_all_is_that_of_sha256sums_list() -> None:
    """``(cd model; sha256sum a b) | sha256sum``."""
    listing = f"{'1' * 64}  a\n{'2' * 64}  b\n"
    assert digest_of({"b": "2" * 64, "a": "1" * 64}) == hashlib.sha256(listing.encode()).hexdigest()
    assert [megabytes(size) for size in (0, 1, 1_400_000, 2_600_000)] == [1, 1, 1, 3]

"""The list of volumes made: whole lines only, the last one counts, and what is there is not trusted unseen."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.base.journal import Journal, is_done
from ctgrid.base.privacy import NO_PATHS


@contextmanager
def small_files(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond a number of bytes."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_an_entry_is_a_line_and_a_files_last_one_counts(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "manifest.jsonl")
    assert journal.entries() == {}
    for seed in (1, 2):
        journal.append({"file": "a.nii", "seed": seed})
    journal.append({"file": "b.nii", "seed": 3})
    assert journal.path.read_text().count("\n") == 3
    assert {name: entry["seed"] for name, entry in journal.entries().items()} == {"a.nii": 2, "b.nii": 3}


@pytest.mark.parametrize("torn", [b'{"file": "b", "se', b"\xff\xfe", b"[1]", b"null", b"{}", b"[" * 100_000])
def test_a_line_cut_short_is_none_and_the_next_begins_anew(torn: bytes, tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    path.write_bytes(b'{"file": "a"}\n' + torn)
    Journal(path).append({"file": "c"})
    assert list(Journal(path).entries()) == ["a", "c"]


@pytest.mark.parametrize("was, now", [(b'"seed"', b'"sees"'), (b"0.1", b"0.2"), (b"null", b"true"), (b'"a', b'"b')])
def test_a_line_changed_since_is_none_and_one_of_before_counts(was: bytes, now: bytes, tmp_path: Path) -> None:
    journal = Journal(tmp_path / "manifest.jsonl")
    entry = {"file": "a.nii", "seed": 1, "settings": {"start": 0.1, "left": None, "folder": Path("x")}}
    journal.append(entry)
    assert journal.entries()["a.nii"] == {**entry, "settings": {"start": 0.1, "left": None, "folder": "x"}}
    line = journal.path.read_bytes()
    assert was in line
    journal.path.write_bytes(line.replace(was, now))
    assert journal.entries() == {}
    journal.path.write_text(json.dumps({"file": "a.nii", "seed": 2}) + "\n")
    assert journal.entries() == {"a.nii": {"file": "a.nii", "seed": 2}}


def test_a_disk_that_fills_up_while_listing(tmp_path: Path) -> None:
    """The list keeps whole lines only."""
    manifest = Journal(tmp_path / "manifest.jsonl")
    manifest.append({"file": "a", "seed": 1})
    size = manifest.path.stat().st_size
    with small_files(size + 5), pytest.raises(CtgridError, match=r"cannot write .*manifest"):
        manifest.append({"file": "b", "seed": 2})
    assert manifest.path.stat().st_size == size
    assert list(manifest.entries()) == ["a"]


def test_many_append_at_once(tmp_path: Path) -> None:
    def work(who: int) -> None:
        for number in range(10):
            Journal(tmp_path / "m").append({"file": f"{who}-{number}", "text": "x" * 500})

    threads = [Thread(target=work, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(Journal(tmp_path / "m").entries()) == 40


def test_hidden_names_are_still_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By who has the key; names that were listed before they were hidden, too."""
    monkeypatch.setenv("HOME", str(tmp_path))
    journal = Journal(tmp_path / "manifest.jsonl")
    journal.append({"file": "open.nii.gz", "seed": 1})
    monkeypatch.setenv(NO_PATHS, "1")
    journal.append({"file": "Anna.nii.gz", "seed": 2})
    assert "Anna" not in journal.path.read_text()
    entries = journal.entries()
    assert entries.get("Anna.nii.gz")["seed"] == 2 and entries.get("open.nii.gz")["seed"] == 1
    assert "Anna.nii.gz" in entries and "Berta.nii.gz" not in entries and entries.get("Berta.nii.gz") is None


def test_a_folder_in_its_place_is_said(tmp_path: Path) -> None:
    for act in (Journal(tmp_path).entries, lambda: Journal(tmp_path).append({"file": "a"})):
        with pytest.raises(CtgridError, match=rf"cannot (read|write) {tmp_path}: .*irectory"):
            act()


def entry_of(path: Path, **facts: Any) -> dict[str, Any]:
    content = path.read_bytes()
    return {"file": path.name, "bytes": len(content), "sha256": sha256(content).hexdigest(), **facts}


def test_done_is_what_is_there_whole_and_as_asked(tmp_path: Path) -> None:
    path, manifest = tmp_path / "a.nii", tmp_path / "manifest.jsonl"
    asked = {"seed": 1, "settings": {"steps": 4, "k": 2}}
    assert not is_done(path, None, asked, manifest, False)  # not there
    path.write_bytes(b"voxels")
    entry = json.loads(json.dumps(entry_of(path, **asked, seconds=3)))
    assert is_done(path, entry, asked, manifest, False)
    for wrong, words in (
        (None, r"exists, but manifest.jsonl does not list it; pass --overwrite"),
        (entry | {"seed": 2}, r"made with other settings: seed 2 instead of 1; pass"),
        (entry | {"settings": {"steps": 9, "k": 9}}, r"steps 9 instead of 4 and 1 more"),
        (entry | {"settings": "damaged"}, r"steps None instead of 4 and 1 more"),
        (entry | {"sha256": "0" * 64}, "changed or damaged"),
        (entry | {"bytes": 5}, "changed or damaged"),
    ):
        with pytest.raises(CtgridError, match=words):
            is_done(path, wrong, asked, manifest, False)
        assert not is_done(path, wrong, asked, manifest, True)

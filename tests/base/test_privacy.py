"""Names and paths in records: replaced by what only the owner of the key can tell."""

from __future__ import annotations

from pathlib import Path

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.base.privacy import NO_PATHS, STRIP, alias, aliases_for_paths, hides, strips, without_paths


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the key to the test."""
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_an_alias_is_of_no_use_without_the_key(tmp_path: Path) -> None:
    one = alias("/data/Anna.nii.gz")
    key = tmp_path / "home" / ".ctgrid" / "alias.key"
    assert one == alias("/data/Anna.nii.gz") != alias("/data/Berta.nii.gz") and one.endswith(".nii.gz")
    assert key.stat().st_mode & 0o77 == 0 and "Anna" not in one
    key.unlink()
    assert alias("/data/Anna.nii.gz") != one


def test_names_in_messages_go_too() -> None:
    record = {"inputs": [{"path": "/d/Anna M.nii"}], "error": "/d/Anna M.nii: damaged; see /x/y.json", "status": "d"}
    made = without_paths(record)
    assert "Anna" not in str(made) and "/x" not in str(made) and made["status"] == "d" and "damaged" in made["error"]


def test_what_names_no_file_stays() -> None:
    record = {"command": "convert", "settings": {"dtype": "int16", "window": [-1000, 400]}, "kind": "a/b", "seed": 1}
    assert without_paths(record) == record


def test_a_name_goes_wherever_it_stands_and_reads_alike() -> None:
    """With its folders and without its suffix; words that only contain it stay."""
    made = without_paths({"source": "/data/Miller/Ann.nii.gz", "note": "Ann of Miller, Annual", "more": ["Ann.nii.gz"]})
    assert made["note"] == f"{alias('Ann')} of {alias('Miller')}, Annual" and made["more"] == [alias("Ann.nii.gz")]
    assert made["source"] == alias("/data/Miller/Ann.nii.gz")
    assert without_paths(made) == made, "an alias is no name"
    assert without_paths({"lost /tmp/Berta/x": 1, "plain": 2})["plain"] == 2
    assert "Berta" not in str(without_paths({"/tmp/Berta/x": 1})) and "Berta" not in str(without_paths(["see ~/Berta"]))


@pytest.mark.parametrize(("value", "wanted"), [("1", True), ("yes", True), ("", False), ("0", False), (" No ", False)])
def test_switches(value: str, wanted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NO_PATHS, value)
    monkeypatch.setenv(STRIP, value)
    assert (hides(), strips()) == (wanted, wanted)


def test_a_key_that_cannot_be_made_is_said(own_home: Path) -> None:
    (own_home / ".ctgrid").write_text("a file")
    with pytest.raises(CtgridError, match=r"cannot use the key .*alias\.key of --no-paths"):
        alias("a.nii")


def test_a_key_is_whole_or_none(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an empty one anybody could tell the names; two processes that make it at once have one key."""
    path = own_home / ".ctgrid" / "alias.key"
    first = alias("a.nii")
    assert [p.name for p in path.parent.iterdir()] == ["alias.key"] and len(path.read_bytes()) == 32
    monkeypatch.setattr(Path, "exists", lambda self: False)  # as seen before the other had made it
    assert alias("a.nii") == first
    monkeypatch.undo()
    monkeypatch.setenv("HOME", str(own_home))
    path.write_bytes(b"")
    with pytest.raises(CtgridError, match=r"alias\.key of --no-paths is damaged; remove it"):
        alias("a.nii")


def test_paths_among_settings_are_known_by_their_type() -> None:
    """A folder's name without a slash looks like any word, and one with a space like two."""
    asked = {"real": Path("Mueller"), "fake": (Path("/data/Anna Mueller"),), "steps": 3, "model": "embedded"}
    found = aliases_for_paths(asked)
    assert found == {"real": alias("Mueller"), "fake": [alias("/data/Anna Mueller")], "steps": 3, "model": "embedded"}

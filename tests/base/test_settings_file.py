"""Settings from a file: as typed ones in type and range, and what is wrong said in one line."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from ctgrid.base.errors import CtgridError, CtgridWarning
from ctgrid.base.record import RunRecord
from ctgrid.base.settings import Checked, Setting
from ctgrid.base.settings_file import read_settings, settings_file, taken_from
from ctgrid.base.usual import read_window


@dataclass(frozen=True)
class Part(Checked):
    """Of the settings below."""

    rate: Annotated[float, Setting("Of learning.", least=0, was="learning")] = 0.5


@dataclass(frozen=True)
class Toy(Checked):
    """Settings of each type."""

    steps: Annotated[int, Setting("How many.", least=1)] = 20
    part: Part = field(default_factory=Part)
    style: Annotated[Literal["plain", "loud"], Setting("How.")] = "plain"
    bow: Annotated[bool, Setting("Bow first.")] = True
    folder: Annotated[Path | None, Setting("Where.")] = None
    tables: Annotated[tuple[Path, ...], Setting("Which.")] = ()
    window: Annotated[tuple[float, float], Setting("Of HU.", read=read_window)] = (-1000.0, 400.0)
    overwrite: Annotated[bool, Setting("Replace.")] = False


def read(folder: Path, text: str) -> dict[str, Any]:
    """Return the settings of a text."""
    path = folder / "settings.yaml"
    path.write_text(text, encoding="utf-8")
    return read_settings(path, Toy, "toy")


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("", None),
        ("{}", {}),
        ("steps: 3\nrate: 1", {"steps": 3, "rate": 1.0}),
        ("learning: 1e-4", {"rate": 1e-4}),
        ("rate: .inf\nbow: off", {"rate": math.inf, "bow": False}),
        ("style: loud\nfolder: a/b", {"style": "loud", "folder": Path("a/b")}),
        ("folder: ~/b", {"folder": Path.home() / "b"}),
        ("folder:", {"folder": None}),
        ("tables: [a, b]", {"tables": (Path("a"), Path("b"))}),
        ("tables: a", {"tables": (Path("a"),)}),
        ("window: -500,100", {"window": (-500.0, 100.0)}),
        ("window: [-500, 100]", {"window": (-500.0, 100.0)}),
    ],
)
def test_values_are_as_typed_ones(tmp_path: Path, text: str, settings: dict[str, Any] | None) -> None:
    """Whole numbers, numbers, words, switches, paths, lists, and what a setting reads in its own way."""
    if settings is None:
        with pytest.raises(CtgridError, match=r"settings\.yaml: settings are a mapping"):
            read(tmp_path, text)
    else:
        found = read(tmp_path, text)
        assert found == settings and {k: type(v) for k, v in found.items()} == {k: type(v) for k, v in settings.items()}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("step: 3", "unknown setting 'step'; known: .* did you mean steps?"),
        ("steps: many", "steps is a whole number, got 'many'"),
        ("steps: 2.5", "steps is a whole number, got 2.5"),
        ("steps: true", "steps is a whole number, got True"),
        ("steps:", "steps needs a value"),
        ("steps: 0", "steps must be at least 1, got 0"),
        ("rate: much", "rate is a number, got 'much'"),
        ("rate: true", "rate is a number, got True"),
        ("rate: [1]", "rate is a number, got"),
        ("bow: 1", "bow is true or false, got 1"),
        ("style: soft", "style must be plain or loud, got 'soft'"),
        ("style: 3", "style is a text, in quotes"),
        ("folder: 3", "folder is a path, got 3"),
        ("tables: [a, 3]", "tables is a path, got 3"),
        ("window: 3", "window: '3' is not lo,hi"),
        ("a: b: c", "not a file of settings"),
        ("- steps", "settings are a mapping"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, text: str, reason: str) -> None:
    """In one line that names file and setting."""
    with pytest.raises(CtgridError, match=reason) as refused:
        read(tmp_path, text)
    assert str(tmp_path / "settings.yaml") in str(refused.value) and "\n" not in str(refused.value)


def test_a_record_gives_its_settings_but_no_leave(tmp_path: Path) -> None:
    """Those of parts too; not what else it notes, nor leave to overwrite; what it leaves open is said."""
    record = RunRecord("toy", tmp_path / "run.json", settings={"steps": 4, "part": {"learning": 0.25}, "more": 1})
    record.settings |= {"style": "loud", "bow": True, "tables": [], "window": (-5.0, 5.0), "overwrite": True}
    record.end("done")
    assert read_settings(record.path, Toy, "toy") == {
        "steps": 4,
        "rate": 0.25,
        "style": "loud",
        "bow": True,
        "tables": (),
        "window": (-5.0, 5.0),
    }
    with pytest.raises(CtgridError, match="is the record of ctgrid toy, not of ctgrid denoise"):
        read_settings(record.path, Toy, "denoise")
    del record.settings["style"]
    record.end("done")
    with pytest.warns(CtgridWarning, match="tells nothing of style: the defaults count"):
        read_settings(record.path, Toy, "toy")


def test_a_record_says_where_settings_came_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Path and hash, without the path where none shall be told; nothing where there was no file."""
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "doe.yaml"
    path.write_text("steps: 3", encoding="utf-8")
    with taken_from(path):
        record = RunRecord("toy", tmp_path / "run.json")
    with taken_from(None):
        assert settings_file() is None
    record.end("done")
    told = json.loads(record.path.read_text(encoding="utf-8"))["settings_file"]
    assert told == {"path": str(path), "sha256": sha256(b"steps: 3").hexdigest()}
    monkeypatch.setenv("CTGRID_NO_PATHS", "1")
    hidden = record.as_dict()["settings_file"]
    assert hidden["sha256"] == told["sha256"] and "doe" not in hidden["path"]
    assert "settings_file" not in RunRecord("toy", path).as_dict()

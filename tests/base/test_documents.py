"""Documents of users: one boundary for all that can be wrong; records are valid UTF-8 whatever the names."""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path

import pytest

from ctgrid.base.documents import as_json, json_of, legible, parsed_yaml, plain, yaml_of
from ctgrid.base.errors import CtgridError


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"scan.nii", "scan.nii"),
        ("größe.nii".encode(), "größe.nii"),
        (b"bad\xff.nii", "bad\\xff.nii"),
    ],
)
def test_names_of_any_bytes_become_text(name: bytes, shown: str) -> None:
    text = os.fsdecode(name)
    assert legible(text) == shown
    assert legible(name.decode("ascii", "surrogateescape")) == shown  # as under an ASCII file system encoding
    assert legible(legible(text)) == shown
    written = as_json({text: [Path(text)]})
    assert json.loads(written.encode("utf-8")) == {shown: [shown]}


def test_a_surrogate_that_no_name_holds_is_written_out() -> None:
    assert plain({"\ud800": "\ud800"}) == {"\\ud800": "\\ud800"}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\xff\xfe", "utf-8"),
        (b"a: 2001-99-99", "month must be"),
        (b"[" * 700, "nested too deeply|mapping|expected"),
        (b"a: \0", "NUL"),
        (b"a: &a [*a]", "without end"),
        (b"a: *b", "undefined alias"),
    ],
)
def test_yaml_of_any_kind_fails_in_one_line(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(content)
    with pytest.raises(CtgridError, match=rf"a\.yaml is not a recipe: .*({reason})"):
        yaml_of(path, "a recipe")


def _laughs(first: str, line: str, deep: int) -> str:
    names = [f"n{i}" for i in range(deep)]
    more = (line.format(name=b, of=", ".join([f"*{a}"] * 9)) for a, b in itertools.pairwise(names))
    return "\n".join([f"n0: &n0 {first}", *more])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (_laughs("[1, 1]", "{name}: &{name} [{of}]", 40), "anchors multiply"),
        (_laughs("{a: 1}", "{name}: &{name} {{<<: [{of}]}}", 40), "anchors multiply"),
        (_laughs("[1, 1]", "{name}: &{name} [{of}]", 7), "anchors multiply"),
        ("a: &a {<<: *a}", "without end"),
        ("- 1\n" * 1001, "more than 1000 values"),
        ("a: 1" + ":59" * 4_000, "longer than"),
        ("a: 1" + "0" * (4 << 20), "longer than 4 Mi"),
    ],
    ids=["aliases", "merges", "few", "itself", "many", "sexagesimal", "long"],
)
def test_yaml_that_multiplies_is_refused_before_it_does(
    content: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ctgrid.base.bounded_yaml.MOST_VALUES", 1000)
    with pytest.raises(CtgridError, match=rf"s\.yaml is not valid YAML: .*{reason}"):
        parsed_yaml(content, "s.yaml")


def test_aliases_of_honest_size_are_kept() -> None:
    assert parsed_yaml("a: &a {x: 1, y: [2]}\nb: {<<: *a, x: 3}\nc: [*a, *a]", "s.yaml") == {
        "a": {"x": 1, "y": [2]}, "b": {"x": 3, "y": [2]}, "c": [{"x": 1, "y": [2]}] * 2,
    }  # fmt: skip
    assert parsed_yaml("", "s.yaml") is None and parsed_yaml("3", "s.yaml") == 3


@pytest.mark.parametrize("content", [b"", b"{", b"[" * 200000, b"1" * 5000])
def test_json_of_any_kind_fails_in_one_line(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(CtgridError, match=r"a\.json is not a record"):
        json_of(path, "a record")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CtgridError, match="no regular file"):
        json_of(tmp_path / "pipe")
    with pytest.raises(CtgridError, match="it is a folder"):
        json_of(tmp_path)

"""Documents of users: one boundary for all that can be wrong; records are valid UTF-8 whatever the names."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ctgrid.base.documents import as_json, json_of, legible, plain, yaml_of
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
        (b"[" * 5000, "nested too deeply|mapping|expected"),
        (b"a: \0", "NUL"),
        (b"a: &a [*a]", "without end"),
        (
            b"a: &a [1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\n"
            b"d: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e]\n"
            b"g: &g [*f,*f,*f,*f,*f,*f,*f,*f]",
            "without end",
        ),
        (b"a: *b", "undefined alias"),
    ],
)
def test_yaml_of_any_kind_fails_in_one_line(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(content)
    with pytest.raises(CtgridError, match=rf"a\.yaml is not a recipe: .*({reason})"):
        yaml_of(path, "a recipe")


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

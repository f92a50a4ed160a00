"""What files call themselves, and what their headers say, steers neither a terminal nor a page."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctgrid import Volume
from ctgrid.base.errors import printable
from ctgrid.runs.report.html.markup import element
from ctgrid.runs.results.markdown import plain

ROOT = Path(__file__).resolve().parents[3]
EVIL = "a\x1b[2J\x1b]0;owned\x07\x9b31m\u202egnp.exe\x7f"


def controls(text: str) -> list[str]:
    return [c for c in text if not c.isprintable() and c != "\n"]


def test_a_name_reaches_no_terminal_with_its_controls(ctgrid: Callable[..., Any], scan: Path, tmp_path: Path) -> None:
    source = tmp_path / f"{EVIL}.nii.gz"
    source.write_bytes(scan.read_bytes())
    for words in (("info", source), ("convert", source, tmp_path / "o.nii.gz"), ("info", tmp_path / f"{EVIL}.gone")):
        result = ctgrid(*words)
        assert controls(result.stdout) == [] and controls(result.stderr) == []
    assert "31m" in ctgrid("info", source).stdout  # the rest of the name is there


def test_header_texts_are_cleaned(ctgrid: Callable[..., Any], tmp_path: Path, chest_volume: Volume) -> None:
    from pydicom import dcmread

    chest_volume.write(tmp_path / "ct")
    for path in (tmp_path / "ct").iterdir():
        dataset = dcmread(path)
        dataset.ConvolutionKernel, dataset.Manufacturer = "B\x1b[31mred", "M\x9b"
        dataset.save_as(path)
    result = ctgrid("info", tmp_path / "ct")
    assert result.exit_code == 0 and "red" in result.stdout and controls(result.output) == []


def test_stdout_has_one_way() -> None:
    for path in (ROOT / "cli").glob("*.py"):
        found = re.findall(r"typer\.echo\((?!ctx\.get_help)|(?<![\w.])print\(", path.read_text())
        assert not found or path.name == "errors.py", f"{path.name} prints by itself; use tell() of cli/errors.py"


@pytest.mark.parametrize("words", ["![x](http://e.vil/p.png)", "[x](javascript:a)", "<img src=x>", "`c`", "a|b", "# h"])
def test_markdown_takes_it_for_text(words: str) -> None:
    made = plain(words + EVIL + "\nnext")
    assert controls(made) == [] and "\n" not in made
    assert not re.search(r"(?<!\\)[`|#]|<|(?<!\\)\]\(", made)


def test_html_takes_it_for_text() -> None:
    made = element("p", f"<script>{EVIL}</script>", title=f'"{EVIL}')
    assert controls(made) == [] and "<script" not in made and '""' not in made


def test_what_is_left_is_the_text() -> None:
    assert printable("Müller ☢ 42 µm") == "Müller ☢ 42 µm"
    assert printable("a\x1bb\udcff", "") == "ab"

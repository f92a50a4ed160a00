"""What the documents say is there: links, pictures, snippets, commands and options."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from ctgrid_cli import app

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = get_command(app)  # made once: typer reads every signature


def test_readme_opens_with_two_commands_that_the_makefile_has() -> None:
    readme, makefile = (ROOT / "README.md").read_text(encoding="utf-8"), (ROOT / "Makefile").read_text(encoding="utf-8")
    first_block = re.search(r"```\w*\n(.*?)```", readme, re.S)
    assert first_block is not None
    assert [line.split("#")[0].strip() for line in first_block[1].splitlines()] == ["make demo", "make test"]
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for target in set(re.findall(r"(?:^|`)make ([a-z][\w-]*)", readme + contributing, re.M)):
        assert re.search(rf"^{target}:", makefile, re.M), f"make {target} is documented and missing"


CARD = ROOT / "ctgrid/stages/models/embedded/MODEL_CARD.md"


def test_readme_shows_the_figures_of_the_model_that_ships() -> None:
    """The ranges of README's table are those of the model card's rows of real scans and of what ships."""

    def row(text: str, start: str) -> list[str]:
        line = re.search(rf"^\| {re.escape(start)}.*\|$", text, re.M)
        assert line is not None, start
        return re.findall(r"[\d.]+ to [\d.]+", line[0])[:3]

    readme, card = (ROOT / "README.md").read_text(encoding="utf-8"), CARD.read_text(encoding="utf-8")
    assert row(readme, "real, least to greatest") == row(card, "real, least to greatest")
    assert row(readme, "synthetic, least to greatest") == row(card, "synthetic, median (least to greatest)")


def documents() -> list[Path]:
    """List the Markdown files that users read."""
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")), CARD]


@pytest.mark.parametrize("document", documents(), ids=lambda p: p.relative_to(ROOT).as_posix())
class TestDocument:
    def test_relative_links_and_images_exist(self, document: Path) -> None:
        text = document.read_text(encoding="utf-8")
        targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r"(?:src|href)=\"([^\"]+)\"", text)
        for target in (t.split("#")[0] for t in targets if not re.match(r"https?:|mailto:|#", t)):
            assert (document.parent / target).exists(), f"{document.name} points to {target}"

    def test_no_figure_is_left_to_fill_in(self, document: Path) -> None:
        assert re.findall(r"@@\w+@@", document.read_text(encoding="utf-8")) == []

    def test_python_snippets_compile_and_those_in_docs_run(
        self, document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)  # where they may write
        for number, block in enumerate(re.findall(r"```python\n(.*?)```", document.read_text(encoding="utf-8"), re.S)):
            code = compile(block, f"{document.name}[{number}]", "exec")
            if ROOT / "docs" in document.parents:
                exec(code, {})

    def test_commands_and_options_exist(self, document: Path) -> None:
        for block in re.findall(r"```(?:bash|sh|console)\n(.*?)```", document.read_text(encoding="utf-8"), re.S):
            for line in block.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                if not words or Path(words[0]).name != "ctgrid":
                    continue
                command, rest = COMMANDS, words[1:]
                while rest and rest[0] in getattr(command, "commands", {}):
                    command, rest = command.commands[rest[0]], rest[1:]
                known = {o for p in command.params for o in (*p.opts, *p.secondary_opts)} | {"--help"}
                used = {word.split("=")[0] for word in rest if word.startswith("-")}
                assert used <= known, f"{line!r}: {sorted(used - known)}"

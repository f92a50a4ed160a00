"""The documentation site's own parts: the pages made from the code, the links, and the search from disk."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from typer.main import get_command

from ctgrid_cli import app

ROOT = Path(__file__).resolve().parent.parent


def load(path: Path) -> ModuleType:
    """Load a script by its path."""
    spec = importlib.util.spec_from_file_location(f"site_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def part(name: str) -> Any:
    """Load one part of ``.ci/site``."""
    return load(ROOT / ".ci/site" / f"{name}.py")


def test_every_command_and_option_has_its_place() -> None:
    pages = part("commands").pages()
    top: Any = get_command(app)

    def check(command: Any, page: str) -> None:
        for option in (o for p in command.params for o in p.opts if o.startswith("--") and not p.hidden):
            assert f"`{option}`" in page, (command.name, option)
        for name, below in getattr(command, "commands", {}).items():
            assert f"{name}\n" in page
            check(below, page)

    for name, command in top.commands.items():
        check(command, pages[f"reference/commands/{name}.md"])
        assert f"]({name}.md)" in pages["reference/commands/index.md"]


def test_every_key_of_a_recipe_is_listed_with_what_holds_unless_it_is_given() -> None:
    recipes = part("recipes")
    (page,) = recipes.pages().values()
    for path, model in recipes.sections():
        for name in model.model_fields:
            assert f"| `{f'{path}.{name}'.lstrip('.')}` |" in page
    assert "| `stage1.prediction` | `epsilon or v or x0` | `epsilon` |" in page
    assert "| `embedded-stage1` |" in page


def test_every_public_name_is_explained_once() -> None:
    python = part("python")
    pages = python.pages(ROOT)
    shown = [line[4:] for page in pages.values() for line in page.splitlines() if line.startswith("::: ")]
    assert len(shown) == len(set(shown))
    for face, file in python.faces(ROOT).items():
        for name, path in python.names(face, file).items():
            assert path in shown, name
            assert f"`{name}`" in pages["reference/python/index.md"]
    assert "ctgrid.scan.volume.Volume" in shown and "ctgrid.metrics.edges.edge_gain" in shown


def test_links_lead_where_their_targets_lie_in_the_site() -> None:
    links = part("links")
    rewritten = links.rewritten
    assert rewritten("[a](../README.md#use)", "concepts.md", ROOT) == "[a](readme.md#use)"
    assert (
        rewritten("[a](docs/hu.md) ![b](docs/images/demo.png)", "readme.md", ROOT) == "[a](hu.md) ![b](images/demo.png)"
    )
    assert rewritten("[a](LICENSE)", "readme.md", ROOT) == "[a](files/LICENSE)"
    assert rewritten("[a](../docs/)", "concepts.md", ROOT) == "a"
    outside = "[a](https://x.org/y.md) [b](#c) [d](gone.md)"
    assert rewritten(outside, "concepts.md", ROOT) == outside
    assert {"LICENSE", "configs/protocols/stylegan-v@1.yaml"} <= links.files_linked(ROOT)


def test_every_page_is_in_the_navigation() -> None:
    class Loader(yaml.SafeLoader):
        """Passes over what only mkdocs can make."""

    Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda loader, suffix, node: None)
    config = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), Loader)
    listed: list[str] = []

    def walk(entry: Any) -> None:
        for below in entry.values() if isinstance(entry, dict) else entry if isinstance(entry, list) else ():
            walk(below)
        if isinstance(entry, str):
            listed.append(entry)

    walk(config["nav"])
    links = part("links")
    pages = {p.relative_to(ROOT / "docs").as_posix() for p in (ROOT / "docs").rglob("*.md")}
    made = {"reference/commands/*", "reference/python/*", "reference/recipes.md"}
    assert sorted(listed) == sorted(pages | set(links.ROOT_PAGES.values()) | made)


def test_a_worker_answers_on_a_page_from_disk(tmp_path: Path) -> None:
    browsing = load(ROOT / "tests/runs/report/html/conftest.py")
    program = next((found for name in browsing.NAMES if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip("no Chromium here")
    (tmp_path / "shim.js").write_text((ROOT / ".ci/site/iframe-worker.js").read_text(encoding="utf-8"))
    (tmp_path / "worker.js").write_text("addEventListener('message', (e) => postMessage(2 * e.data));")
    page = "<body><script src=shim.js></script><script>const w = new Worker('worker.js');"
    page += "w.onmessage = (e) => { window.heard = e.data; }; w.postMessage(21);</script>"
    (tmp_path / "page.html").write_text(page)
    browser = browsing.Browser(program, tmp_path / "profile")
    try:
        tab = browser.tab((800, 600))
        tab.open((tmp_path / "page.html").as_uri())
        tab.wait("window.heard === 42")
        assert tab.problems() == []
    finally:
        browser.close()

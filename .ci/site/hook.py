"""What mkdocs calls while it builds the site: adds the pages that code knows, and leads links out of docs/ home."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(Path(__file__).parent), str(ROOT)]

import commands  # noqa: E402
import links  # noqa: E402
import python  # noqa: E402
import recipes  # noqa: E402

GENERATED = {**commands.pages(), **recipes.pages(), **python.pages(ROOT)}
"""Pages made from the code, text by the name in the site."""


def on_config(config: Any) -> Any:
    """Write the generated pages into the navigation, where it says ``FOLDER/*``."""

    def expand(entries: list[Any]) -> list[Any]:
        out: list[Any] = []
        for entry in entries:
            if isinstance(entry, dict):
                out += [{title: expand(below) if isinstance(below, list) else below} for title, below in entry.items()]
            elif entry.endswith("/*"):
                title = entry.removesuffix("/*").rpartition("/")[2].capitalize()
                out.append({title: [name for name in GENERATED if name.startswith(entry[:-1])]})
            else:
                out.append(entry)
        return out

    config.nav = expand(config.nav)
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add what is generated, the documents at the root, and every file outside docs/ that a page links to."""
    for name, text in GENERATED.items():
        files.append(File.generated(config, name, content=text))
    for source, name in links.ROOT_PAGES.items():
        files.append(File.generated(config, name, content=(ROOT / source).read_text(encoding="utf-8")))
    shim = Path(__file__).with_name("iframe-worker.js")
    files.append(File.generated(config, "assets/iframe-worker.js", abs_src_path=str(shim)))
    for source in sorted(links.files_linked(ROOT)):
        if files.get_file_from_path(links.site_name(source)) is None:
            files.append(File.generated(config, links.site_name(source), abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Lead the page's links, which hold in the repository, to where their targets lie in the site."""
    if page.file.src_uri in GENERATED:
        return markdown
    return links.rewritten(markdown, page.file.src_uri, ROOT)

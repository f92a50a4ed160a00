"""Links: documents are written for the repository; in the site some of their targets lie elsewhere."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

ROOT_PAGES = {
    "README.md": "readme.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security-policy.md",
    "ctgrid/stages/models/embedded/MODEL_CARD.md": "model-card.md",
}
"""Documents outside docs/, and what the site calls them."""

_LINK = re.compile(r"(?<!`)(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")


def site_name(source: str) -> str:
    """Say where a file of the repository lies in the site: pages by name, other files below ``files/``."""
    if source in ROOT_PAGES:
        return ROOT_PAGES[source]
    return source.removeprefix("docs/") if source.startswith("docs/") else f"files/{source}"


def source_of(name: str) -> str:
    """Say which file of the repository a page of the site was made from."""
    return {page: source for source, page in ROOT_PAGES.items()}.get(name, f"docs/{name}")


def _outside(text: str, source: str, root: Path) -> Iterator[tuple[re.Match[str], str, str]]:
    """Find links to files of this repository: the match, the target from the root, its anchor."""
    for found in _LINK.finditer(text):
        target, mark, anchor = found[3].partition("#")
        if target and not re.match(r"[a-z]+:", target):
            aim = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
            if (root / aim).exists():
                yield found, aim, mark + anchor


def rewritten(text: str, name: str, root: Path) -> str:
    """Lead a page's links to where their targets lie in the site; of a link to a folder the text alone stays."""
    pieces, end = [], 0
    for found, aim, anchor in _outside(text, source_of(name), root):
        to = posixpath.relpath(site_name(aim), posixpath.dirname(name) or ".")
        link = found[2] if (root / aim).is_dir() else f"{found[1]}[{found[2]}]({to}{anchor})"
        pieces += [text[end : found.start()], link]
        end = found.end()
    return "".join([*pieces, text[end:]])


def files_linked(root: Path) -> set[str]:
    """List the files outside docs/ that some page links to and that are no pages themselves."""
    pages = [*ROOT_PAGES, *(p.relative_to(root).as_posix() for p in (root / "docs").rglob("*.md"))]
    aims = {aim for page in pages for _, aim, _ in _outside((root / page).read_text(encoding="utf-8"), page, root)}
    return {aim for aim in aims - set(ROOT_PAGES) if not aim.startswith("docs/") and (root / aim).is_file()}

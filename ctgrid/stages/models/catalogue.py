"""What lies in ``CTGRID_HOME``: fetched models by name and revision. Nothing here touches a network.

``models/OWNER--NAME/COMMIT/`` holds a model's files and its manifest, ``models/OWNER--NAME/revisions.json`` the
commits that branches and tags pointed to when they were fetched, ``partial/`` what an interrupted fetch left.
A model is written under ``partial/`` and renamed into place: present means complete. All paths inside are
relative, so the folder can be moved or copied to another machine.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctgrid.base.causes import reading
from ctgrid.base.documents import json_of
from ctgrid.base.errors import CtgridError
from ctgrid.base.files import atomic_output
from ctgrid.base.progress import unheard
from ctgrid.stages.models.manifest import MANIFEST_FILE, Manifest

HUB = "hub:"
DEFAULT_REVISION = "main"
REVISIONS_FILE = "revisions.json"
_PART = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?"
_NAME = re.compile(rf"({_PART})/({_PART})(?:@([^@\s]+))?")
_COMMIT = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,63}")


@dataclass(frozen=True)
class HubName:
    """``hub:owner/name[@revision]``: a repository on a hub, and a branch, tag or commit of it."""

    owner: str
    name: str
    revision: str = DEFAULT_REVISION

    @classmethod
    def parse(cls, text: str) -> HubName:
        """Read a name.

        Raises:
            CtgridError: for another text.
        """
        match = _NAME.fullmatch(text.removeprefix(HUB)) if text.startswith(HUB) else None
        if match is None or "--" in text or ".." in text:
            raise CtgridError(f"{text!r} is not hub:owner/name or hub:owner/name@revision")
        return cls(match[1], match[2], match[3] or DEFAULT_REVISION)

    @property
    def id(self) -> str:
        """``owner/name``."""
        return f"{self.owner}/{self.name}"

    def __str__(self) -> str:
        """The name as users type it."""
        return f"{HUB}{self.id}" + ("" if self.revision == DEFAULT_REVISION else f"@{self.revision}")


@dataclass(frozen=True)
class Entry:
    """One complete model in the catalogue."""

    id: str
    commit: str
    revisions: tuple[str, ...]
    folder: Path
    manifest: Manifest


def ctgrid_home() -> Path:
    """Return the folder for fetched models: ``CTGRID_HOME``, else ``ctgrid`` in the platform's cache."""
    given = os.environ.get("CTGRID_HOME")
    if given:
        return Path(given).expanduser()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "ctgrid"


def is_offline() -> bool:
    """Whether ``CTGRID_OFFLINE`` or ``HF_HUB_OFFLINE`` forbids the network."""
    names = ("CTGRID_OFFLINE", "HF_HUB_OFFLINE")
    return any(os.environ.get(name, "").strip().lower() in ("1", "true", "yes", "on") for name in names)


class Catalogue:
    """The models in one folder."""

    def __init__(self, home: Path | None = None) -> None:
        """Look into ``home``, which need not exist; None takes :func:`ctgrid_home`."""
        self.home = home or ctgrid_home()

    def folder(self, name: HubName, commit: str) -> Path:
        """Return where a commit of a model lies or would lie.

        Raises:
            CtgridError: where the commit cannot name a folder.
        """
        if not _COMMIT.fullmatch(commit):
            raise CtgridError(f"{name}: the hub names the commit {commit!r}, which is none")
        return self._repository(name) / commit

    def partial(self, name: HubName, commit: str) -> Path:
        """Return where a fetch collects files until all are there."""
        return self.home / "partial" / f"{name.owner}--{name.name}--{self.folder(name, commit).name}"

    def revisions(self, name: HubName) -> dict[str, str]:
        """Return the commits of branches and tags as of their last fetch."""
        path = self._repository(name) / REVISIONS_FILE
        if not path.exists():
            return {}
        what, remedy = "a list of revisions", f"remove it and fetch {name} again"
        content = json_of(path, what, remedy)
        with reading(path, what, remedy):
            return {str(revision): str(commit) for revision, commit in content.items()}

    def note_revision(self, name: HubName, commit: str) -> None:
        """Remember which commit a branch or tag stands for."""
        revisions = self.revisions(name)
        if name.revision == commit or revisions.get(name.revision) == commit:
            return
        with atomic_output(self._repository(name) / REVISIONS_FILE, overwrite=True) as temporary:
            content: Mapping[str, Any] = {**revisions, name.revision: commit}
            temporary.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")

    def find(self, name: HubName) -> Entry | None:
        """Return the model that a name stands for: by branch or tag, by commit, or by a commit's beginning."""
        commits = self._commits(name)
        wanted = self.revisions(name).get(name.revision, name.revision)
        if wanted not in commits and len(wanted) >= 7:
            matches = [commit for commit in commits if commit.startswith(wanted)]
            wanted = matches[0] if len(matches) == 1 else wanted
        return self._entry(name, wanted) if wanted in commits else None

    def require(self, name: HubName) -> Entry:
        """Return the model that a name stands for.

        Raises:
            CtgridError: where it is not here, with the command that brings it.
        """
        entry = self.find(name)
        if entry is None:
            others = sorted({*self.revisions(name), *(commit[:12] for commit in self._commits(name))})
            here = f" (revisions here: {', '.join(others)})" if others else ""
            raise CtgridError(f"{name}: not here, in {self.home}{here}; run `ctgrid model fetch {name}`")
        return entry

    def entries(self, damaged: Callable[[str], object] = unheard) -> Iterator[Entry]:
        """Yield all complete models, by name and commit.

        Args:
            damaged: told of each that cannot be read.
        """
        for folder in sorted((self.home / "models").glob("*--*")):
            owner, _, model = folder.name.partition("--")
            name = HubName(owner, model)
            for commit in self._commits(name):
                try:
                    yield self._entry(name, commit)
                except CtgridError as error:  # one that is damaged never hides the others
                    damaged(str(error))

    def interrupted(self) -> list[dict[str, Any]]:
        """Return what interrupted fetches left: id, commit and bytes."""
        found = []
        for folder in sorted((self.home / "partial").glob("*--*--*")):
            if folder.is_dir() and not folder.name.startswith("."):
                owner, model, commit = folder.name.split("--", 2)
                size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
                found.append({"id": f"{owner}/{model}", "commit": commit, "bytes": size})
        return found

    def _repository(self, name: HubName) -> Path:
        return self.home / "models" / f"{name.owner}--{name.name}"

    def _commits(self, name: HubName) -> list[str]:
        return sorted(path.parent.name for path in self._repository(name).glob(f"*/{MANIFEST_FILE}"))

    def _entry(self, name: HubName, commit: str) -> Entry:
        folder = self.folder(name, commit)
        revisions = tuple(sorted(r for r, c in self.revisions(name).items() if c == commit))
        return Entry(name.id, commit, revisions, folder, Manifest.read(folder / MANIFEST_FILE))

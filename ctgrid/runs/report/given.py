"""What may be read for a report or a preview: what was named, and what really lies in the folders that were."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ctgrid.base.record_place import RECORD


@dataclass(frozen=True)
class Given:
    """The places that the user named, links resolved.

    A record, or a link in a folder, that somebody else made may name any file of the machine; what lies elsewhere is
    therefore read only where it is named itself.

    Attributes:
        folders: That may be read with all below them.
        files: That were named themselves.
    """

    folders: tuple[Path, ...] = ()
    files: frozenset[Path] = field(default_factory=frozenset)

    @classmethod
    def of(cls, inputs: Iterable[Path]) -> Given:
        """Take the inputs of a command; a run's record stands for its folder.

        Args:
            inputs: Files and folders.
        """
        real = [
            Path(os.path.realpath(path.parent if f".{path.name}".endswith(f".{RECORD}") else path)) for path in inputs
        ]
        return cls(tuple(path for path in real if path.is_dir()), frozenset(path for path in real if path.is_file()))

    def holds(self, path: Path) -> bool:
        """Tell whether a file may be read, or a folder with all that is in it.

        A file beside one that was named itself may be: the scan beside its result.

        Args:
            path: A path; it need not exist.
        """
        if not self._reaches(path):
            return False
        return not path.is_dir() or all(self._reaches(link) for link in _links(path))

    def _reaches(self, path: Path) -> bool:
        real = Path(os.path.realpath(path))
        if any(real.is_relative_to(folder) for folder in self.folders) or real in self.files:
            return True
        return not real.is_dir() and real.parent in {file.parent for file in self.files}


def _links(folder: Path) -> Iterable[Path]:
    """Yield the links in a folder and below it, none of them followed."""
    for here, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(here, name)
            if path.is_symlink():
                yield path

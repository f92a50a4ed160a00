"""Files that a foreign file names: taken only where they lie beside or below it, links resolved."""

from __future__ import annotations

import os
from pathlib import Path

from ctgrid.base.errors import CtgridError, printable

_LONGEST_NAME = 4096


def is_inside(path: Path, *folders: Path) -> bool:
    """Tell whether a path lies in one of some folders, at whatever depth, all links resolved.

    Args:
        path: A path; it need not exist.
        folders: Those that may hold it.
    """
    real = Path(os.path.realpath(path))
    return any(real.is_relative_to(os.path.realpath(folder)) for folder in folders)


def beside(header: Path, name: str) -> Path:
    """Return the file that a header names, which must lie beside or below it.

    Args:
        header: The file that names it.
        name: As it stands there.

    Raises:
        CtgridError: The name is absolute, leads out of the header's folder, by itself or through a link, or is none.
    """
    why = None
    if not name or len(name) > _LONGEST_NAME or not name.isprintable():
        why = "is no file name"
    elif Path(name).is_absolute() or Path(name).drive or "\\" in name:
        why = "is not a plain name beside it"
    elif ".." in Path(name).parts:
        why = "leads out of its folder"
    elif not is_inside(header.parent / name, header.parent):
        why = "is a link out of its folder"
    if why is not None:
        raise CtgridError(
            f"{header}: its data file {printable(name)[:200]!r} {why}; put the data beside the header and name them "
            f"there, links are not followed out of the folder"
        )
    return header.parent / name

"""Which files a NRRD or MetaImage header takes its data from; none of them may lie outside the header's folder."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ctgrid.base.causes import reading
from ctgrid.base.errors import CtgridError
from ctgrid.base.inside import beside

_MOST_FILES = 100_000


def data_files(header: Path, data: str, after: Sequence[str]) -> list[Path]:
    """Return the data files of a header in their order, all of them there.

    ITK opens whatever a header names. So every name is checked first, in all three forms that there are: one file; a
    numbered pattern, ``s%03d.raw 0 23 1``; and ``LIST``, whose names stand on the lines below.

    Args:
        header: The header's file.
        data: What its data field says, uncut.
        after: The lines below that field.

    Raises:
        CtgridError: A file is missing, no regular file, or leads out of the folder; or the pattern is none.
    """
    beside(header, data)  # as one name too: which form it is, ITK decides by rules of its own
    if data.upper().startswith("LIST"):
        names = [line.strip() for line in after if line.strip()]
    elif "%" in data:
        names = _numbered(header, data)
    else:
        names = [data]
    if not names or len(names) > _MOST_FILES:
        raise CtgridError(f"{header}: it names {len(names)} data files; the header is damaged")
    found = [beside(header, name) for name in names]
    missing = next((path for path in found if not path.is_file()), None)
    if missing is not None:
        raise CtgridError(f"{header}: its data file {missing.name} is missing; keep both files together")
    for path in found:
        with reading(path), path.open("rb"):  # of one that may not be read ITK says that it is damaged
            pass
    return found


def _numbered(header: Path, data: str) -> list[str]:
    """Expand a pattern with exactly one plain ``%d``; ITK hands it to printf."""
    match = re.fullmatch(r"([^%\s]*)%(0?\d?)d([^%\s]*)((?:\s+-?\d{1,9}){2,4})", data)
    if match is None:
        raise CtgridError(f"{header}: its data files {data[:200]!r} make no pattern such as s%03d.raw 0 23 1; fix it")
    first, last, step = (int(number) for number in (*match[4].split(), "1")[:3])
    if step == 0 or abs(last - first) // abs(step) >= _MOST_FILES:
        raise CtgridError(f"{header}: its data files {data[:200]!r} have no end; fix the header")
    numbers = range(first, last + (1 if step > 0 else -1), step)
    return [f"{match[1]}{f'%{match[2]}d' % number}{match[3]}" for number in numbers]

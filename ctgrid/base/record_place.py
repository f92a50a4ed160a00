"""Where the record of a run lies, and where that of an output is looked for: the one place that decides it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, takewhile
from pathlib import Path

from ctgrid.base.files import stem_of

RECORD = "run.json"
"""The record's name in a folder that a run filled: a training, an evaluation, a series."""


def record_beside(output: Path, word: str = "") -> Path:
    """Return the place of the record of one output, a file or a folder that holds one volume or a store.

    Args:
        output: ``clean.nii.gz`` has ``clean.run.json``.
        word: tells what was made of a thing from the thing: ``clean.preview.run.json``.
    """
    stem = stem_of(output) or output.name
    return output.with_name(".".join(part for part in (stem, word, RECORD) if part))


def records_of(output: Path) -> Iterator[Path]:
    """Yield the records that may tell of an output, the likeliest first; who asks looks whether they do.

    Its own come first, then those of its folder, each before the older ones that were renamed.

    Args:
        output: a file or a folder.
    """
    for place in (record_beside(output), output.parent / RECORD):
        if place.is_file():
            yield place
        yield from older(place)


def records_in(folder: Path) -> list[Path]:
    """Return all records in a folder: of the folder, those that were renamed, of single outputs.

    Args:
        folder: that is there.
    """
    own = folder / RECORD
    single = (path for path in sorted(folder.glob(f"*.{RECORD}")) if not path.name.startswith("."))
    return [
        path for path in (own, *older(own), *(one for path in single for one in (path, *older(path)))) if path.is_file()
    ]


def older(record: Path) -> list[Path]:
    """Return the records that had this place before, the newest first."""
    return list(takewhile(Path.is_file, (renamed(record, number) for number in count(1))))[::-1]


def renamed(record: Path, number: int) -> Path:
    """Return the name under which an older record is kept: ``run-1.json``, ``clean.run-2.json``."""
    return record.with_name(f"{record.stem}-{number}{record.suffix}")

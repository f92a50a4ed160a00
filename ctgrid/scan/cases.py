"""Find scans: files, DICOM series folders and zips, wherever they lie below the given paths; and name them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from ctgrid.base.documents import legible, name_of
from ctgrid.base.errors import CtgridError
from ctgrid.base.files import full_suffix, walk_folders
from ctgrid.base.privacy import alias, hides
from ctgrid.scan.formats.kinds import DICOM_SUFFIXES, readable
from ctgrid.scan.names import plain_name

_TEXT = (".json", ".jsonl", ".csv", ".tsv", ".txt", ".md", ".pdf", ".html", ".xml", ".yaml", ".yml", ".log", ".py")
_OTHER = frozenset((*_TEXT, ".png", ".jpg", ".jpeg", ".gif", ".mp4", ".raw", ".zraw"))  # never DICOM
_LONGEST_NAME = 180  # bytes; file systems take 255
_BETWEEN = "__"


@dataclass(frozen=True)
class Case:
    """One scan to be prepared.

    Attributes:
        path: A file, a zip, or a DICOM series folder, as an absolute path.
        name: What it is called in the store; empty until :func:`named` has run.
        series: SeriesInstanceUID, or the number where several share one, where one of several series is meant.
        number: Its place in the list of ``ctgrid info``, from 1.
        left_out: Why it is not to be prepared, where that is known beforehand.
    """

    path: Path
    name: str = ""
    series: str | None = None
    number: int = 0
    left_out: str | None = None

    @property
    def key(self) -> str:
        """What tells it from all others in a report: the path, and the series where one is meant."""
        key = f"{self.path}#{self.series}" if self.series else str(self.path)
        return alias(key) if hides() else legible(key)


def find_cases(inputs: Iterable[str | os.PathLike[str]]) -> list[Case]:
    """List the scans among and below the given paths, each once, sorted by path.

    Folders are searched to any depth, through links too, but not in hidden folders or Zarr stores. What is
    named itself is always a case, so that the report can say what is wrong with it.

    Args:
        inputs: Files and folders.

    Raises:
        CtgridError: Nothing is there, or there is no scan.
    """
    given = [Path(os.path.abspath(path)) for path in inputs]  # noqa: PTH100 (resolve() would follow links)
    if given and not any(path.exists() for path in given):
        raise CtgridError(f"{given[0]} does not exist" + (", nor do the others" if len(given) > 1 else ""))
    found: set[Path] = set()
    for path in given:
        inside = set(_search(path)) if path.is_dir() else {path}
        if not inside and len(given) == 1:
            raise CtgridError(f"{path} holds no scan: no {', '.join(readable())} file and no DICOM folder")
        found |= inside or {path}
    return [Case(path) for path in sorted(found)]


def named(cases: Iterable[Case], known: Mapping[str, str] | None = None) -> list[Case]:
    """Give every case its own name: that of its file or folder, with parent folders where two are alike.

    Names depend on the set of cases alone, not on their order. Scans that ``known`` lists keep their names.

    Args:
        cases: As :func:`find_cases` gives them.
        known: Key to name, from an earlier run.
    """
    known = known or {}
    cases = sorted(cases, key=lambda case: (case.path, case.number))
    names: dict[str, str] = {}
    taken: set[str] = set()
    for case in cases:
        name = known.get(case.key)
        if name and name.casefold() not in taken:
            names[case.key] = name
            taken.add(name.casefold())
    groups: dict[str, list[Case]] = {}
    for case in cases:
        if case.key not in names:
            groups.setdefault(_name(case, 0).casefold(), []).append(case)
    for key in sorted(groups, key=lambda key: (len(groups[key]) > 1 or key in taken, key)):
        for case, name in _apart(groups[key], taken):
            names[case.key] = name
            taken.add(name.casefold())
    return [replace(case, name=names[case.key]) for case in cases]


def _apart(cases: list[Case], taken: set[str]) -> Iterator[tuple[Case, str]]:
    """Name like-named scans with as many parent folders as it takes; number those that stay alike."""
    for depth in range(max(len(case.path.parts) for case in cases)):
        names = [_name(case, depth) for case in cases]
        keys = {name.casefold() for name in names}
        if len(keys) == len(cases) and not keys & taken:
            yield from zip(cases, names, strict=True)
            return
    number, claimed = 1, set(taken)
    for case in cases:
        base = name = _name(case, 0)
        while name.casefold() in claimed:
            number += 1
            name = f"{base}-{number}"
        claimed.add(name.casefold())
        yield case, name


def _name(case: Case, parents: int) -> str:
    """Return a usable name: the path's own without suffix, after ``parents`` folders above it."""
    if hides():
        return case.key.partition(".")[0]
    path, own = case.path, case.path.name
    suffix = full_suffix(own)
    if suffix in readable() and not path.is_dir():
        own = own[: len(own) - len(suffix)]
    if case.series:
        own += f"{_BETWEEN}series-{case.number}"
    above = path.parts[max(1, len(path.parts) - 1 - parents) : -1]
    name = plain_name(_BETWEEN.join((*above, own))).lstrip("._") or "volume"
    held = name.encode("utf-8", "surrogateescape")
    if len(held) <= _LONGEST_NAME and name != "zarr.json":
        return name
    head = held[: _LONGEST_NAME - 20].decode("utf-8", "ignore")
    return name_of(f"{head}-{sha256(held).hexdigest()[:12]}")


def _search(top: Path) -> Iterator[Path]:
    """Yield files, zips and DICOM series folders below a folder; the folder itself where it is a series.

    The reader looks for DICOM in all of a folder, so that one inside another is no case of its own.
    """
    series: list[str] = []
    for here, folders, files in walk_folders(top):
        folders[:] = [name for name in folders if not _is_zarr(here / name)]
        yield from (here / name for name in files if full_suffix(name) in readable())
        if any(str(here).startswith(above) for above in series):
            continue
        if any(_is_dicom(here / name) for name in files):
            series.append(os.path.join(here, ""))  # noqa: PTH118 (with the separator at its end)
            yield here


def _is_zarr(folder: Path) -> bool:
    return folder.suffix == ".zarr" or (folder / "zarr.json").exists()


def _is_dicom(path: Path) -> bool:
    """Tell by suffix, else by content; what is clearly of another kind is not opened."""
    suffix = full_suffix(path)
    if not path.is_file():  # a pipe, say: to open it may wait for ever
        return False
    if suffix in DICOM_SUFFIXES:
        return True
    if suffix in _OTHER or suffix in readable() or path.name.upper() == "DICOMDIR":
        return False
    from ctgrid.scan.formats.dicom.files import looks_like_dicom

    try:
        with path.open("rb") as stream:
            return looks_like_dicom(stream.read(132))
    except OSError:
        return False

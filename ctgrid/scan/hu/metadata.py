"""The metadata CSV that some collections (CT-RATE) publish: one row for each volume."""

from __future__ import annotations

import csv
import math
import os
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctgrid.base.errors import CtgridError, printable
from ctgrid.base.files import full_suffix
from ctgrid.scan.formats.kinds import readable

NAME = "VolumeName"
NEEDED = (NAME, "RescaleSlope", "RescaleIntercept")
FIELDS = ("RescaleSlope", "RescaleIntercept", "XYSpacing", "ZSpacing", "Manufacturer")
Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
_UNIT, _RECORD = "\x1f", "\x1e"  # ASCII's own separators
_BETWEEN_NUMBERS = r"[\s,;\\\[\]()]+"
_EMPTY = frozenset(("nan", "none", "null", "nil", "nat", "na", "n/a", "n-a", "n.a.", "#n/a", "<na>", "-", "--", "?"))
"""What programs write for a cell that holds nothing, without regard to case."""


def volume_key(name: str | os.PathLike[str]) -> str:
    """Return what a volume is called in a table: the file's name without folder and image suffix.

    Args:
        name: A path, a file name, or the bare name.
    """
    base = re.split(r"[/\\]", os.fspath(name).strip().rstrip("/\\"))[-1]
    suffix = full_suffix(base)
    return base[: len(base) - len(suffix)] if suffix in readable() else base


@dataclass(frozen=True)
class MetadataRow:
    """What a table (or the JSON beside a scan) says about one volume; numbers are read when asked for.

    Attributes:
        file: The CSV or JSON.
        line: The row's line in a CSV; 0 for a JSON.
        name: The volume's name, without suffix.
        fields: The columns ctgrid uses, as text; empty cells are left out.
    """

    file: str
    line: int
    name: str
    fields: Mapping[str, str]

    @property
    def manufacturer(self) -> str | None:
        """The scanner's maker, as written."""
        return self.fields.get("Manufacturer")

    def rescale(self) -> tuple[float, float]:
        """Return slope and intercept.

        Raises:
            CtgridError: One of them is missing or no finite number, or the slope is 0.
        """
        slope, intercept = self._number("RescaleSlope"), self._number("RescaleIntercept")
        if slope == 0:
            raise self._error("RescaleSlope is 0")
        return slope, intercept

    def spacing_mm(self) -> tuple[float, float, float] | None:
        """Return the voxel spacing (z, y, x) in mm, or None where the row does not tell it.

        Raises:
            CtgridError: A spacing that is no positive number.
        """
        if "XYSpacing" not in self.fields or "ZSpacing" not in self.fields:
            return None
        plane = [part for part in re.split(_BETWEEN_NUMBERS, self.fields["XYSpacing"]) if part]
        try:
            x, y = (float(part) for part in (plane * 2 if len(plane) == 1 else plane))
        except ValueError:
            raise self._error(f"XYSpacing {self.fields['XYSpacing']!r} is no pair of numbers") from None
        spacing = self._number("ZSpacing"), y, x
        if not all(math.isfinite(s) and s > 0 for s in spacing):
            raise self._error(f"spacing {spacing} mm (z, y, x) is not positive")
        return spacing

    def _number(self, field: str) -> float:
        text = self.fields.get(field, "")
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise self._error(f"{field} is {text!r}, not a number")
        return value

    def _error(self, what: str) -> CtgridError:
        where = f"{self.file}, line {self.line} ({self.name})" if self.line else self.file
        return CtgridError(f"{where}: {what}; mend the entry or remove it")


class MetadataTable:
    """The rows of a metadata CSV, found by a volume's path, file name or bare name.

    A name that no row has as it stands is looked for without regard to case; :attr:`MetadataRow.name` tells.
    Only the columns that ctgrid uses are kept. A pickled table (for worker processes) is compressed;
    :meth:`subset` makes one that holds just the rows of some volumes.
    """

    def __init__(self, file: str, rows: Mapping[str, tuple[str, ...]]) -> None:
        """Hold rows that are read already; :meth:`read` is the usual way in.

        Args:
            file: Where they come from.
            rows: Name to (line, then the cells of ``FIELDS``), as text.
        """
        self.file = file
        self._rows = dict(rows)
        self._folded: dict[str, list[str]] | None = None

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> MetadataTable:
        """Read a CSV with a header row; comma, semicolon or tab between its columns.

        Args:
            path: A file with the columns VolumeName, RescaleSlope and RescaleIntercept; XYSpacing, ZSpacing
                and Manufacturer are used where they are there, others are passed over.

        Raises:
            CtgridError: No such file, not a CSV, a column is missing, a row has too many
                cells, the last one is cut off, or two rows of one volume disagree.
        """
        path = Path(path)
        if path.exists() and not path.is_file():  # to open a pipe may wait for ever
            raise CtgridError(f"cannot read the metadata {path}: it is not a regular file")
        try:
            with path.open(encoding="utf-8-sig", newline="") as stream:
                return cls(str(path), _parse(path, stream))
        except UnicodeDecodeError as error:
            raise CtgridError(f"{path} is not a CSV in UTF-8: {error.reason} at byte {error.start}") from error
        except csv.Error as error:
            raise CtgridError(f"{path} is not a readable CSV: {error}") from error
        except OSError as error:
            raise CtgridError(f"cannot read the metadata {path}: {error.strerror or error}") from error

    @classmethod
    def read_all(cls, paths: Paths | None) -> MetadataTable | None:
        """Read the tables of one collection (CT-RATE has one for training and one for validation) as one.

        Args:
            paths: As :meth:`read` takes them, one or many; None or none at all give None.

        Raises:
            CtgridError: as :meth:`read`, or two tables disagree about a volume.
        """
        several = [paths] if isinstance(paths, str | os.PathLike) else list(paths or ())
        tables = [cls.read(path) for path in dict.fromkeys(several)]
        if len(tables) < 2:
            return tables[0] if tables else None
        rows: dict[str, tuple[str, ...]] = {}
        origin: dict[str, MetadataTable] = {}
        for table in tables:
            for key, cells in table._rows.items():
                first = rows.setdefault(key, cells)
                other = origin.setdefault(key, table)
                if first[1:] != cells[1:]:
                    raise CtgridError(
                        f"{other.file}, line {first[0]}, and {table.file}, line {cells[0]}, disagree about {key}; "
                        "keep one, or give one table"
                    )
        return cls(" and ".join(table.file for table in tables), rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, name: str | os.PathLike[str]) -> bool:
        return self._key(name) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def row(self, name: str | os.PathLike[str]) -> MetadataRow | None:
        """Return a volume's row, or None where the table has none.

        Args:
            name: The volume's path, file name or bare name.

        Raises:
            CtgridError: No row has the name as it stands, and several have it in other case.
        """
        key = self._key(name)
        if key is None:
            return None
        cells = self._rows[key]
        fields = {field: cell for field, cell in zip(FIELDS, cells[1:], strict=True) if cell}
        return MetadataRow(self.file, int(cells[0]), key, fields)

    def subset(self, names: Iterable[str | os.PathLike[str]]) -> MetadataTable:
        """Return a table that holds only the rows of the given volumes.

        Args:
            names: Paths, file names or bare names; those without a row are passed over.
        """
        keys = {key for name in names if (key := self._key(name)) is not None}
        return MetadataTable(self.file, {key: self._rows[key] for key in keys})

    def _key(self, name: str | os.PathLike[str]) -> str | None:
        """Return the name under which the table has a volume."""
        key = volume_key(name)
        if key in self._rows:
            return key
        if self._folded is None:
            self._folded = {}
            for known in self._rows:
                self._folded.setdefault(known.casefold(), []).append(known)
        found = self._folded.get(key.casefold(), [])
        if len(found) > 1:
            raise CtgridError(f"{self.file} names {key} only in other case, as {' and '.join(found)}; mend its name")
        return found[0] if found else None

    def __getstate__(self) -> dict[str, Any]:
        text = _RECORD.join(_UNIT.join((key, *cells)) for key, cells in self._rows.items())
        return {"file": self.file, "rows": zlib.compress(text.encode("utf-8"))}

    def __setstate__(self, state: dict[str, Any]) -> None:
        text = zlib.decompress(state["rows"]).decode("utf-8")
        rows = (tuple(line.split(_UNIT)) for line in text.split(_RECORD) if line)
        self.__init__(state["file"], {key: cells for key, *cells in rows})  # type: ignore[misc]


def _parse(path: Path, stream: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Read the rows; names and cells without surrounding blanks."""
    lines = iter(stream)
    head = next(lines, "")
    delimiter = max(",;\t", key=head.count)
    header = [cell.strip() for cell in next(csv.reader([head], delimiter=delimiter, strict=True), [])]
    missing = [column for column in NEEDED if column not in header]
    if missing:
        seen = printable(", ".join(cell[:40] for cell in header[:6]), "") or "nothing"
        raise CtgridError(
            f"{path} has no column {' and no '.join(missing)} (its first row holds {seen}); not a metadata CSV?"
        )
    if len(set(header)) < len(header) and any(header.count(c) > 1 for c in (NAME, *FIELDS)):
        raise CtgridError(
            f"{path} names a column twice: {', '.join(c for c in (NAME, *FIELDS) if header.count(c) > 1)}"
        )
    places = [header.index(field) if field in header else None for field in FIELDS]
    name_at = header.index(NAME)
    rows: dict[str, tuple[str, ...]] = {}
    last = [""]

    def noted() -> Iterator[str]:
        for line in lines:
            last[0] = line
            yield line

    reader = csv.reader(noted(), delimiter=delimiter, strict=True)
    for cells in reader:
        if not any(cells):
            continue
        line = reader.line_num + 1
        if any(cells[len(header) :]):
            raise CtgridError(f"{path}, line {line}: it has more cells than the first row; are its quotes missing?")
        if len(cells) < len(header) and not last[0].endswith(("\n", "\r")):
            raise CtgridError(f"{path}, line {line}: the file ends within this row; fetch the table again")
        name = cells[name_at] if name_at < len(cells) else ""
        key = volume_key(name)
        if not key:
            raise CtgridError(f"{path}, line {line}: the row has no {NAME}")
        kept = tuple(cell_text(cells[at]) if at is not None and at < len(cells) else "" for at in places)
        known = rows.setdefault(key, (str(line), *kept))
        both = tuple(zip(known[1:], kept, strict=True))
        if not all(one == other or "" in (one, other) or _numbers(one) == _numbers(other) for one, other in both):
            raise CtgridError(f"{path}: lines {known[0]} and {line} disagree about {name}; keep one")
        rows[key] = (known[0], *(one or other for one, other in both))
    return rows


def cell_text(cell: object) -> str:
    """Return a table's cell, or a value of a JSON, without surrounding blanks; "" for all ways to say nothing.

    Args:
        cell: As read.
    """
    text = str("" if cell is None else cell).translate({0x1E: " ", 0x1F: " "}).strip()
    return "" if text.casefold() in _EMPTY else text


def _numbers(cell: str) -> list[float | str]:
    """Return a cell as the numbers it holds, so that ``1`` and ``1.0`` are the same; words as they are."""
    parts = [part for part in re.split(_BETWEEN_NUMBERS, cell) if part]
    try:
        return [float(part) for part in parts]
    except ValueError:
        return [cell]

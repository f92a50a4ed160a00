"""What the inputs of a report hold: run records, results, volumes, pictures, each once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctgrid.runs.report.given import Given
from ctgrid.runs.results.files import ResultsFile

if TYPE_CHECKING:
    from ctgrid.scan.volume import Volume


MOST_NAMES = 5
"""Names that a note lists before it counts the rest."""


@dataclass(frozen=True)
class Run:
    """One run record and the folder it lies in."""

    path: Path
    record: dict[str, Any]

    @property
    def command(self) -> str:
        """What was run."""
        return str(self.record.get("command"))


@dataclass(frozen=True)
class Shown:
    """A volume to be shown.

    Attributes:
        name: for people.
        path: of the file, the DICOM folder, or the volume's folder in a store.
        before: the scan it was made from, where the two are worth comparing.
        given: whether it was named itself, so that it must not be left out without an error.
        in_store: whether it lies in a store.
        notes: what people must know of it.
        maps: that are laid over it, by kind: ``trust``, and ``labels`` of what noise does not explain.
    """

    name: str
    path: Path
    before: Path | None = None
    given: bool = False
    in_store: bool = False
    notes: tuple[str, ...] = ()
    maps: Mapping[str, Path] = field(default_factory=dict)

    def load(self, hu: str = "auto") -> Volume:
        """Read the volume as ``ctgrid preview`` does: out of a store, on the patient's own grid."""
        if not self.in_store:
            from ctgrid.scan.volume import Volume

            return Volume.read(self.path, hu=hu)
        from ctgrid.runs.report import preview

        return preview.Shown(self.name, self.path, hu, in_store=True).load()


@dataclass
class Found:
    """All that the inputs hold, each once, in the order given.

    Attributes:
        runs: run records.
        results: files of results.
        volumes: volumes to be shown; none of them has been read.
        pictures: of the runs.
        stores: the stores that volumes come from.
        notes: what is there and cannot be shown, or is not because it was not asked for.
        given: what may be read; None sets no bounds.
    """

    runs: list[Run] = field(default_factory=list)
    results: list[ResultsFile] = field(default_factory=list)
    volumes: list[Shown] = field(default_factory=list)
    pictures: list[Path] = field(default_factory=list)
    stores: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    given: Given | None = None
    _known: set[tuple[str, Path]] = field(default_factory=set, repr=False)

    def add_run(self, run: Run) -> bool:
        """Add a run; False where it is there already."""
        return self._add("run", run.path, self.runs, run)

    def add_results(self, results: ResultsFile) -> bool:
        """Add a file of results; False where it is there already."""
        return self._add("results", results.path, self.results, results)

    def add_volume(self, shown: Shown) -> bool:
        """Add a volume; False where it is there already."""
        return self._add("volume", shown.path, self.volumes, shown)

    def add_picture(self, path: Path) -> bool:
        """Add a picture; False where it is there already."""
        return self._add("picture", path, self.pictures, path)

    def add_store(self, path: Path) -> bool:
        """Add a store, whose volumes are added one by one; False where it is there already."""
        return self._add("store", path, self.stores, path)

    def may_read(self, path: Path) -> bool:
        """Tell whether something lies where it may be read; note once where it does not."""
        if self.given is None or self.given.holds(path):
            return True
        if ("outside", path) not in self._known:
            self._known.add(("outside", path))
            self.notes.append(
                f"Left out: {path} lies outside the inputs, or holds links that do; name it itself if it is wanted."
            )
        return False

    def _add(self, kind: str, path: Path, held: list[Any], one: Any) -> bool:
        key = (kind, path.resolve())
        if key in self._known or not self.may_read(path):
            return False
        self._known.add(key)
        held.append(one)
        return True

    def files(self) -> Iterator[Path]:
        """Yield everything that is listed, which no output may replace."""
        yield from (run.path for run in self.runs)
        yield from (one.path for one in self.results)
        yield from self.pictures
        for shown in self.volumes:
            yield from (path for path in (shown.path, shown.before, *shown.maps.values()) if path is not None)


def some(names: Sequence[str]) -> str:
    """Return the first few names and how many more there are."""
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")

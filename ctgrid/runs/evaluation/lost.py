"""Volumes and clips that cannot be read: an evaluation goes on without them, and says so."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from ctgrid.base.errors import CtgridError, reason_of
from ctgrid.base.privacy import hides, without_paths

T = TypeVar("T")


class Named(Protocol):
    """A volume or a clip."""

    @property
    def path(self) -> Path:
        """Where it lies."""

    @property
    def digest(self) -> str:
        """SHA-256 of its content."""


S = TypeVar("S", bound=Named)


@dataclass
class Lost:
    """What could not be read so far.

    Attributes:
        strict: whether to raise instead, at the first.
        lines: why, one for each.
        digests: of those whose content was known.
    """

    strict: bool = False
    lines: list[str] = field(default_factory=list)
    digests: set[str] = field(default_factory=set)

    def note(self, where: Path, error: CtgridError | OSError, digest: str | None = None) -> None:
        """Take one down, or raise where that is wanted.

        Args:
            where: its path, said where the reason does not.
            error: the reason.
            digest: of its content, if that is known.
        """
        if self.strict:
            raise error
        reason = reason_of(error)
        line = said_of(where, reason if str(where) in reason else f"{where}: {reason}")
        if line not in self.lines:
            self.lines.append(line)
        self.digests |= {digest} - {None}  # type: ignore[arg-type]

    def tried(self, sample: Named, read: Callable[[], T]) -> T | None:
        """Return what reading it gives, or None where it cannot be read."""
        try:
            return read()
        except (CtgridError, OSError) as error:
            self.note(sample.path, error, sample.digest)
            return None

    def without(self, samples: Iterable[S]) -> list[S]:
        """Return those that can be read as far as is known."""
        return [sample for sample in samples if sample.digest not in self.digests]

    def check_enough(self, path: Path, count: int, what: str, least: int = 2) -> None:
        """Make sure that enough of a set can be read for what is measured.

        Args:
            path: of the set.
            count: how many can be read.
            what: they are, in the plural.
            least: how many there must be; distributions take two.

        Raises:
            CtgridError: where there are fewer.
        """
        if count < least:
            why = ", but distributions take two at least" if least > 1 else ""
            hint = f"; {self.lines[-1]}" if self.lines else ""
            raise CtgridError(f"{path}: {count} {what} can be read{why}{hint}")


def said_of(path: Path, line: str) -> str:
    """Return a line about a file as results and records may hold it: under ``--no-paths`` without its name and path."""
    return without_paths(line, str(path)) if hides() else line

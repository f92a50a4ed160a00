"""What an odd input is: a named maker, and what each command is expected to make of it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

READ = "read"
ANY = "read or refused"
COMMANDS = ("info", "convert", "prepare")
AFFINE = np.array([[-0.8, 0, 0, 12], [0, -0.8, 0, 9], [0, 0, 2.5, -40], [0, 0, 0, 1.0]])


@dataclass(frozen=True)
class Odd:
    """One odd input.

    Attributes:
        name: What is odd about it, for people.
        make: Writes it into an empty folder; returns the path to give to ctgrid, perhaps with more arguments.
        info, convert, prepare: What the command is expected to do: ``READ``, ``ANY``, or a regex that its one line
            of refusal matches.
        same: Whether the volume that is read holds the values of ``chest()``, wherever they lie.
        kind: What kind of input it is.
        facts: What ``ctgrid info --json`` is expected to say.
        warns: A regex of what is said aloud where the input is read; ``ANY``, or None for nothing.
    """

    name: str
    make: Callable[[Path], Any]
    info: str
    convert: str
    prepare: str
    same: bool
    kind: str
    facts: dict[str, Any]
    warns: str | None = None

    @property
    def id(self) -> str:
        """The name as a test's identifier."""
        return "".join(c if c.isalnum() or c in ".-" else "_" for c in self.name)


CASES: list[Odd] = []


def cases(kind: str) -> Callable[..., None]:
    """Return :func:`add` for one kind of input."""
    return functools.partial(add, kind)


def add(
    kind: str,
    name: str,
    make: Callable[[Path], Any],
    info: str = READ,
    convert: str | None = None,
    prepare: str | None = None,
    same: bool = True,
    warns: str | None = None,
    **facts: Any,
) -> None:
    """Add a case; ``convert`` is expected to do as ``info`` does, and ``prepare`` as ``convert``, unless told.

    Args:
        kind: What kind of input it is.
        name: What is odd about it.
        make: Its maker.
        info: What ``ctgrid info`` is expected to do; so for the others.
        convert: As ``info``.
        prepare: As ``info``.
        same: Whether the values are those of :func:`chest`.
        warns: What is said aloud where the input is read.
        **facts: What ``ctgrid info --json`` is expected to say.
    """
    convert = info if convert is None else convert
    CASES.append(Odd(name, make, info, convert, convert if prepare is None else prepare, same, kind, facts, warns))


def chest(slices: int = 12, rows: int = 24, columns: int = 32) -> np.ndarray:
    """Return air around soft tissue around two lungs, (z, y, x) int16 HU; every slice differs."""
    y, x = np.meshgrid(np.linspace(-1, 1, rows), np.linspace(-1, 1, columns), indexing="ij")
    plane = np.where(x**2 + (y * 1.3) ** 2 < 0.7, 40, -1000)
    plane[(abs(x) - 0.35) ** 2 + y**2 < 0.06] = -850
    return (plane[None] + np.arange(slices)[:, None, None] % 7).astype(np.int16)


def arguments(made: Any) -> tuple[Path, Sequence[Any]]:
    """Return the input and the further arguments of what a maker returned."""
    return (made[0], made[1:]) if isinstance(made, tuple) else (made, ())

"""What a command prints when it is done, and where it may write."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from .errors import tell

if TYPE_CHECKING:
    from ctgrid.base.record import RunRecord

_NAMED = 4
"""Files that are named one by one."""


def finish(record: RunRecord, as_json: bool, lines: Iterable[str]) -> None:
    """Print the run record as one JSON object, or the lines meant for people, the last of which names the files."""
    if as_json:
        tell(json.dumps(record.as_dict()))
        return
    for line in lines:
        tell(line)
    if line := wrote(record):
        tell(line)


def wrote(record: RunRecord) -> str:
    """Return the line that names what a run wrote, a few files each by name, many by folder; empty where it wrote none.

    The first path is as it was given, what lies beside it follows by name alone.
    """
    made = [Path(output["path"]) for output in record.outputs if not output.get("kept")]
    if not record.written:
        return ""
    if not made:
        return f"wrote {record.path}"
    if len(made) > _NAMED:
        counts = Counter(path.parent for path in made)
        return f"wrote {', '.join(f'{count} files in {folder}' for folder, count in counts.items())}; {record.path}"
    first, *others = [*made, record.path]
    names = [path.name if path.parent == first.parent else str(path) for path in others]
    return f"wrote {', '.join([str(first), *names[:-1]])} and {names[-1]}"


def warn(path: Path | str, warnings: Iterable[str]) -> None:
    """Say on stderr what was decided about a scan on weak evidence, a line each."""
    from .errors import say

    for warning in warnings:
        say(f"warning: {path}: {warning}")


class Shaped(Protocol):
    """A volume, or what is left to say of one."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels (z, y, x)."""
        ...

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Spacing (z, y, x)."""
        ...


def describe(volume: Shaped) -> str:
    """Return shape and spacing as people write them: x, y, z."""
    shape = " x ".join(str(n) for n in reversed(volume.shape))
    spacing = " x ".join(f"{mm:.2f}" for mm in reversed(volume.spacing_mm))
    return f"{shape} voxels of {spacing} mm"


def cost(record: RunRecord) -> str:
    """Return wall time, where it went, and the highest memory use."""
    from ctgrid.base.machine import peak_memory_mib

    phases = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in record.phases.items() if seconds >= 0.05)
    memory = peak_memory_mib().get("process")
    parts = [f"{record.seconds:.1f} s" + (f" ({phases})" if phases else "")]
    if memory:
        parts.append(f"peak memory {memory / 1024:.1f} GiB")
    return ", ".join(parts)

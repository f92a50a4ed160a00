"""What a run draws from: volumes or clips, and what they are called in its record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ctgrid.data.store.store import Store
from ctgrid.data.volumes import SliceSource


@dataclass(frozen=True)
class TrainingData:
    """Volumes to draw from.

    Attributes:
        volumes: in memory, or in a store.
        digests: name to a hash of what training sees of the volume.
        store: where the volumes lie in one.
        facts: what goes into the run's record: kind, path, split, fraction.
    """

    volumes: Sequence[SliceSource]
    digests: dict[str, str]
    store: Store | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """The volumes' names."""
        return [volume.name for volume in self.volumes]

"""Make volumes and write them while the next are computed; many into one folder, which can be taken up again."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ctgrid.base.background import Background
from ctgrid.base.devices import Arrival
from ctgrid.base.files import check_output
from ctgrid.base.journal import Journal, in_the_way, is_done, unlisted
from ctgrid.base.present import Present
from ctgrid.base.progress import Progress, silent
from ctgrid.base.record import fingerprint
from ctgrid.methods.synthesis.settings import Settings
from ctgrid.runs.report.glance import Glance
from ctgrid.runs.report.picture import save_picture
from ctgrid.scan.formats.nifti.stream import NiftiStream, remove_stale
from ctgrid.scan.geometry import spacing_mm

if TYPE_CHECKING:
    from ctgrid.methods.synthesis.pipeline import SynthesisPipeline, Work


@dataclass(frozen=True)
class Target:
    """One volume to make.

    Attributes:
        number: of the volume in the run.
        seed: it is made from.
        path: the ``.nii`` or ``.nii.gz`` file to be.
        picture: the ``.png`` to be, or None.
    """

    number: int
    seed: int
    path: Path
    picture: Path | None = None


@dataclass(frozen=True)
class Made:
    """A finished volume: its target, its shape (z, y, x) and spacing in mm, and what the record says of its files."""

    target: Target
    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    outputs: list[dict[str, Any]]


Finished = Callable[[Made], None]


@dataclass
class VolumeSet:
    """Volumes that belong together.

    Attributes:
        targets: the volumes.
        manifest: their list; None where there is one volume that needs none.
        overwrite: make volumes anew that are there but cannot be taken over.
    """

    targets: Sequence[Target]
    manifest: Journal | None = None
    overwrite: bool = False
    place: Present = field(init=False)
    _entries: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Watch the volumes' folder, which must not go once it was there."""
        self.place = Present(self.targets[0].path.parent if self.targets else Path())

    def check(self) -> None:
        """Make sure that every output may be written, before any long work.

        Raises:
            CtgridError: where a file is in the way, or a folder cannot be written into.
        """  # noqa: DOC501
        self._entries = self.manifest.entries() if self.manifest else {}
        for target in self.targets:
            known = target.path.name in self._entries
            if self.manifest and target.path.exists() and not known and not self.overwrite:
                raise in_the_way(target.path, unlisted(self.manifest.path))
            for path in (target.path, target.picture):
                if path is not None and (path.parent.exists() or self.manifest is None):
                    check_output(path, self.overwrite or known)

    def remaining(self, settings: Settings, checkpoint: str) -> list[Target]:
        """Return the volumes that are not there yet.

        Args:
            settings: how volumes are made, resolved.
            checkpoint: see :func:`checkpoint_of`.

        Raises:
            CtgridError: where one is there that was made in another way, or changed since.
        """
        if self.manifest is None:
            return list(self.targets)
        path, wanted = self.manifest.path, {"checkpoint": checkpoint, "settings": settings.identity()}
        return [
            target
            for target in self.targets
            if not is_done(
                target.path,
                self._entries.get(target.path.name),
                {"seed": target.seed, **wanted},
                path,
                self.overwrite,
            )
        ]

    def make(
        self,
        pipeline: SynthesisPipeline,
        targets: Sequence[Target],
        settings: Settings,
        checkpoint: str,
        finished: Finished,
        progress: Progress = silent,
    ) -> Work:
        """Make volumes, each complete or not there at all, whatever happens.

        Args:
            pipeline: the loaded model.
            targets: the volumes.
            settings: resolved.
            checkpoint: see :func:`checkpoint_of`.
            finished: called, in the writing thread, after each volume.
            progress: called with (phase, done, total).

        Raises:
            CtgridError: where a file cannot be written.
        """
        affine = pipeline.affine(settings)
        shape = (settings.slices, settings.pixels, settings.pixels)
        writing: dict[int, _Writing] = {}
        clock = time.perf_counter()

        def take(number: int, first: int, arrival: Arrival) -> None:
            nonlocal clock
            target = targets[number]
            if first == 0:
                writing[number] = _Writing(target, shape, affine, self)
            if not writing[number].take(first, arrival()):
                return
            now = time.perf_counter()
            facts = {"checkpoint": checkpoint, "settings": settings.identity(), "seconds": round(now - clock, 3)}
            made, clock = writing[number].complete(facts), now
            del writing[number]
            finished(made)

        try:
            with Background() as thread:
                work = pipeline.stream(
                    [target.seed for target in targets],
                    settings,
                    lambda number, first, arrival: thread.put(lambda: take(number, first, arrival)),
                    progress,
                )
                computed = time.perf_counter()
            work.phases["write"] = work.phases.get("write", 0.0) + time.perf_counter() - computed
            return work
        finally:
            for each in writing.values():
                each.file.abandon()


class _Writing:
    """One volume on its way to the disk."""

    def __init__(self, target: Target, shape: tuple[int, int, int], affine: np.ndarray, volumes: VolumeSet) -> None:
        self.target, self.shape, self.affine, self.manifest = target, shape, affine, volumes.manifest
        self.place = volumes.place
        self.overwrite = volumes.overwrite or target.path.name in volumes._entries
        volumes.place.check()
        target.path.parent.mkdir(exist_ok=True)
        volumes.place.check()
        remove_stale(target.path)
        self.file = NiftiStream(target.path, shape, affine, volumes.overwrite)
        self.glance = Glance(shape, affine) if target.picture else None

    def take(self, first: int, hu: np.ndarray) -> bool:
        """Add slices; True once that were all."""
        self.file.append(hu)
        if self.glance is not None:
            self.glance.add(first, hu)
        return first + len(hu) == self.shape[0]

    def complete(self, facts: dict[str, Any]) -> Made:
        """List the volume, draw its picture, and give it its name, in this order: what has its name is listed."""
        target, spacing = self.target, spacing_mm(self.affine)
        sha256 = self.file.close()
        file = {"bytes": self.file.bytes, "sha256": sha256}
        if self.manifest is not None:
            numbers = {"volume": target.number, "seed": target.seed}
            self.manifest.append({**numbers, "file": target.path.name, **file, **facts})
        outputs = [{"path": str(target.path), **file, "seed": target.seed, "shape": self.shape, "spacing_mm": spacing}]
        if target.picture is not None:
            save_picture(self.glance, target.picture, overwrite=self.overwrite)  # type: ignore[arg-type]
            outputs.append(fingerprint(target.picture))
        self.file.publish()
        self.place.check()
        return Made(target, self.shape, spacing, outputs)


def checkpoint_of(model: dict[str, Any]) -> str:
    """Return one SHA-256 for all weights of a model, as :meth:`ModelPipeline.describe` lists them."""
    return hashlib.sha256(json.dumps(model.get("files", {}), sort_keys=True).encode()).hexdigest()

"""The whole evaluation of generated volumes: distances by a protocol, CT measures, memorisation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Any, ClassVar

from ctgrid.base.errors import CtgridError
from ctgrid.base.extras import require
from ctgrid.base.families import unknown
from ctgrid.base.progress import Progress, silent
from ctgrid.data.video.layouts import holds_clips
from ctgrid.runs.evaluation.fidelity.detectors import Detector, detectors_folder
from ctgrid.runs.evaluation.fidelity.distances import distance_rows
from ctgrid.runs.evaluation.fidelity.features import BATCH, NAME, EmbeddedFeatures
from ctgrid.runs.evaluation.fidelity.protocol import MOST_FRAMES, DetectorSpec, LoadedProtocol
from ctgrid.runs.evaluation.fidelity.sets import FeatureSet, embedded_sets, image_sets, video_set
from ctgrid.runs.evaluation.fidelity.statistics import FeatureCache, collect
from ctgrid.runs.evaluation.lost import Lost, S
from ctgrid.runs.evaluation.samples import Frame, Sample, open_samples
from ctgrid.scan.hu.metadata import MetadataTable

FVD, FID, CT, MEMORISATION = "fvd", "fid", "ct", "memorisation"
MEASURES = (FVD, FID, NAME, CT, MEMORISATION)
"""What can be asked for; FID brings KID along, FVD its kernel distance."""

FIELDS_APART = 1.1
"""Ratio of two sets' median fields of view from which on it is said."""


@dataclass(frozen=True)
class FidelityPlan:
    """How volumes are evaluated.

    Attributes:
        loaded: the protocol.
        frames: slices of a clip, one FVD for each; empty takes the protocol's.
        measures: of :data:`MEASURES`; empty takes all that can be had.
        detectors: folder of the detector files; None takes ``CTGRID_HOME/detectors``.
        pins: SHA-256 by detector file, which it must have.
        seed: of clip offsets.
        device: where detectors compute.
        batch_size: frames at once; None takes each detector's own.
        cache: folder where features are kept; None keeps none.
        real_frame: what scans of ``real`` and ``train`` are brought to; None takes the protocol's.
        field_mm: side of a square around the body that all volumes are cut out in first; None leaves their own fields.
        metadata: tables of the collection, for real volumes that hold stored values.
    """

    known: ClassVar[tuple[str, ...]] = MEASURES
    """What can be asked for."""

    loaded: LoadedProtocol
    frames: tuple[int, ...] = ()
    measures: tuple[str, ...] = ()
    detectors: Path | None = None
    pins: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0
    device: str = "auto"
    batch_size: int | None = None
    cache: Path | None = None
    real_frame: Frame | None = None
    field_mm: float | None = None
    metadata: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        for name in self.measures:
            if name not in self.known:
                raise unknown(name, "measure", self.known)
        for length in self.lengths:
            if not 2 <= length <= MOST_FRAMES:
                raise CtgridError(f"a clip has 2 to {MOST_FRAMES} frames, got {length}")
        files = {spec.file for spec in (self.loaded.protocol.detectors.video, self.loaded.protocol.detectors.image)}
        strange = sorted(set(self.pins) - files)
        if strange:
            raise CtgridError(f"a hash is pinned for {strange[0]}, but the protocol uses {' and '.join(sorted(files))}")

    @property
    def frame(self) -> Frame:
        """What real scans are brought to."""
        return self.real_frame or self.loaded.protocol.real_frame

    @property
    def lengths(self) -> tuple[int, ...]:
        """Slices of a clip, in the order asked for, each once."""
        return tuple(dict.fromkeys(self.frames or self.loaded.protocol.clips.frames))

    def wants(self, measure: str) -> bool:
        """Whether a measure is asked for, by name or by asking for none."""
        return not self.measures or measure in self.measures

    @cached_property
    def embedded(self) -> EmbeddedFeatures:
        """The features of ctgrid itself."""
        from ctgrid.base.devices import choose_device

        return EmbeddedFeatures(device=choose_device(self.device), batch_size=self.batch_size or BATCH)

    def feature_sets(self) -> tuple[list[FeatureSet], list[str]]:
        """Return the kinds of features to compute, and what is left out because a detector is not here.

        Raises:
            CtgridError: where a detector that was asked for is missing, or a file is not the pinned one.
        """
        sets, left_out = self.detector_sets()
        if self.wants(NAME):
            sets += embedded_sets(self.loaded.protocol, self.embedded, self.lengths, self.seed)
        return sets, left_out

    def detector_sets(self) -> tuple[list[FeatureSet], list[str]]:
        """Return those of FID and FVD alone; see :meth:`feature_sets`."""
        protocol, sets, left_out = self.loaded.protocol, list[FeatureSet](), list[str]()
        image = self._detector(FID, protocol.detectors.image, left_out)
        video = self._detector(FVD, protocol.detectors.video, left_out)
        if image is not None:
            sets += image_sets(protocol, image, self.lengths, self.seed, self.batch_size)
        if video is not None:
            sets += [video_set(protocol, video, n, self.seed, self.batch_size) for n in self.lengths]
        if self.detectors is not None and len(left_out) == 2:
            raise CtgridError(f"{self.detectors} holds neither detector of protocol {protocol.id}: {left_out[0]}")
        return sets, left_out

    def _detector(self, measure: str, spec: DetectorSpec, left_out: list[str]) -> Detector | None:
        """Return a measure's detector; None where it is not wanted, or missing and not asked for by name."""
        from ctgrid.base.devices import choose_device

        folder = self.detectors or detectors_folder()
        if not self.wants(measure):
            return None
        if measure in self.measures or spec.file in self.pins or (folder / spec.file).exists():
            return Detector.open(spec, folder, self.pins, choose_device(self.device))
        left_out.append(f"{measure.upper()}: no {spec.file} in {folder}; ctgrid evaluate fetch-detectors brings it")
        return None


def evaluate_volumes(
    real: Path,
    fake: Path,
    plan: FidelityPlan,
    out: Path,
    train: Path | None = None,
    progress: Progress = silent,
    timed: Callable[[str], Any] | None = None,
) -> dict[str, Any]:
    """Compare generated volumes with real ones.

    Args:
        real: folder, file or store of real volumes of other patients than those trained on.
        fake: folder, file or store of generated volumes.
        plan: how.
        out: folder for the pictures.
        train: volumes that were trained on, for the search for copies.
        progress: told of every volume.
        timed: ``RunRecord.timed``, which counts the seconds of a phase.

    Returns:
        What ``results.json`` holds, without the run. What could not be read stands under ``failed`` and ``left_out``, a
        line each; the figures are of the others.

    Raises:
        CtgridError: bad input, or fewer than two volumes of a set that can be read; features of volumes that were read
            before stay in the cache.
    """
    phase = timed or (lambda name: nullcontext())
    sets, left_out = plan.feature_sets()
    if train is None and MEMORISATION in plan.measures:
        raise CtgridError("memorisation is judged against the volumes that were trained on: name them with --train")
    if train is not None and plan.wants(MEMORISATION):
        require("matplotlib")
    cache, protocol = FeatureCache(plan.cache), plan.loaded.protocol
    with phase("list"):
        table = MetadataTable.read_all(plan.metadata)
        sizes: dict[str, Any] = {"size": protocol.resolution, "slices": protocol.resample_slices, "metadata": table}
        sizes |= {"field_mm": plan.field_mm, "left_out": left_out, "lost": (lost := Lost())}
        opened = [
            _opened(real, "real", progress, frame=plan.frame, **sizes),
            _opened(fake, "fake", progress, **sizes),
        ]
    result: dict[str, Any] = {
        "kind": "volumes",
        "protocol": plan.loaded.record(),
        "frames": list(plan.lengths),
        "seed": plan.seed,
        "real_frame": plan.frame,
        "field_mm": plan.field_mm,
        "volumes": {},
        "left_out": left_out,
        "failed": lost.lines,
        "warnings": [*_shared(*opened), *(_fields(*opened) if sets else [])],
        "measures": [],
        "ct": None,
        "memorisation": None,
    }
    if sets:
        with phase("features"):
            found = [collect(opened[0], sets, "real", protocol, cache, progress, lost=lost)]
            found.append(collect(opened[1], sets, "fake", protocol, cache, progress, lost=lost))
        opened = [readable(path, samples, lost) for path, samples in zip((real, fake), opened, strict=True)]
        with phase("distances"):
            for one, x, y in zip(sets, *found, strict=True):
                progress(one.distance, 0, 1)
                result["measures"] += distance_rows(one, x, y, protocol)
    if plan.wants(CT):
        from ctgrid.runs.evaluation.ct import ct_measures

        with phase("ct"):  # in their own size: texture finer than the protocol's pixels counts
            whole: dict[str, Any] = {"size": None, "metadata": table, "lost": lost, "progress": progress}
            own = lost.without(open_samples(real, frame=plan.frame, **whole))
            made = lost.without(open_samples(fake, **whole))
            result["ct"] = ct_measures(own, made, progress, lost=lost)
    if train is not None and plan.wants(MEMORISATION):
        from ctgrid.runs.evaluation.ct import memorisation

        with phase("memorisation"):
            out.mkdir(exist_ok=True)
            known = open_samples(train, **sizes, frame=plan.frame, progress=progress)
            others, made = (lost.without(samples) for samples in opened)
            result["memorisation"] = memorisation(known, others, made, plan.embedded.content, out, progress, lost)
    left_out += lost.lines
    result["volumes"] = {r: _listed(lost.without(s)) for r, s in zip(("real", "fake"), opened, strict=True)}
    return result


def readable(path: Path, samples: Sequence[S], lost: Lost) -> list[S]:
    """Return those of a set that could be read.

    Raises:
        CtgridError: where fewer than two are left, as distributions are compared.
    """
    left = lost.without(samples)
    lost.check_enough(path, len(left), "volumes")
    return left


def _opened(path: Path, role: str, progress: Progress, **sizes: Any) -> list[Sample]:
    """List volumes, of which there must be two."""
    before = len(sizes["lost"].lines)
    try:
        samples = open_samples(path, **sizes, progress=progress)
    except CtgridError as error:
        if path.is_dir() and holds_clips(path):
            raise CtgridError(
                f"{path} holds no scan but clips (movies or folders of pictures); ctgrid evaluate video compares those"
            ) from error
        raise
    if len(samples) < 2 and len(sizes["lost"].lines) > before:
        return readable(path, samples, sizes["lost"])
    if len(samples) < 2:
        raise CtgridError(f"{path} holds 1 volume; --{role} needs at least 2, as distributions are compared")
    return samples


def _listed(samples: Sequence[Sample]) -> list[dict[str, str]]:
    return [{"name": sample.name, "sha256": sample.digest} for sample in samples]


def _shared(real: Sequence[Sample], fake: Sequence[Sample]) -> list[str]:
    """Say which volumes are in both sets: distances are too small then."""
    known = {sample.digest: sample.name for sample in real}
    both = [sample.name for sample in fake if sample.digest in known]
    return [f"{len(both)} volumes are in both sets, such as {both[0]}: distances are too small"] if both else []


def _fields(real: Sequence[Sample], fake: Sequence[Sample]) -> list[str]:
    """Say where slices of one set show much more than those of the other: features see that as well as what they show.

    Fields are known by the headers of NIfTI files and stores.
    """
    fields = [sorted(one.field_mm for one in samples if one.field_mm is not None) for samples in (real, fake)]
    if not all(fields):
        return []
    low, high = sorted(float(median(known)) for known in fields)
    if high <= FIELDS_APART * low:
        return []
    spans = [" to ".join(dict.fromkeys(f"{one:.0f}" for one in (known[0], known[-1]))) for known in fields]
    return [
        f"real slices are {spans[0]} mm wide, generated ones {spans[1]} mm: distances of features tell that too; "
        f"--field-mm {low:.0f} compares both in one field"
    ]

"""Features of sets of volumes, summed up: each volume is read once, and its features are kept by content hash."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any
from typing import Protocol as TypingProtocol

import numpy as np

from ctgrid.base.errors import CtgridError
from ctgrid.base.files import atomic_output
from ctgrid.base.limits import check_zip
from ctgrid.base.progress import Progress, silent
from ctgrid.metrics.frechet import Moments
from ctgrid.runs.evaluation.fidelity.protocol import Protocol
from ctgrid.runs.evaluation.fidelity.sets import FeatureSet, Role, View, VolumeView
from ctgrid.runs.evaluation.lost import Lost


def cache_folder() -> Path:
    """Return where features are kept: ``CTGRID_HOME/cache/fidelity``. It may be deleted at any time."""
    from ctgrid.stages.models.catalogue import ctgrid_home

    return ctgrid_home() / "cache" / "fidelity"


class FeatureCache:
    """Features of single volumes on disk, named by everything that decides them; written whole or not at all."""

    def __init__(self, folder: Path | None) -> None:
        """Use a folder, which is made where it is missing; None keeps nothing.

        Raises:
            CtgridError: where the folder cannot be made.
        """
        self.folder = folder
        if folder is not None:
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise CtgridError(
                    f"cannot keep features in {folder}: {error.strerror or error}; set CTGRID_HOME elsewhere, "
                    f"or pass --no-cache"
                ) from error

    @staticmethod
    def key(digest: str, settings: Mapping[str, Any]) -> str:
        """Return the name of a volume's features: a hash of its content and of all settings."""
        named = json.dumps({"volume": digest, **settings}, sort_keys=True)
        return sha256(named.encode("utf-8")).hexdigest()

    def get(self, key: str) -> tuple[np.ndarray, int] | None:
        """Return features (m, d) and the volume's number of slices, or None where they are not here or damaged."""
        if self.folder is None:
            return None
        try:
            check_zip(self._path(key))
            with np.load(self._path(key)) as file:
                return file["features"], int(file["slices"])
        except Exception:  # a damaged file fails in any way it likes; the features are then made anew
            return None

    def put(self, key: str, features: np.ndarray, slices: int) -> None:
        """Keep features.

        Raises:
            CtgridError: where they cannot be written.
        """
        if self.folder is None:
            return
        path = self._path(key)
        path.parent.mkdir(exist_ok=True)
        with atomic_output(path, overwrite=True) as temporary, temporary.open("wb") as stream:
            np.savez(stream, features=features, slices=slices)

    def _path(self, key: str) -> Path:
        assert self.folder is not None
        return self.folder / key[:2] / f"{key}.npz"


@dataclass(eq=False)
class Collected:
    """What a set of volumes comes down to.

    Attributes:
        cap: samples that are used at most; the first ones.
        quota: samples of one volume that are kept for the kernel distance, evenly spread.
        moments: of all samples; None before the first.
        kept: features (m_i, d) by volume.
        volumes: volumes with at least one sample.
        short: volumes with fewer slices than a clip.
    """

    cap: int | None
    quota: int
    moments: Moments | None = None
    kept: list[np.ndarray] = field(default_factory=list)
    volumes: int = 0
    short: int = 0

    @property
    def count(self) -> int:
        """Samples."""
        return 0 if self.moments is None else self.moments.count

    @property
    def full(self) -> bool:
        """Whether no more samples are wanted."""
        return self.cap is not None and self.count >= self.cap

    def add(self, features: np.ndarray, short: bool) -> None:
        """Take a volume's features (m, d)."""
        self.short += short
        if self.cap is not None:
            features = features[: self.cap - self.count]
        if not len(features):
            return
        part = Moments.of(features)
        self.moments = part if self.moments is None else self.moments + part
        spread = np.unique(np.linspace(0, len(features) - 1, min(self.quota, len(features))).astype(int))
        self.kept.append(features[spread])
        self.volumes += 1

    def features(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the kept samples (m, d) and their volumes' numbers (m,)."""
        return np.concatenate(self.kept), np.repeat(np.arange(len(self.kept)), [len(f) for f in self.kept])


class Seen(TypingProtocol):
    """A volume or a movie that can be described."""

    @property
    def path(self) -> Path:
        """Where it lies."""

    @property
    def digest(self) -> str:
        """SHA-256 of its content."""

    @property
    def frame(self) -> str:
        """What it is brought to; ``own`` is nothing special."""


def view_of(sample: Any, protocol: Protocol) -> View:
    """Read a volume, a :class:`Sample`, and show it as a protocol says."""
    return VolumeView(sample.load().hu, sample.digest, protocol.window, protocol.slice_order)


def collect(
    samples: Sequence[Seen],
    sets: Sequence[FeatureSet],
    role: Role,
    protocol: Protocol,
    cache: FeatureCache,
    progress: Progress = silent,
    see: Callable[[Any, Protocol], View] = view_of,
    what: str = "volumes",
    lost: Lost | None = None,
) -> list[Collected]:
    """Describe volumes by every kind of features; a volume is read only where some are not known yet.

    Args:
        samples: volumes, opened with the protocol's resolution and slices.
        sets: kinds of features.
        role: whether these are the real or the generated volumes.
        protocol: how they are shown.
        cache: features known from before.
        progress: told of every volume.
        see: reads one and shows it; the default is for :class:`~ctgrid.runs.evaluation.samples.Sample`.
        what: they are called.
        lost: notes what cannot be read, of which nothing counts; None raises instead.

    Returns:
        One summary for each kind.

    Raises:
        CtgridError: where a volume cannot be read and ``lost`` is None; what was computed before is kept in the cache.
    """
    lost = lost or Lost(strict=True)
    quota = max(1, protocol.statistics.kernel_samples // len(samples))
    found = [Collected(one.caps[role], quota) for one in sets]
    for i, sample in enumerate(samples):
        progress(f"{role} {what}", i, len(samples))
        wanted = [(one, collected) for one, collected in zip(sets, found, strict=True) if not collected.full]
        described = _described(sample, [one for one, _ in wanted], role, cache, partial(see, sample, protocol), lost)
        for (one, collected), (features, slices) in zip(wanted, described or (), strict=described is not None):
            collected.add(features, one.short(slices))
    progress(f"{role} {what}", len(samples), len(samples))
    return found


def _described(
    sample: Seen, sets: Sequence[FeatureSet], role: Role, cache: FeatureCache, see: Callable[[], View], lost: Lost
) -> list[tuple[np.ndarray, int]] | None:
    """Return a volume's features of every kind, each with its number of slices; None where it cannot be read."""
    view: View | None = None
    framed = {} if sample.frame == "own" else {"frame": sample.frame}
    described = []
    for one in sets:
        key = cache.key(sample.digest, {**one.settings[role], **framed})
        known = cache.get(key)
        if known is None:
            view = view or lost.tried(sample, see)
            if view is None:
                return None
            known = one.compute(view, role), len(view)
            cache.put(key, *known)
        described.append(known)
    return described

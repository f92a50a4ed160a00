"""Feature detectors as TorchScript files: found, hashed, pinned, called as StyleGAN-V's pipeline calls them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import rearrange, repeat

from ctgrid.base.errors import CtgridError, reason_of
from ctgrid.base.files import sha256_of
from ctgrid.runs.evaluation.fidelity.protocol import DetectorSpec

BATCH_FRAMES = 32
"""Frames that go through a detector at once, in clips or alone, unless told otherwise."""


def detectors_folder() -> Path:
    """Return where fetched detectors lie: ``CTGRID_HOME/detectors``."""
    from ctgrid.stages.models.catalogue import ctgrid_home

    return ctgrid_home() / "detectors"


@dataclass(frozen=True, eq=False)
class Detector:
    """A detector's file, checked but not loaded before it is called.

    Attributes:
        path: the TorchScript file.
        sha256: of its content.
        kwargs: what it is called with.
        pinned: whether the user or the protocol stated this hash.
        device: where it computes.
    """

    path: Path
    sha256: str
    kwargs: Mapping[str, Any]
    pinned: bool
    device: torch.device
    _loaded: list[torch.jit.ScriptModule] = field(default_factory=list, repr=False)

    @classmethod
    def open(
        cls,
        spec: DetectorSpec,
        folder: Path,
        pins: Mapping[str, str] | None = None,
        device: torch.device | str = "cpu",
    ) -> Detector:
        """Hash a detector's file and compare with what it must be.

        Args:
            spec: file name, arguments, and perhaps a hash.
            folder: where the file lies.
            pins: SHA-256 by file name, from the user.
            device: where to compute.

        Raises:
            CtgridError: where the file is missing, or a hash differs.
        """
        path = folder / spec.file
        if not path.is_file():
            raise CtgridError(
                f"no detector {spec.file} in {folder}; put it there, name its folder with --detectors, or run "
                f"ctgrid evaluate fetch-detectors"
            )
        found = sha256_of(path)
        wanted = {"the protocol": spec.sha256, "--pin-detector": (pins or {}).get(spec.file)}
        for where, digest in wanted.items():
            if digest is not None and digest != found:
                raise CtgridError(f"{path}: its SHA-256 is {found}, but {where} pins {digest}; it is another detector")
        return cls(path, found, dict(spec.kwargs), any(wanted.values()), torch.device(device))

    def record(self) -> dict[str, Any]:
        """Return what a result says about it."""
        return {"name": self.path.stem, "file": self.path.name, "sha256": self.sha256, "pinned": self.pinned}

    @torch.no_grad()
    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return features of one batch.

        Args:
            images: uint8, (B, C, H, W) or (B, C, T, H, W).

        Returns:
            (B, d) float32.

        Raises:
            CtgridError: where the file cannot be loaded, it refuses the input, or gives no features (B, d).
        """  # noqa: DOC501
        network = self._network()
        try:
            with exact():
                features = network(torch.from_numpy(images).to(self.device), **self.kwargs)
        except (RuntimeError, TypeError, ValueError) as error:
            if isinstance(error, torch.OutOfMemoryError) or "not enough memory" in str(error):
                raise
            called = ", ".join(f"{key}={value}" for key, value in self.kwargs.items())
            raise CtgridError(
                f"{self.path} fails on uint8 {images.shape} with {called or 'no arguments'}: {reason_of(error)}"
            ) from error
        return self._checked(features, len(images))

    def _network(self) -> torch.jit.ScriptModule:
        if not self._loaded:
            try:
                loaded: Any = torch.jit.load(str(self.path), map_location=self.device)
            except (RuntimeError, ValueError, OSError) as error:
                raise CtgridError(f"{self.path} is no TorchScript file: {reason_of(error)}") from error
            self._loaded.append(loaded.eval())
        return self._loaded[0]

    def _checked(self, features: Any, count: int) -> np.ndarray:
        if not isinstance(features, torch.Tensor) or features.ndim != 2 or len(features) != count:
            shape = tuple(features.shape) if isinstance(features, torch.Tensor) else type(features).__name__
            raise CtgridError(f"{self.path} gives {shape} for {count} inputs; features (B, d) are expected")
        if not bool(torch.isfinite(features).all()):
            raise CtgridError(f"{self.path} gives features that are NaN or infinite")
        return features.float().cpu().numpy()


def frame_features(detector: Detector, grey: np.ndarray, channels: int, batch_size: int | None = None) -> np.ndarray:
    """Return features of single frames.

    Args:
        detector: of images.
        grey: (n, H, W) uint8.
        channels: 1, or 3 for gray repeated to RGB.
        batch_size: frames at once; None takes :data:`BATCH_FRAMES`.

    Returns:
        (n, d) float32.
    """
    step = batch_size or BATCH_FRAMES
    batches = (repeat(grey[i : i + step], "b h w -> b c h w", c=channels) for i in range(0, len(grey), step))
    return np.concatenate([detector(batch) for batch in batches])


def clip_features(
    detector: Detector, grey: np.ndarray, indices: np.ndarray, channels: int, batch_size: int | None = None
) -> np.ndarray:
    """Return features of clips of one volume.

    Args:
        detector: of videos.
        grey: (n, H, W) uint8, all slices.
        indices: (m, T) slice numbers, see :func:`ctgrid.runs.evaluation.fidelity.clips.clip_indices`.
        channels: 1, or 3 for gray repeated to RGB.
        batch_size: frames at once, but at least one clip; None takes :data:`BATCH_FRAMES`.

    Returns:
        (m, d) float32.
    """
    step = max(1, (batch_size or BATCH_FRAMES) // indices.shape[1])
    features = []
    for i in range(0, len(indices), step):
        clips = rearrange(grey[indices[i : i + step]], "b t h w -> b 1 t h w")
        features.append(detector(np.ascontiguousarray(np.repeat(clips, channels, axis=1))))
    return np.concatenate(features)


@contextmanager
def exact() -> Iterator[None]:
    """Compute in full float32 on a GPU: no TF32, no algorithm chosen by timing."""
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("highest")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before)


def parse_pins(texts: list[str]) -> dict[str, str]:
    """Read ``NAME=SHA256`` as users type them; the name may lack ``.pt``.

    Raises:
        CtgridError: for another text.
    """
    from ctgrid.runs.evaluation.fidelity.protocol import checked_hash

    pins = {}
    for text in texts:
        name, _, digest = text.rpartition("=")
        try:
            pins[name if Path(name).suffix == ".pt" else f"{name}.pt"] = str(checked_hash(digest))
        except ValueError as error:
            raise CtgridError(f"--pin-detector {text!r}: write NAME=SHA256; {error}") from error
        if not name:
            raise CtgridError(f"--pin-detector {text!r}: write NAME=SHA256")
    return pins

"""Feature detectors as TorchScript files: found, hashed, pinned, called as StyleGAN-V's pipeline calls them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import rearrange

from ctgrid.base.errors import CtgridError, reason_of
from ctgrid.base.files import sha256_of
from ctgrid.data.video.clips import LUMA
from ctgrid.runs.evaluation.fidelity.protocol import DetectorSpec

COLOURS = 3
"""Channels of a colour image, which come last: no image is as narrow."""

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


def with_channels(images: np.ndarray, channels: int) -> np.ndarray:
    """Return (..., H, W) or (..., H, W, 3) uint8 as (..., C, H, W): gray repeated, colour as it is or as luma."""
    if images.shape[-1] != COLOURS:
        return np.repeat(images[..., None, :, :], channels, axis=-3)
    if channels == COLOURS:
        return np.moveaxis(images, -1, -3)
    return np.rint(images @ np.array(LUMA)).astype(np.uint8)[..., None, :, :]


def frame_features(detector: Detector, shown: np.ndarray, channels: int, batch_size: int | None = None) -> np.ndarray:
    """Return features of single frames.

    Args:
        detector: of images.
        shown: (n, H, W) uint8, or (n, H, W, 3) in colour.
        channels: 1, or 3; see :func:`with_channels`.
        batch_size: frames at once; None takes :data:`BATCH_FRAMES`.

    Returns:
        (n, d) float32.
    """
    step = batch_size or BATCH_FRAMES
    batches = (with_channels(shown[i : i + step], channels) for i in range(0, len(shown), step))
    return np.concatenate([detector(np.ascontiguousarray(batch)) for batch in batches])


def clip_features(
    detector: Detector, shown: np.ndarray, indices: np.ndarray, channels: int, batch_size: int | None = None
) -> np.ndarray:
    """Return features of clips of one volume.

    Args:
        detector: of videos.
        shown: (n, H, W) uint8, or (n, H, W, 3) in colour, all slices or frames.
        indices: (m, T) slice numbers, see :func:`ctgrid.runs.evaluation.fidelity.clips.clip_indices`.
        channels: 1, or 3; see :func:`with_channels`.
        batch_size: frames at once, but at least one clip; None takes :data:`BATCH_FRAMES`.

    Returns:
        (m, d) float32.
    """
    step = max(1, (batch_size or BATCH_FRAMES) // indices.shape[1])
    features = []
    for i in range(0, len(indices), step):
        clips = rearrange(with_channels(shown[indices[i : i + step]], channels), "b t c h w -> b c t h w")
        features.append(detector(np.ascontiguousarray(clips)))
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

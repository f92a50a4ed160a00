"""Measuring protocols: YAML files that say everything on which a distance depends."""

from __future__ import annotations

import re
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from ctgrid.base.causes import reading
from ctgrid.base.documents import parsed_yaml, text_of
from ctgrid.base.errors import CtgridError
from ctgrid.base.families import meant
from ctgrid.runs.evaluation.samples import Frame
from ctgrid.scan.windows import FULL_WINDOW_HU

MOST_FRAMES = 10000
"""Slices of the longest clip."""
_HASH = re.compile(r"[0-9a-f]{64}")


def checked_hash(text: Any) -> Any:
    """Return a SHA-256 in lower case, or None.

    Raises:
        ValueError: where it is not one.
    """
    if text is None:
        return None
    if not isinstance(text, str) or not _HASH.fullmatch(text.strip().lower()):
        raise ValueError(f"a SHA-256 has 64 hexadecimal digits, got {text!r}")
    return text.strip().lower()


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class GrayWindow(_Part):
    """How HU become uint8.

    Attributes:
        low_hu: what becomes x = -1.
        high_hu: what becomes x = +1.
        rounding: floor(127.5 x + 128), the nearest level, or floor(127.5 x + 127.5), which truncates.
    """

    low_hu: float
    high_hu: float
    rounding: Literal["floor-127.5x-plus-128", "floor-127.5x-plus-127.5"]

    @model_validator(mode="after")
    def _in_order(self) -> GrayWindow:
        low, high = FULL_WINDOW_HU
        if not low <= self.low_hu < self.high_hu <= high:
            raise ValueError(
                f"low_hu must lie below high_hu, both within [{low:g}, {high:g}], where volumes are clipped"
            )
        return self


class Clips(_Part):
    """Which runs of slices are shown to the video detector; see the comments in the shipped files."""

    frames: tuple[Annotated[int, Field(ge=2, le=MOST_FRAMES)], ...] = Field(min_length=1)
    stride: int = Field(ge=1)
    per_volume: int = Field(ge=1)
    max_real: int | None = Field(ge=2)
    max_fake: int | None = Field(ge=2)
    real_offset: Literal["random", "start"]
    fake_offset: Literal["random", "start"]
    too_short: Literal["loop", "discard", "refuse"]


class Frames(_Part):
    """Which slices are shown to the image detector.

    Attributes:
        max_real: so many at most; None for all.
        max_fake: likewise.
        by_length: those of the clips, one distance for each length of clips (FID-16, FID-128, …); else every slice.
    """

    max_real: int | None = Field(ge=2)
    max_fake: int | None = Field(ge=2)
    by_length: bool = False


class DetectorSpec(_Part):
    """A TorchScript file, what it is called with, and the hash it must have (None: any, which the result says)."""

    file: str = Field(pattern=r"^[^/\\]+$")
    kwargs: dict[str, bool | int | float | str]
    sha256: Annotated[str | None, BeforeValidator(checked_hash)]


class Detectors(_Part):
    """The detectors of FVD (video) and FID (image)."""

    video: DetectorSpec
    image: DetectorSpec


class Statistics(_Part):
    """How distances follow from features."""

    ddof: Literal[0, 1]
    fewest: int = Field(ge=2)
    kernel_samples: int = Field(ge=2)


class Embedded(_Part):
    """What is measured with ctgrid's own features."""

    clips_per_volume: int = Field(ge=1)


class Protocol(_Part):
    """Everything on which a distance depends, apart from the volumes, the detector files and the seed.

    ``real_frame`` may be left out of a file: ``own``.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    version: int = Field(ge=1)
    window: GrayWindow
    channels: Literal[1, 3]
    resolution: int = Field(ge=8, le=4096)
    slice_order: Literal["feet-to-head", "head-to-feet"]
    resample_slices: int | None = Field(ge=2)
    real_frame: Frame = "own"
    clips: Clips
    frames: Frames
    detectors: Detectors
    statistics: Statistics
    embedded: Embedded

    @property
    def id(self) -> str:
        """``name@version``."""
        return f"{self.name}@{self.version}"


class LoadedProtocol(_Part):
    """A protocol and the file it was read from.

    Attributes:
        protocol: the settings.
        path: where the file lies.
        sha256: of the file's bytes; where it extends another, of that one's hash followed by its own bytes.
    """

    protocol: Protocol
    path: Path
    sha256: str

    def record(self) -> dict[str, Any]:
        """Return what a result says about it: name, version, file, hash, and every setting."""
        settings = self.protocol.model_dump(mode="json")
        facts = {"name": settings.pop("name"), "version": settings.pop("version"), "id": self.protocol.id}
        return {**facts, "file": self.path.name, "sha256": self.sha256, "settings": settings}


def shipped_protocols() -> dict[str, Path]:
    """Return the protocols inside the package, by ``name@version``."""
    folder = Path(str(files("ctgrid_configs"))) / "protocols"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def load_protocol(name: str | Path) -> LoadedProtocol:
    """Read a protocol.

    Args:
        name: ``NAME@VERSION`` of a shipped one, or the path of a ``.yaml`` file, which may say
            ``extends: NAME@VERSION`` and hold only what differs from that one.

    Raises:
        CtgridError: no such protocol, or a key of it is unknown, missing or out of range.
    """
    path = _find(str(name))
    values, digest = _read(path)
    try:
        protocol = Protocol.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise CtgridError(f"{path}: {where}: {first['msg']}{more}") from error
    return LoadedProtocol(protocol=protocol, path=path, sha256=digest)


def _read(path: Path, seen: tuple[Path, ...] = ()) -> tuple[dict[str, Any], str]:
    """Return a protocol's keys, over those of the one that it ``extends``, and the hash of all of it."""
    values = parsed_yaml(text_of(path, "YAML"), path, "YAML")
    with reading(path):
        content = path.read_bytes()
    if not isinstance(values, dict):
        raise CtgridError(f"{path} holds no protocol: keys and values are expected")
    base = values.pop("extends", None)
    if base is None:
        return values, sha256(content).hexdigest()
    if path in seen:
        raise CtgridError(f"{path}: protocols extend each other in a circle")
    below, digest = _read(_find(str(base)), (*seen, path))
    for key, value in values.items():
        both = isinstance(value, dict) and isinstance(below.get(key), dict)
        below[key] = {**below[key], **value} if both else value
    return below, sha256(digest.encode() + content).hexdigest()


def _find(name: str) -> Path:
    shipped = shipped_protocols()
    if name in shipped:
        return shipped[name]
    path = Path(name)
    if path.suffix.lower() in (".yaml", ".yml") and path.is_file():
        return path
    if path.suffix.lower() in (".yaml", ".yml"):
        raise CtgridError(f"{path} does not exist; give a protocol's file or one of {', '.join(shipped)}")
    same = [known for known in shipped if known.split("@")[0] == name]
    if same:
        raise CtgridError(f"protocol {name!r} lacks its version: say {' or '.join(same)}, so that the result does too")
    raise CtgridError(
        f"no protocol {name!r}; give one of {', '.join(shipped)}, or the path of a .yaml file{meant(name, shipped)}"
    )

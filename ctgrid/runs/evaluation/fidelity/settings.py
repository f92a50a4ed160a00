"""What is asked of ``ctgrid evaluate volumes``, ``video``, ``fetch-detectors``, in Python and on the command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from ctgrid.base.errors import CtgridError
from ctgrid.base.settings import Checked, Setting
from ctgrid.base.usual import OUTPUT, WHAT, WHERE, Device, Offline, Overwrite, Seed
from ctgrid.scan.reading import Metadata

if TYPE_CHECKING:
    from ctgrid.runs.evaluation.fidelity.evaluate import FidelityPlan
    from ctgrid.runs.evaluation.fidelity.video import VideoPlan


LEAST_FIELD_MM, MOST_FIELD_MM = 50, 1000
"""Sides of a square that a body may be cut out in: from part of a lung to more than any scanner's bore."""


def read_frames(text: str) -> tuple[int, ...]:
    """Read whole numbers with commas between.

    Raises:
        CtgridError: where one is no whole number, or there is none in the text.
    """
    try:
        lengths = tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        lengths = ()
    if not lengths:
        raise CtgridError(f"{text!r}: write whole numbers such as 16,128,201")
    return lengths


def read_names(text: str) -> tuple[str, ...]:
    """Read names with commas between, each once."""
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


Detectors = Annotated[
    Path | None, Setting("Folder of TorchScript detectors; else CTGRID_HOME/detectors.", metavar="DIR")
]

Pins = Annotated[
    tuple[str, ...],
    Setting("Refuse a detector file of another hash; repeatable.", metavar="NAME=SHA256", flag="--pin-detector"),
]


@dataclass(frozen=True)
class DistanceRequest(Checked):
    """How generated volumes or movies are compared with real ones.

    Attributes are those of :class:`ctgrid.runs.evaluation.fidelity.evaluate.FidelityPlan`; ``protocol`` is a name or a
    file, and without ``cached`` features are neither used nor kept.
    """

    protocol: Annotated[str, Setting("A shipped protocol or a YAML file.", metavar="NAME|FILE")] = "stylegan-v@1"
    frames: Annotated[
        tuple[int, ...] | None,
        Setting("Slices or frames of a clip; the protocol's where left out.", metavar="N,...", read=read_frames),
    ] = None
    measures: tuple[str, ...] | None = None
    detectors: Detectors = None
    pin: Pins = ()
    seed: Seed = 0
    device: Device = "auto"
    batch_size: Annotated[
        int | None,
        Setting("Slices at once, less needs less memory; each detector's own if not given.", least=1, panel=WHERE),
    ] = None
    cached: Annotated[
        bool, Setting("Neither use nor keep features in CTGRID_HOME/cache.", flag="--no-cache", panel=WHERE)
    ] = True
    overwrite: Overwrite = False

    def check_places(self) -> None:
        """Make sure that what the request names is there.

        Raises:
            CtgridError: where a folder or a protocol is not.
        """
        from ctgrid.runs.evaluation.fidelity.protocol import load_protocol

        if self.detectors is not None and not self.detectors.is_dir():
            raise CtgridError(
                f"{self.detectors} is not a folder; --detectors names the folder of the TorchScript files"
            )
        load_protocol(self.protocol)

    def common(self) -> dict[str, Any]:
        """Return what plans of either have.

        Raises:
            CtgridError: where a folder or a protocol is not there, or a hash is none.
        """
        from ctgrid.runs.evaluation.fidelity.detectors import parse_pins
        from ctgrid.runs.evaluation.fidelity.protocol import load_protocol
        from ctgrid.runs.evaluation.fidelity.statistics import cache_folder

        self.check_places()
        return {
            "loaded": load_protocol(self.protocol),
            "frames": self.frames or (),
            "measures": self.measures or (),
            "detectors": self.detectors,
            "pins": parse_pins(list(self.pin)),
            "seed": self.seed,
            "device": self.device,
            "batch_size": self.batch_size,
            "cache": cache_folder() if self.cached else None,
        }


@dataclass(frozen=True)
class VideoRequest(DistanceRequest):
    """How generated movies are compared with real clips.

    Attributes are those of :class:`ctgrid.runs.evaluation.fidelity.video.VideoPlan` and :class:`DistanceRequest`.
    """

    protocol: Annotated[str, Setting("gridit-video-256@1, gridit-minecraft@1 or a YAML file.", metavar="NAME|FILE")] = (
        "gridit-video-256@1"
    )
    measures: Annotated[
        tuple[str, ...] | None,
        Setting(
            "fvd, fid (with KID), flicker, psnr (with SSIM, of clips of one name); left out: all but psnr.",
            metavar="NAME,...",
            read=read_names,
            panel=WHAT,
        ),
    ] = None
    layout: Annotated[
        str,
        Setting("How a collection's folders are named: folder, sky, taichi or minecraft.", metavar="NAME", panel=WHAT),
    ] = "folder"
    part: Annotated[
        Literal["train", "test"] | None, Setting("Of --real; test where it has parts, unless given.", panel=WHAT)
    ] = None

    def plan(self) -> VideoPlan:
        """Return what is done.

        Raises:
            CtgridError: where a folder or a protocol is not there, or there is no such measure.
        """
        from ctgrid.runs.evaluation.fidelity.video import VideoPlan

        return VideoPlan(**self.common(), layout=self.layout, part=self.part)


@dataclass(frozen=True)
class FidelityRequest(DistanceRequest):
    """How generated volumes are compared with real ones.

    Attributes are those of :class:`DistanceRequest`; ``train`` are volumes trained on.
    """

    train: Annotated[
        Path | None, Setting("Volumes trained on: looks for copies of them.", metavar="DIR|STORE", panel=WHAT)
    ] = None
    protocol: Annotated[
        str, Setting("stylegan-v@1, stylegan-v-ct@1, gridit-ct-rate@1 or a YAML file.", metavar="NAME|FILE")
    ] = "stylegan-v@1"
    real_frame: Annotated[
        Literal["own", "generatect"] | None,
        Setting(
            "What scans of --real and --train are brought to: their own slices, or 201 as GenerateCT's loader makes "
            "them; the protocol's where left out."
        ),
    ] = None
    field_mm: Annotated[
        float | None,
        Setting(
            "Cut all volumes out around the body in a square of so many mm first, so that distances tell anatomy and "
            "not fields of view (ctgrid's own volumes have 340).",
            least=LEAST_FIELD_MM,
            most=MOST_FIELD_MM,
            metavar="MM",
        ),
    ] = None
    measures: Annotated[
        tuple[str, ...] | None,
        Setting(
            "fvd, fid (with KID), ctgrid-features, ct, memorisation; left out: all that can be had.",
            metavar="NAME,...",
            read=read_names,
            panel=WHAT,
        ),
    ] = None
    metadata: Metadata = ()

    def plan(self) -> FidelityPlan:
        """Return what is done.

        Raises:
            CtgridError: where a folder or a protocol is not there, or there is no such measure.
        """
        from ctgrid.runs.evaluation.fidelity.evaluate import FidelityPlan

        return FidelityPlan(**self.common(), real_frame=self.real_frame, field_mm=self.field_mm, metadata=self.metadata)


@dataclass(frozen=True)
class DetectorSettings(Checked):
    """Which detectors are fetched; see :func:`ctgrid.runs.evaluation.fidelity.fetch.fetch_detectors`.

    Attributes:
        only: these files; none are all that are known.
        address: ``file=url``, in place of the known one.
        pin: ``name=sha256``.
        folder: where to; None is ``CTGRID_HOME/detectors``.
        offline: use no network.
    """

    only: Annotated[tuple[str, ...], Setting("Only this detector file; repeatable.", metavar="FILE", panel=WHAT)] = ()
    address: Annotated[
        tuple[str, ...],
        Setting("Fetch a file from here instead; repeatable.", metavar="FILE=URL", flag="--url", panel=WHAT),
    ] = ()
    pin: Annotated[
        tuple[str, ...],
        Setting("Refuse a detector file of another hash; repeatable.", metavar="NAME=SHA256", flag="--pin-detector"),
    ] = ()
    folder: Annotated[
        Path | None,
        Setting("Where to; CTGRID_HOME/detectors if left out.", metavar="DIR", flag="--detectors", panel=OUTPUT),
    ] = None
    offline: Offline = False

    def addresses(self) -> dict[str, str]:
        """Return the addresses by file.

        Raises:
            CtgridError: where one is none.
        """
        found = {}
        for text in self.address:
            name, equals, url = text.partition("=")
            if not equals or not url.startswith(("http://", "https://")):
                raise CtgridError(f"--url {text!r}: write FILE=https://…")
            found[name] = url
        return found

    def names(self) -> tuple[str, ...]:
        """Return the files to fetch."""
        from ctgrid.runs.evaluation.fidelity.fetch import ADDRESSES

        return self.only or tuple({**ADDRESSES, **self.addresses()})

    def pins(self) -> dict[str, str]:
        """Return the hashes by name.

        Raises:
            CtgridError: where one is none.
        """
        from ctgrid.runs.evaluation.fidelity.detectors import parse_pins

        return parse_pins(list(self.pin))

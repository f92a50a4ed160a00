"""What decides the bytes of a store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from ctgrid.base.errors import CtgridError
from ctgrid.base.plain_settings import plain_settings
from ctgrid.base.settings import Checked, Setting
from ctgrid.scan.protocols.protocols import PROTOCOLS
from ctgrid.scan.reading import Hu


@dataclass(frozen=True)
class StoreSettings(Checked):
    """What decides the bytes of a store; volumes of different settings never share one.

    Attributes:
        protocol: The preprocessing protocol, one of :data:`ctgrid.scan.protocols.protocols.PROTOCOLS`.
        size: Rows and columns of the slices, S.
        k: Cells per side of a grid image: coarse slices are S / k.
        slices: Slices of a volume.
        parity: Truncate slope and intercept to integers as GenerateCT does (protocol generatect).
        fov_mm: Side of the square field of view (protocol canonical); None for the protocol's own choice.
        hu: How stored values become HU, see :data:`ctgrid.scan.hu.modes.HuMode`.
    """

    protocol: Annotated[str, Setting("How scans are brought to one form.", names=PROTOCOLS)] = "generatect"
    size: Annotated[int, Setting("Rows and columns of the slices.", least=1, most=8192)] = 512
    k: Annotated[int, Setting("Cells per side of a grid image; coarse is size / k.", least=1)] = 4
    slices: Annotated[int, Setting("Slices of a volume.", least=1, most=10000)] = 201
    parity: Annotated[bool, Setting("Truncate slope and intercept as GenerateCT does.")] = False
    fov_mm: Annotated[
        float | None, Setting("Side of the field of view (canonical); default: all.", least=1, most=10000)
    ] = None
    hu: Hu = "auto"

    def __post_init__(self) -> None:
        """Refuse what does not fit together."""
        super().__post_init__()
        if self.size % self.k:
            raise CtgridError(f"size {self.size} is no multiple of k = {self.k}")
        if self.protocol == "generatect" and (self.slices != 201 or self.fov_mm is not None):
            raise CtgridError("protocol generatect makes 201 slices of the whole field of view; use protocol canonical")
        if self.protocol != "generatect" and self.parity:
            raise CtgridError("parity belongs to protocol generatect")

    @property
    def coarse_size(self) -> int:
        """Rows and columns of the coarse slices."""
        return self.size // self.k

    @classmethod
    def checked(cls, values: Mapping[str, Any], where: str = "settings") -> StoreSettings:
        """Build settings from JSON values, or say in one line why they are none.

        Args:
            values: The fields; defaults for those left out.
            where: What to name in the error.

        Raises:
            CtgridError: A field is unknown, of another type, out of range, or does not fit the others.
        """
        given = plain_settings(cls, values, where)
        try:
            return cls(**given)
        except CtgridError as error:
            raise CtgridError(f"{where}: {error}") from error

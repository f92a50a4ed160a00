"""What decides the bytes of a store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from ctgrid.base.errors import CtgridError
from ctgrid.scan.hu.modes import HuMode
from ctgrid.scan.protocols.protocols import check_protocol


class StoreSettings(BaseModel):
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

    model_config = ConfigDict(frozen=True, extra="forbid")

    protocol: Annotated[str, AfterValidator(check_protocol)] = "generatect"
    size: int = Field(default=512, ge=1, le=8192)
    k: int = Field(default=4, ge=1)
    slices: int = Field(default=201, ge=1, le=10000)
    parity: bool = False
    fov_mm: float | None = Field(default=None, gt=0, le=10000)
    hu: HuMode = "auto"

    @model_validator(mode="after")
    def _fit_each_other(self) -> StoreSettings:
        if self.size % self.k:
            raise ValueError(f"size {self.size} is no multiple of k = {self.k}")
        if self.protocol == "generatect" and (self.slices != 201 or self.fov_mm is not None):
            raise ValueError("protocol generatect makes 201 slices of the whole field of view; use protocol canonical")
        if self.protocol != "generatect" and self.parity:
            raise ValueError("parity belongs to protocol generatect")
        return self

    @property
    def coarse_size(self) -> int:
        """Rows and columns of the coarse slices."""
        return self.size // self.k

    @classmethod
    def checked(cls, values: Mapping[str, Any], where: str = "settings") -> StoreSettings:
        """Build settings, or say in one line why they are none.

        Args:
            values: The fields; defaults for those left out.
            where: What to name in the error.

        Raises:
            CtgridError: A field is unknown, out of range, or does not fit the others.
        """
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"])
            text = first["msg"].removeprefix("Value error, ")
            raise CtgridError(f"{where}: {f'{field}: ' if field else ''}{text}") from error

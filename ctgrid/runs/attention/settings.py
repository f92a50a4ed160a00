"""What is asked of ``ctgrid attention``: the same for Python and the command line."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated

from ctgrid.base.errors import CtgridError
from ctgrid.base.settings import Checked, Setting
from ctgrid.base.usual import WHAT, Device, Dtype, Model, Overwrite, Seed
from ctgrid.stages.diffusion.samplers import SAMPLERS


def read_token(text: str) -> tuple[int, int, int]:
    """Read ``cell,row,column``.

    Raises:
        CtgridError: for anything but three whole numbers, 0 or more.
    """
    parts = text.split(",")
    if len(parts) != 3 or not all(part.strip().isdecimal() for part in parts):
        raise CtgridError(f"{text!r} is not CELL,ROW,COL, such as 5,2,2")
    cell, row, column = (int(part) for part in parts)
    return cell, row, column


@dataclass(frozen=True)
class AttentionSettings(Checked):
    """Whose attention is shown, where, and at which levels of noise.

    Attributes:
        model: the model.
        stage1: a training run, or a folder, in place of the model's own stage 1.
        seed: of the grid that is sampled, and of the noise on it.
        steps: network calls for the grid; None is what the model asks for.
        sampler: likewise.
        timestep: levels of noise, 0 to 999.
        block: numbers of blocks; none are the first, the middle and the last.
        token: cell, row and column of the token whose attention is drawn; None is the middle of the middle cell.
        positions: draw position codes instead.
        device: where to compute.
        dtype: number format.
        overwrite: replace what is there.
    """

    model: Model = "embedded"
    stage1: Annotated[Path | None, Setting("Training run or folder in place of the model's stage 1.")] = None
    seed: Seed = 0
    steps: Annotated[int | None, Setting("Network calls for the grid.", least=1)] = None
    sampler: Annotated[str | None, Setting("Its sampler; if not given, the model's own.", names=SAMPLERS)] = None
    timestep: Annotated[
        tuple[int, ...], Setting("Level of noise, 0 to 999; may be repeated.", metavar="T", panel=WHAT)
    ] = (
        100,
        500,
        900,
    )
    block: Annotated[
        tuple[int, ...],
        Setting(
            "Block of the network, from 0, -1 is the last; may be repeated. If not given: three.",
            metavar="N",
            panel=WHAT,
        ),
    ] = ()
    token: Annotated[
        tuple[int, int, int] | None,
        Setting(
            "Whose attention is drawn, counted from 0; if not given, the middle one's.",
            metavar="CELL,ROW,COL",
            read=read_token,
            write=lambda value: ",".join(map(str, value)),
            panel=WHAT,
        ),
    ] = None
    positions: Annotated[
        bool, Setting("Draw position codes instead: how alike the token's is to all others', whole and by part.")
    ] = False
    device: Device = "auto"
    dtype: Dtype = "auto"
    overwrite: Overwrite = False

    def __post_init__(self) -> None:
        """Check the levels as well, and that nothing is asked of attention where positions are drawn."""
        super().__post_init__()
        from ctgrid.stages.diffusion.schedule import LINEAR

        for timestep in self.timestep:
            if not 0 <= timestep < len(LINEAR):
                raise CtgridError(f"timestep must lie in 0 to {len(LINEAR) - 1}, got {timestep}")
        usual = {one.name: one.default for one in fields(self)}
        said = [name for name in ("steps", "sampler", "timestep", "block") if getattr(self, name) != usual[name]]
        if self.positions and said:
            raise CtgridError(f"positions are the same whatever is sampled: leave {' and '.join(said)} out")

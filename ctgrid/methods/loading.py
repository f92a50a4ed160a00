"""Settings of what a pipeline is loaded from, and where it runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from ctgrid.base.settings import Checked, Setting
from ctgrid.base.usual import WHERE, Device, Dtype, Model


@dataclass(frozen=True)
class ModelLoading(Checked):
    """A model and its place.

    Attributes:
        model: ``embedded`` or a folder.
        device: see :func:`ctgrid.base.devices.choose_device`.
        dtype: see :func:`ctgrid.base.precision.choose_dtype`.
    """

    model: Model = "embedded"
    device: Device = "auto"
    dtype: Dtype = "auto"


@dataclass(frozen=True)
class PartsLoading(ModelLoading):
    """A model some of whose parts may come from elsewhere; see :func:`ctgrid.stages.models.parts.find_parts`.

    Attributes:
        compile: compile the networks, which takes a minute and makes every further step faster.
        stage1: a training run, or a folder, in place of the model's stage 1.
        stage2: likewise.
        codec: another codec than the model's.
    """

    compile: Annotated[bool, Setting("Compile the networks: slow to start, then faster.", panel=WHERE)] = False
    stage1: Annotated[
        Path | None,
        Setting("Take stage 1 from a training run, or a folder, not from the model.", metavar="RUN"),
    ] = None
    stage2: Annotated[Path | None, Setting("Likewise stage 2.", metavar="RUN")] = None
    codec: Annotated[
        str | None,
        Setting("Likewise the codec; else the one that those were trained with.", metavar="RUN|NAME"),
    ] = None

    def given(self) -> dict[str, Any]:
        """Return what :meth:`ctgrid.methods.pipeline.ModelPipeline.load` is told: no more than was asked for."""
        return {name: value for name, value in self.as_dict().items() if value not in (None, False)}

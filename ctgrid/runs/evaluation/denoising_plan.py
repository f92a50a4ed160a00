"""What a comparison of denoising methods compares, and what can be checked of it before any work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

from ctgrid.base.errors import CtgridError
from ctgrid.base.families import unknown
from ctgrid.base.privacy import alias, hides
from ctgrid.base.record import fingerprint
from ctgrid.data.volumes import volume_name
from ctgrid.methods.denoising.choice import Choice
from ctgrid.methods.denoising.methods import METHODS, Loading, default_method
from ctgrid.runs.evaluation.noise import Noise
from ctgrid.runs.evaluation.outside import case_name, check_folders, result_of
from ctgrid.runs.evaluation.results import Cases, Row
from ctgrid.scan.hu.metadata import MetadataTable
from ctgrid.scan.names import plain_name

NOISY = "noisy"
"""The method that does nothing: what the others start from."""


def quick_methods() -> tuple[str, ...]:
    """Return the methods compared where none are named: all filters but the slowest, and the embedded model's best."""
    return (NOISY, *(m.name for m in METHODS.values() if m.classical and m.name != "patch-based"), default_method())


Given = float | Literal["known", "auto"]


@dataclass(frozen=True)
class Evaluation:
    """What is compared, and how.

    Attributes:
        noises: kinds of noise.
        methods: methods with their settings (:class:`Choice` reads them), :data:`NOISY` among them where wanted.
        slices: those measured, ``A:B:STEP``; slice-wise methods denoise only these.
        seed: of the noise and of the methods.
        strength: what methods are told: the noise that was added ("known"), nothing ("auto"), or a number of HU.
        hu: how the scans' values become HU.
        loading: what methods need to be loaded.
        metadata: tables of the scans' collection, where they hold stored values.
        results: folders of what other tools made of the same noisy scans; each is a method called as its folder.
        inputs_out: folder that gets the noisy scans, for other tools.
        trust: measure the maps of trust of all but other tools.
    """

    noises: tuple[Noise, ...]
    methods: tuple[str, ...] = field(default_factory=quick_methods)
    slices: str = ":"
    seed: int = 0
    strength: Given = "known"
    hu: str = "auto"
    loading: Loading = field(default_factory=Loading)
    metadata: tuple[Path, ...] = ()
    results: tuple[Path, ...] = ()
    inputs_out: Path | None = None
    trust: bool = False

    @cached_property
    def outside(self) -> dict[str, Path]:
        """The folders of results by the names of their rows."""
        return {folder.name: folder for folder in self.results}

    @property
    def compared(self) -> tuple[str, ...]:
        """Names of all rows: methods, then other tools."""
        return (*self.methods, *self.outside)

    @cached_property
    def table(self) -> MetadataTable | None:
        """The tables, read once."""
        return MetadataTable.read_all(self.metadata)

    def cases(
        self, name: str, noise: Noise, hashes: dict[str, str], run: Callable[[dict[str, str]], Iterable[Row]]
    ) -> Cases:
        """Return the cases of a scan under one kind of noise."""
        return Cases(f"{name}, {noise}", {"volume": name, "noise": str(noise)}, hashes, run)

    def source_of(self, path: Path) -> str:
        """Return what tells a scan from another: the hash of its content, and its row of the tables if it has one."""
        row = self.table.row(path) if self.table is not None else None
        digest = str(fingerprint(path)["sha256"])
        return digest if row is None else f"{digest} {sorted(row.fields.items())}"


def check_inputs(clean: Sequence[Path], plan: Evaluation) -> list[str]:
    """Return the scans' names after all that can be checked before any work.

    Raises:
        CtgridError: for a missing scan, two of one name, an unknown method, or a bad strength.
    """  # noqa: DOC501
    if not clean or not plan.noises or not plan.methods:
        raise CtgridError("evaluation needs at least one clean scan, one kind of noise and one method")
    for method in plan.methods:
        if method != NOISY and method.partition("[")[0] not in METHODS:
            raise unknown(method, "denoising method", [NOISY, *METHODS])
        if method != NOISY:
            Choice.parse(method)
    if isinstance(plan.strength, float | int) and not plan.strength > 0:
        raise CtgridError(f"strength must be known, auto or a number of HU above 0, got {plan.strength:g}")
    for path in (*clean, *([plan.loading.weights] if plan.loading.weights else [])):
        if not path.exists():
            raise CtgridError(f"{path} does not exist")
    names = [plain_name(volume_name(Path(alias(path.name)) if hides() else path)) for path in clean]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise CtgridError(f"two clean scans are called {', '.join(sorted(twice))}; rename one, results go by name")
    for noise in plan.noises:
        for path in clean if noise.kind == "pairs" else ():
            noise.pair_of(path)
    check_folders(plan.results, (NOISY, *METHODS), plan.inputs_out)
    for folder in plan.results:
        for name in names:
            for noise in plan.noises:
                result_of(folder, case_name(name, str(noise)))
    return names

"""A runner for the command line, bad and good scans, and pipelines that need no model."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from ctgrid import Volume
from ctgrid_cli import app


@pytest.fixture
def ctgrid() -> Callable[..., Result]:
    """Run ``ctgrid ARGS`` in this process."""
    return lambda *args: CliRunner().invoke(app, [str(arg) for arg in args])


@pytest.fixture
def fails(ctgrid: Callable[..., Result], tmp_path: Path) -> Callable[..., str]:
    """Run ``ctgrid ARGS``; assert exit code, one line on stderr, nothing on stdout, no file changed."""

    def contents() -> dict[Path, bytes | None]:
        return {p: p.read_bytes() if p.is_file() else None for p in tmp_path.rglob("*")}

    def run(*args: object, code: int = 1) -> str:
        before = contents()
        result = ctgrid(*args)
        assert result.exit_code == code, result.output
        assert result.stdout == ""
        assert result.stderr.endswith("\n") and result.stderr.count("\n") == 1, result.stderr
        assert result.stderr.startswith("ctgrid") and result.stderr.count("ctgrid: ") <= 1
        assert "Traceback" not in result.stderr and len(result.stderr) > 10
        assert contents() == before
        return result.stderr

    return run


def chest(slices: int = 20, side: int = 32) -> np.ndarray:
    """Air around soft tissue around two lungs, (z, y, x) int16."""
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    plane = np.where(x**2 + (y * 1.3) ** 2 < 0.7, 40, -1000)
    plane[(abs(x) - 0.35) ** 2 + y**2 < 0.06] = -850
    ramp = np.arange(slices)[:, None, None] % 7
    return (plane[None] + ramp).astype(np.int16)


AFFINE = np.array([[-0.8, 0, 0, 12], [0, -0.8, 0, 9], [0, 0, 2.5, -40], [0, 0, 0, 1.0]])


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """A small good CT as NIfTI."""
    return Volume(chest(), AFFINE).write(tmp_path / "scan.nii.gz")


@pytest.fixture
def bad_scan(tmp_path: Path, scan: Path) -> Callable[[str], Path]:
    """Make a scan that is bad in a named way."""

    def make(kind: str) -> Path:
        path = tmp_path / f"{kind}.nii.gz"
        array = chest().transpose(2, 1, 0)
        if kind == "missing":
            return path
        if kind == "truncated":
            path.write_bytes(scan.read_bytes()[: scan.stat().st_size // 2])
            return path
        if kind == "empty":
            path.write_bytes(b"")
            return path
        if kind == "text":
            path.write_text("this is no image\n")
            return path
        if kind == "four-d":
            array = np.stack([array, array], axis=-1)
        elif kind == "rgb":
            array = np.zeros(array.shape, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
        elif kind == "mr":
            array = np.abs(array % 600).astype(np.int16)
        elif kind == "nan":
            array = array.astype(np.float32)
            array[3, 3, 3] = np.nan
        elif kind == "one-slice":
            array = array[:, :, :1]
        nib.save(nib.Nifti1Image(array, AFFINE), path)
        return path

    return make


@dataclass
class Fake:
    """What both fake pipelines were asked, and how they shall misbehave."""

    calls: list[dict[str, Any]] = field(default_factory=list)
    fail_at: int | None = None
    error: BaseException = field(default_factory=lambda: RuntimeError("two\nlines"))

    def note(self, **call: Any) -> None:
        """Keep a call; raise where this one shall fail."""
        if self.fail_at == len([c for c in self.calls if "seed" in c]):
            raise self.error
        self.calls.append(call)


@dataclass
class FakeResult:
    """Stands for ``DenoiseResult``."""

    volume: Volume
    phases: dict[str, float] = field(default_factory=lambda: {"stage 1": 1.5, "stage 2": 2.0})
    dit_token_passes: int = 1000
    noise_hu: float = 25.0
    settings: dict[str, Any] = field(default_factory=lambda: {"known": "clean"})


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Put pipelines in place that answer at once, and a trainer that does nothing."""
    state = Fake()

    class Pipeline:
        @classmethod
        def load(cls, **options: Any) -> Pipeline:
            state.note(**options)
            return cls()

        def describe(self) -> dict[str, Any]:
            return {"name": "fake"}

        def resolve(self, settings: Any, max_memory: int | None = None) -> Any:
            return replace(settings, size=32)

        def coarse_count(self, settings: Any) -> int:
            return settings.slices

        def affine(self, settings: Any) -> np.ndarray:
            return AFFINE

        def stream(self, seeds: Any, settings: Any, receive: Any, progress: Callable[[str, int, int], None]) -> Any:
            for number, seed in enumerate(seeds):
                state.note(seed=seed, **settings.as_dict())
                progress("stage 1", 1, 2)
                hu = chest(settings.slices) + np.int16(seed)
                receive(number, 0, lambda hu=hu: hu[:1])
                receive(number, 1, lambda hu=hu: hu[1:])
            count = len(seeds)
            return SimpleNamespace(
                phases={"stage 1": 1.5 * count, "stage 2": 2.0 * count}, dit_token_passes=1000 * count
            )

        def run(self, volume: Volume, *, progress: Callable[..., None], **settings: Any) -> FakeResult:
            state.note(**settings)
            progress("stage 1", 1, 2)
            return FakeResult(Volume((volume.hu + 0.4).astype(np.float32), volume.affine))

    def train(kind: str, config: str, data: Path, out: Path, *, progress: Any, **options: Any) -> dict[str, Any]:
        progress("reading volumes", 0, 1)
        out.mkdir(exist_ok=True)
        state.note(kind=kind, config=config, data=data, out=out, **options)
        progress("training", 1, 10)
        if state.fail_at == -1:
            raise state.error
        return {"steps": 10, "loss": 0.25}

    for name, content in {
        "ctgrid.methods.synthesis.pipeline": {"SynthesisPipeline": Pipeline},
        "ctgrid.methods.denoising.pipeline": {"DenoisePipeline": Pipeline},
        "ctgrid.methods.training.run": {"train": train},
    }.items():
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    return state

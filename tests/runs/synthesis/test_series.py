"""Volumes written while they are made: shared batches, long runs taken up again, full disks, several processes."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner, Result

from ctgrid.base.errors import CtgridError
from ctgrid.base.files import sha256_of
from ctgrid.base.journal import CHECK, Journal
from ctgrid.methods.synthesis.pipeline import SynthesisPipeline
from ctgrid.methods.synthesis.settings import Settings
from ctgrid.runs.report.picture import contact_sheet
from ctgrid.scan.formats.nifti.stream import NiftiStream
from ctgrid.scan.volume import Volume
from ctgrid_cli import app

QUICK = Settings(slices=9, steps=2, refine_steps=1, size=64, batch_size=4)
OPTIONS = ["--slices", "9", "--steps", "2", "--refine-steps", "1", "--size", "64", "--batch-size", "4"]
PLACE = ["--device", "cpu", "--dtype", "float32"]


@pytest.fixture(scope="module")
def pipeline(tiny_model: Path) -> SynthesisPipeline:
    """A tiny untrained model."""
    return SynthesisPipeline.load(str(tiny_model), "cpu", "float32")


@pytest.fixture
def synthesize(tiny_model: Path) -> Callable[..., Result]:
    """Run the command with the tiny model."""

    def run(*more: object) -> Result:
        words = ["synthesize", "--model", tiny_model, *OPTIONS, *PLACE, *more]
        return CliRunner().invoke(app, [str(word) for word in words])

    return run


def volumes(pipeline: SynthesisPipeline, seeds: list[int], settings: Settings = QUICK) -> np.ndarray:
    """Make volumes in one stream: (V, N, S, S) int16."""
    hu = np.zeros((len(seeds), settings.slices, settings.size, settings.size), np.int16)

    def receive(number: int, first: int, arrival: Any) -> None:
        block = arrival()
        assert not hu[number, first:].any() and (first == 0 or hu[number, first - 1].any())
        hu[number, first : first + len(block)] = block

    pipeline.stream(seeds, settings, receive)
    return hu


@pytest.mark.parametrize("slices", [1, 9, 20])
def test_a_volume_depends_on_its_seed_alone(pipeline: SynthesisPipeline, slices: int) -> None:
    """Not on the volumes that share its batches, nor on the batches, rounding aside."""
    settings = Settings(slices=slices, steps=2, refine_steps=1, size=64, batch_size=4)
    together = volumes(pipeline, [3, 4, 5, 6, 7, 8], settings).astype(int)
    for i, seed in ((0, 3), (4, 7), (5, 8)):
        alone = pipeline.generate(slices, seed, steps=2, refine_steps=1, size=64, batch_size=7).volume.hu.astype(int)
        assert abs(together[i] - alone).max() <= 1
    assert abs(together[0] - together[1]).max() > 50


def test_batches_are_filled_across_volumes(pipeline: SynthesisPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four volumes of nine slices are nine batches of four, and their first grids are one."""
    sizes: list[tuple[str, int]] = []
    for name in ("stage1", "stage2"):
        model = getattr(pipeline.bundle, name)

        def forward(latent: torch.Tensor, *rest: Any, name: str = name, real: Any = model.forward, **more: Any) -> Any:
            sizes.append((name, len(latent)))
            return real(latent, *rest, **more)

        monkeypatch.setattr(model, "forward", forward)
    volumes(pipeline, [0, 1, 2, 3])
    assert sizes == [("stage1", 4)] * 2 + [("stage2", 4)] * 9


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_stream_writes_the_bytes_of_a_volume(suffix: str, chest_volume: Volume, tmp_path: Path) -> None:
    """However its slices arrive; before it is published only a hidden file is there."""
    whole = chest_volume.write(tmp_path / f"whole{suffix}")
    path = tmp_path / f"stream{suffix}"
    stream = NiftiStream(path, chest_volume.shape, chest_volume.affine)
    for first, last in ((0, 1), (1, 6), (6, len(chest_volume.hu))):
        stream.append(chest_volume.hu[first:last])
    assert not path.exists()
    digest = stream.close()
    stream.publish()
    assert path.read_bytes() == whole.read_bytes()
    assert digest == sha256_of(path) and stream.bytes == path.stat().st_size
    assert sorted(tmp_path.iterdir()) == sorted([path, whole])


def test_a_stream_refuses_what_does_not_fit(tmp_path: Path) -> None:
    """Too many slices, too few, other sizes; nothing is left behind."""
    stream = NiftiStream(tmp_path / "a.nii", (3, 4, 5), np.eye(4))
    with pytest.raises(CtgridError, match="does not continue 0 of"):
        stream.append(np.zeros((2, 5, 4), np.int16))
    stream.append(np.zeros((2, 4, 5), np.int16))
    with pytest.raises(CtgridError, match="does not continue 2 of"):
        stream.append(np.zeros((2, 4, 5), np.int16))
    with pytest.raises(CtgridError, match="2 of 3 slices"):
        stream.close()
    stream.abandon()
    assert list(tmp_path.iterdir()) == []


def test_the_picture_is_that_of_the_whole_volume(synthesize: Callable[..., Result], tmp_path: Path) -> None:
    """Though only its planes were kept."""
    synthesize("--slices", 20, "--out", tmp_path / "a.nii.gz")
    with Image.open(tmp_path / "a.png") as picture:
        assert np.array_equal(picture, contact_sheet(Volume.read(tmp_path / "a.nii.gz")))


@pytest.mark.parametrize("codes", ["PLS", "RAI"])
def test_the_picture_is_upright_whatever_the_models_slices_are(
    codes: str, make_model: Callable[..., Path], tmp_path: Path
) -> None:
    """As one sees when the written volume is read again."""
    model = make_model(orientation=codes)
    words = ["synthesize", "--model", model, *OPTIONS, *PLACE, "--out", tmp_path / "a.nii.gz"]
    made = CliRunner().invoke(app, [str(word) for word in words])
    assert made.exit_code == 0, made.output
    with Image.open(tmp_path / "a.png") as picture:
        assert np.array_equal(picture, contact_sheet(Volume.read(tmp_path / "a.nii.gz")))


def test_manifest_and_resume(synthesize: Callable[..., Result], tmp_path: Path) -> None:
    """Volumes that are listed and whole stay as they are; the missing ones are made as they would have been."""
    out = tmp_path / "many"
    result = synthesize("--count", 3, "--seed", 5, "--out", out)
    assert (result.exit_code, result.stderr) == (0, "")
    entries = Journal(out / "manifest.jsonl").entries()
    assert [e["seed"] for e in entries.values()] == [5, 6, 7]
    for name, entry in entries.items():
        assert (entry["sha256"], entry["bytes"]) == (sha256_of(out / name), (out / name).stat().st_size)
        assert len(entry["checkpoint"]) == 64 and entry["settings"]["steps"] == 2 and entry["seconds"] > 0
    before = {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in out.glob("volume*")}
    (out / "volume_0001.nii.gz").unlink()  # as after a kill between listing and renaming
    (out / ".volume_0001-0123456789ab.nii.gz").write_bytes(b"half")
    with (out / "manifest.jsonl").open("a", encoding="utf-8") as stream:
        stream.write('{"volume": 2, "se')  # as after a kill while listing
    result = synthesize("--count", 4, "--seed", 5, "--no-picture", "--out", out, "--json")
    record = json.loads(result.stdout)
    assert record["results"] == {"made": 2, "already_there": 2}
    assert [o["seed"] for o in record["outputs"] if "seed" in o] == [6, 8]
    assert sorted(p.name for p in out.glob(".*")) == []
    for name in ("volume_0000.nii.gz", "volume_0002.nii.gz"):
        assert (out / name).stat().st_mtime_ns == before[name][1]
    assert (
        abs(
            Volume.read(out / "volume_0001.nii.gz").hu.astype(int) - read_gz(before["volume_0001.nii.gz"][0], tmp_path)
        ).max()
        <= 1
    )
    assert set(Journal(out / "manifest.jsonl").entries()) == {f"volume_000{i}.nii.gz" for i in range(4)}


def read_gz(data: bytes, folder: Path) -> np.ndarray:
    """Read a volume from its bytes."""
    path = folder / "again.nii.gz"
    path.write_bytes(data)
    return Volume.read(path).hu.astype(int)


@pytest.mark.parametrize("what", ["unlisted", "changed", "settings", "seed", "checkpoint"])
def test_what_is_there_is_not_trusted_silently(what: str, synthesize: Callable[..., Result], tmp_path: Path) -> None:
    """One line that names file and reason, and nothing changes; --overwrite makes it anew."""
    out, more = tmp_path / "many", ["--no-picture"]
    synthesize("--count", 2, "--out", out, "--no-picture")
    path = out / "volume_0001.nii.gz"
    if what == "unlisted":
        first, _ = (out / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
        (out / "manifest.jsonl").write_text(first + "\n", encoding="utf-8")
    elif what == "changed":
        path.write_bytes(path.read_bytes()[:-1] + b"\7")
    elif what == "settings":
        path, more = out / "volume_0000.nii.gz", [*more, "--steps", "3"]
    elif what == "seed":
        path, more = out / "volume_0000.nii.gz", [*more, "--seed", "1"]
    else:
        lines = (out / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
        entry = json.loads(lines[1]) | {"checkpoint": "0" * 64, CHECK: None}
        (out / "manifest.jsonl").write_text(f"{lines[0]}\n{json.dumps(entry)}\n", encoding="utf-8")
    before = {p: p.read_bytes() for p in out.iterdir()}
    result = synthesize("--count", 2, "--out", out, *more)
    assert result.exit_code == 1 and result.stderr.count("\n") == 1
    reason = {"unlisted": "does not list it", "changed": "changed or damaged", "settings": "steps 2 instead of 3"}
    assert reason.get(what, what) in result.stderr and str(path) in result.stderr and "--overwrite" in result.stderr
    assert before == {p: p.read_bytes() for p in out.iterdir()}
    result = synthesize("--count", 2, "--out", out, "--overwrite", *more, "--json")
    assert json.loads(result.stdout)["results"]["made"] == (2 if what in ("settings", "seed") else 1)
    assert json.loads(synthesize("--count", 2, "--out", out, *more, "--json").stdout)["results"]["made"] == 0


@contextmanager
def small_files(size: int) -> Iterator[None]:
    """Let no file grow beyond a number of bytes, as on a disk that is full; not even pytest's own log."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_full_disk(suffix: str, synthesize: Callable[..., Result], tmp_path: Path) -> None:
    """One line, no file; with room again the same command works."""
    out = tmp_path / f"a{suffix}"
    with small_files(20_000):
        result = synthesize("--out", out, "--no-picture")
    assert (result.exit_code, result.stderr) == (1, f"ctgrid: cannot write {out}: File too large\n")
    assert list(tmp_path.iterdir()) == []
    assert synthesize("--out", out, "--no-picture").exit_code == 0


def test_memory_decides_on_the_batch(
    pipeline: SynthesisPipeline, synthesize: Callable[..., Result], tmp_path: Path
) -> None:
    """As many at once as fit; a memory that cannot hold the model is refused with what it would take."""
    resolved = [pipeline.resolve(QUICK, size).batch_size for size in (10**13, None)]
    assert resolved == [4, 4]
    from ctgrid.methods.synthesis import memory

    base = memory.resident(torch.device("cpu")) + memory.RESERVE
    few = pipeline.resolve(Settings(slices=9, size=64, batch_size=64), base + 4 * 10**6).batch_size
    assert 1 <= few < 64
    result = synthesize("--max-memory", "20MB", "--out", tmp_path / "a.nii")
    assert result.exit_code == 1 and "max_memory of 19 MiB is too little" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_live_bytes_are_counted() -> None:
    """Two tensors at once, then one: the peak is two."""
    from ctgrid.methods.synthesis.memory import peak_of

    def work() -> None:
        a = torch.ones(1000)
        b = a + 1
        del a
        (b * 2).view(10, 100)

    assert peak_of(work, torch.device("cpu")) == 8000


KILLED = """
import os, signal, sys
from ctgrid.runs.synthesis import series
from ctgrid_cli import app

real = series._Writing.complete
def complete(self, facts):
    if self.target.number == 1 and os.environ["AT"] == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    made = real(self, facts)
    if self.target.number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return made
series._Writing.complete = complete
app(sys.argv[1:])
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("at", ["before", "after"])
def test_kill(at: str, synthesize: Callable[..., Result], tiny_model: Path, tmp_path: Path, forked: Any) -> None:
    """Killed with no chance to clean up: what has its name is whole and listed, and the same command goes on."""
    line = ["synthesize", "--model", str(tiny_model), *OPTIONS, *PLACE, "--count", "3", "--out", str(tmp_path / "o")]
    assert forked(KILLED, *line, AT=at).wait().returncode == -9
    whole = 1 if at == "before" else 2
    assert len(list((tmp_path / "o").glob("volume*.nii.gz"))) == whole
    result = synthesize("--count", 3, "--out", tmp_path / "o", "--json")
    assert json.loads(result.stdout)["results"] == {"made": 3 - whole, "already_there": whole}
    assert list((tmp_path / "o").glob(".*")) == []
    for path in (tmp_path / "o").glob("volume*.nii.gz"):
        assert Volume.read(path).shape == (9, 64, 64)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="tried on Linux only")
@pytest.mark.skipif(not torch.distributed.is_gloo_available(), reason="torch was built without gloo")
def test_two_processes(synthesize: Callable[..., Result], tiny_model: Path, tmp_path: Path, forked: Any) -> None:
    """Each makes its volumes, the same as one process makes; the first prints and records them all."""
    synthesize("--count", 5, "--no-picture", "--out", tmp_path / "one")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    out = tmp_path / "two"
    line = [
        "synthesize",
        "--model",
        str(tiny_model),
        *OPTIONS,
        *PLACE,
        "--count",
        "5",
        "--no-picture",
        "--out",
        str(out),
    ]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    command = "import sys; from ctgrid_cli import app; app(sys.argv[1:])"
    processes = [forked(command, *line, "--json", **shared, RANK=str(r), LOCAL_RANK=str(r)) for r in range(2)]
    first, second = [process.wait() for process in processes]
    assert [first.returncode, second.returncode] == [0, 0], first.stderr + second.stderr
    assert (second.stdout, second.stderr) == ("", "")
    record = json.loads(first.stdout)
    assert record["results"]["made"] == 5
    assert [part["made"] for part in record["results"]["processes"]] == [3, 2]
    assert [o["seed"] for o in record["outputs"]] == [0, 1, 2, 3, 4]
    assert len(Journal(out / "manifest.jsonl").entries()) == 5
    assert sorted(p.name for p in out.iterdir()) == sorted(p.name for p in (tmp_path / "one").iterdir())
    for path in out.glob("*.nii.gz"):
        alone = Volume.read(tmp_path / "one" / path.name).hu.astype(int)
        assert abs(Volume.read(path).hu.astype(int) - alone).max() <= 1

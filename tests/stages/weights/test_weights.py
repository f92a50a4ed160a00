"""Files from anywhere: nothing is run, nothing grows, every refusal is one line that names the file."""

from __future__ import annotations

import argparse
import collections
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from ctgrid.base.errors import CtgridError
from ctgrid.stages.weights.weights import read_file


class Hostile:
    """Unpickling it would create a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        """Ask the unpickler to touch the path."""
        return Path.touch, (self.path,)


def refused(path: Path, message: str) -> None:
    """Assert that a file is refused in one line that names it."""
    with pytest.raises(CtgridError, match=message) as caught:
        read_file(path)
    assert path.name in str(caught.value) and "\n" not in str(caught.value)


def test_a_pickle_that_runs_code_is_refused(tmp_path: Path) -> None:
    """The error says what it holds, and nothing was run: in a zip, in the old format, behind good weights."""
    touched = tmp_path / "touched"
    torch.save({"model": {"w": torch.zeros(1)}, "args": Hostile(touched)}, tmp_path / "bad.pt")
    refused(tmp_path / "bad.pt", r"bad.pt: cannot be read safely .*: it holds \w+")
    torch.save({"model": Hostile(touched)}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    refused(tmp_path / "old.pt", "cannot be read safely")
    (tmp_path / "bare.bin").write_bytes(pickle.dumps(Hostile(touched), protocol=2))
    refused(tmp_path / "bare.bin", "cannot be read safely")
    assert not touched.exists()


def test_only_a_namespace_is_let_through(tmp_path: Path) -> None:
    """Arguments of a training script are read; afterwards nothing is allowed that was not before."""
    path = tmp_path / "0050000.pt"
    torch.save({"ema": {"w": torch.ones(2)}, "args": argparse.Namespace(model="DiT-XL/2", image_size=512)}, path)
    read = read_file(path)
    assert read.metadata == {"model": "DiT-XL/2", "image_size": 512}
    assert (read.used, read.available) == ("ema", ("ema",))
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=True)
    torch.save({"ema": {"w": torch.ones(2)}, "args": collections.Counter(a=1)}, tmp_path / "counter.pt")
    assert read_file(tmp_path / "counter.pt").metadata == {"a": 1}  # torch itself deems a Counter harmless
    torch.save({"ema": {"w": torch.ones(2)}, "args": argparse.Namespace(out=Path("x"))}, tmp_path / "path.pt")
    refused(tmp_path / "path.pt", "it holds pathlib")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.pt", None, "no such file"),
        ("noise.pt", b"not a checkpoint", "cannot be read safely"),
        ("noise.safetensors", b"not a checkpoint", "not a readable safetensors file"),
        ("header.safetensors", b"\xff" * 64, "not a readable safetensors file"),
        ("empty.pt", b"", "cannot be read safely"),
        ("empty.safetensors", b"", "not a readable safetensors file"),
        ("page.pt", b"<!DOCTYPE html><html>404</html>", "cannot be read safely"),
        ("pointer.bin", b"version https://git-lfs.github.com/spec/v1\n", "cannot be read safely"),
        ("model.onnx", b"x", "unknown kind of file '.onnx'"),
        ("0400000", b"x", "unknown kind of file ''"),
    ],
)
def test_unreadable_files(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    """Each gives one line that names the file."""
    if content is not None:
        (tmp_path / name).write_bytes(content)
    refused(tmp_path / name, message)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("share", [0.2, 0.9])
def test_truncated_files(tmp_path: Path, suffix: str, share: float) -> None:
    """As a broken download leaves them."""
    path = tmp_path / f"cut{suffix}"
    state = {"w": torch.zeros(1000), "v": torch.ones(1000)}
    save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    refused(path, "cannot be read safely" if suffix == ".pt" else "not a readable safetensors file")


def test_files_that_would_grow_are_refused(tmp_path: Path) -> None:
    """A compressed archive, one number seen as a terabyte, many views of the same numbers."""
    torch.save({"w": torch.zeros(1000)}, tmp_path / "good.pt")
    with zipfile.ZipFile(tmp_path / "good.pt") as good, zipfile.ZipFile(tmp_path / "bomb.pt", "w") as bomb:
        for entry in good.infolist():
            bomb.writestr(entry.filename, good.read(entry), zipfile.ZIP_DEFLATED)
    refused(tmp_path / "bomb.pt", "its entries are compressed")
    torch.save({"w": torch.zeros(1).expand(1 << 20, 1 << 18)}, tmp_path / "wide.pt")
    assert (tmp_path / "wide.pt").stat().st_size < 10_000
    refused(tmp_path / "wide.pt", "w is not a plain tensor whose values the file holds")
    same = torch.zeros(1000)
    torch.save({f"w{i}": same.view(10, 100) for i in range(50)}, tmp_path / "many.pt")
    refused(tmp_path / "many.pt", "repeat the same few values")
    torch.save({"w": torch.eye(3).to_sparse()}, tmp_path / "sparse.pt")
    refused(tmp_path / "sparse.pt", "w is not a plain tensor")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """Reading a FIFO without a writer would hang."""
    os.mkfifo(tmp_path / "pipe.pt")
    refused(tmp_path / "pipe.pt", "not a regular one")


def test_the_old_format_of_torch_is_read(tmp_path: Path) -> None:
    """It is no zip, so it is not mapped."""
    torch.save({"model": {"w": torch.arange(4.0)}}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert torch.equal(read_file(tmp_path / "old.pth").tensors["w"], torch.arange(4.0))


def test_tensors_of_a_large_file_stay_in_the_file(tmp_path: Path) -> None:
    """What is not copied costs no memory: the tensors are views of the mapped file."""
    path = tmp_path / "large.pt"
    torch.save({name: {"w": torch.zeros(1 << 20)} for name in ("model", "ema", "opt")}, path)
    tensor = read_file(path).tensors["w"]
    maps = Path("/proc/self/maps")
    if not maps.exists():
        pytest.skip("no /proc/self/maps on this system")
    inside = [line for line in maps.read_text(encoding="utf-8").splitlines() if line.endswith(str(path))]
    spans = [[int(edge, 16) for edge in line.split()[0].split("-")] for line in inside]
    assert any(low <= tensor.data_ptr() < high for low, high in spans)

"""``ctgrid model list|fetch|verify|ceiling`` as they are typed, against a hub on this machine."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ctgrid.stages.models import transfer
from ctgrid.stages.models.manifest import MANIFEST_FILE

SPEC = importlib.util.spec_from_file_location("fake_hub", Path(__file__).parents[1] / "fake_hub.py")
assert SPEC is not None and SPEC.loader is not None
fake_hub: Any = importlib.util.module_from_spec(SPEC)
sys.modules["fake_hub"] = fake_hub
SPEC.loader.exec_module(fake_hub)

NAME = "hub:lab/chest"
WEIGHTS = "codec/diffusion_pytorch_model.safetensors"


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home outside the test's own folder."""
    path = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("CTGRID_HOME", str(path))
    for name in ("CTGRID_OFFLINE", "HF_HUB_OFFLINE", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return path


@pytest.fixture
def hub(tiny_model: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A hub with the tiny model."""
    files = {p.relative_to(tiny_model).as_posix(): p.read_bytes() for p in tiny_model.rglob("*") if p.is_file()}
    files = {path: content for path, content in files.items() if not path.endswith(MANIFEST_FILE)}
    with fake_hub.FakeHub(files=files) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.hub)
        monkeypatch.setenv("NO_PROXY", "*")
        monkeypatch.setattr(transfer, "WAIT_S", 0.0)
        yield server


def test_fetch_use_list_verify(ctgrid: Callable[..., Any], hub: Any, tmp_path: Path) -> None:
    """The whole way, and then without the hub."""
    fetched = ctgrid("model", "fetch", NAME)
    assert (fetched.exit_code, fetched.stderr) == (0, ""), fetched.output
    assert fetched.stdout.startswith(f"{NAME} aaaaaaaaaaaa: 8 files, ") and "hashes verified" in fetched.stdout
    hub.log.clear()
    listed = json.loads(ctgrid("model", "list", "--json").stdout)
    assert [model["name"] for model in listed["models"]] == ["embedded", NAME]
    assert all(model["verified"] and model["complete"] for model in listed["models"])
    assert "main  aaaaaaaaaaaa" in ctgrid("model", "list", "--offline").stdout
    assert ctgrid("model", "verify", NAME).stdout.startswith(f"{NAME}: 8 files as recorded")
    out = tmp_path / "volume.nii.gz"
    quick = ("--slices", 3, "--size", 64, "--steps", 1, "--refine-steps", 1, "--device", "cpu", "--no-picture")
    made = ctgrid("synthesize", "--model", NAME, *quick, "--out", out)
    assert (made.exit_code, made.stderr) == (0, ""), made.output
    source = json.loads((tmp_path / "volume.run.json").read_text(encoding="utf-8"))["model"]["source"]
    assert (source["kind"], source["id"], source["commit"]) == ("hub", "lab/chest", "a" * 40)
    assert hub.log == []
    again = json.loads(ctgrid("model", "fetch", NAME, "--json").stdout)
    assert again["already_here"] and again["downloaded_bytes"] == 0


def test_nothing_is_fetched_unasked(fails: Callable[..., str], hub: Any, tmp_path: Path) -> None:
    """Using a model that is not here says how to fetch it."""
    for line in (
        ("synthesize", "--model", NAME, "--out", tmp_path / "a.nii.gz"),
        ("model", "verify", NAME),
        ("model", "ceiling", tmp_path / "scan.nii.gz", "--codec", NAME),
    ):
        assert f"not here, in {os.environ['CTGRID_HOME']}; run `ctgrid model fetch {NAME}`" in fails(*line)
    assert "offline" in fails("model", "fetch", NAME, "--offline")
    assert hub.log == []


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("hub:lab/other",), "no such model"),
        (("lab/chest",), "is not hub:owner/name"),
        ((NAME, "--include", "vae/*"), "no file like vae/*"),
        ((NAME, "--sha256", "x"), "is not FILE=HASH"),
        ((NAME, "--sha256", f"{WEIGHTS}={'0' * 64}"), "was asked for; nothing was kept"),
        ((NAME, "--manifest", "missing.txt"), "missing.txt"),
    ],
)
def test_fetches_that_fail_are_one_line(
    fails: Callable[..., str], hub: Any, home: Path, options: tuple[str, ...], word: str
) -> None:
    """And leave no model."""
    assert word in fails("model", "fetch", *options)
    assert not list(home.rglob("*.safetensors"))


def test_an_interrupted_fetch_is_listed_apart(ctgrid: Callable[..., Any], fails: Callable[..., str], hub: Any) -> None:
    """Until the next one completes it."""
    hub.cuts = {WEIGHTS: [1000] + [0] * transfer.RETRIES}
    assert "1000 bytes are kept, fetch again to go on" in fails("model", "fetch", NAME)
    listed = json.loads(ctgrid("model", "list", "--json").stdout)
    assert [m["name"] for m in listed["models"]] == ["embedded"] and listed["interrupted"][0]["id"] == "lab/chest"
    assert "fetch interrupted" in ctgrid("model", "list").stdout
    assert ctgrid("model", "fetch", NAME).exit_code == 0
    assert hub.downloads(WEIGHTS)[-1] == "bytes=1000-"


def test_verify_finds_a_changed_byte(
    ctgrid: Callable[..., Any], fails: Callable[..., str], hub: Any, home: Path
) -> None:
    """By exit code and by name."""
    ctgrid("model", "fetch", NAME)
    (weights,) = home.rglob(WEIGHTS)
    weights.write_bytes(weights.read_bytes()[:-1] + b"\xff")
    assert f"{WEIGHTS} changed" in fails("model", "verify", NAME)
    result = ctgrid("model", "verify", NAME, "--json")
    assert result.exit_code == 1 and json.loads(result.stdout)["problems"][0]["path"] == WEIGHTS
    hub.log.clear()
    assert "already here" not in ctgrid("model", "fetch", NAME).stdout
    assert len(hub.downloads(WEIGHTS)) == 1 and hub.downloads("stage1/diffusion_pytorch_model.safetensors") == []
    assert ctgrid("model", "verify", NAME).exit_code == 0
    assert "folders of one's own" in fails("model", "verify", NAME, "--record")


def test_verify_of_folders(
    ctgrid: Callable[..., Any], fails: Callable[..., str], tiny_model: Path, tmp_path: Path, home: Path
) -> None:
    """The embedded model, a folder before and after its hashes were recorded, one with hashes given."""
    assert ctgrid("model", "verify", "embedded").exit_code == 0
    folder = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    assert "no hashes were recorded here" in fails("model", "verify", folder)
    assert ctgrid("model", "verify", folder, "--record").exit_code == 0
    assert ctgrid("model", "verify", folder).exit_code == 0
    assert ctgrid("model", "verify", folder, "--manifest", folder / MANIFEST_FILE).exit_code == 0
    assert "changed" in fails("model", "verify", folder, "--sha256", f"{WEIGHTS}={'0' * 64}")
    (folder / "stage2" / "config.json").unlink()
    assert "stage2/config.json missing" in fails("model", "verify", folder)


def test_packed_models_can_be_verified(
    ctgrid: Callable[..., Any], fails: Callable[..., str], tiny_model: Path, tmp_path: Path
) -> None:
    """By the hashes in the record of ``model pack``."""
    parts = [text for part in ("codec", "stage1", "stage2") for text in (f"--{part}", tiny_model / part)]
    assert ctgrid("model", "pack", *parts, "--out", tmp_path / "packed").exit_code == 0
    assert ctgrid("model", "verify", tmp_path / "packed").exit_code == 0
    weights = tmp_path / "packed" / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-1] + b"\xff")
    assert "changed" in fails("model", "verify", tmp_path / "packed")


def test_a_ceiling_is_printed_and_written(
    ctgrid: Callable[..., Any], fails: Callable[..., str], scan: Path, tiny_model: Path, tmp_path: Path, home: Path
) -> None:
    """For people, as JSON, as a file; without --out no file."""
    line = ("model", "ceiling", scan, "--codec", tiny_model, "--size", 64)
    before = sorted(tmp_path.rglob("*"))
    result = ctgrid(*line)
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    assert "full [-1000, 1000]" in result.stdout and "full slices, 64 px" in result.stdout
    record = json.loads(ctgrid(*line, "--slices", "3:9:2", "--json").stdout)
    assert record["results"]["slices"] == [3, 5, 7] and record["settings"]["slices"] == "3:9:2"
    assert record["status"] == "done" and record["model"]["source"]["kind"] == "folder"
    full = record["results"]["full"]
    assert np.isfinite([full["psnr_db"], full["ssim"], full["bias_hu"]]).all()
    assert sorted(tmp_path.rglob("*")) == before
    out = tmp_path / "ceiling.json"
    assert ctgrid(*line, "--out", out).exit_code == 0
    assert json.loads(out.read_text(encoding="utf-8"))["results"]["size"] == 64
    assert "--overwrite" in fails(*line, "--out", out)
    assert "must end in .json" in fails(*line, "--out", tmp_path / "ceiling.txt")
    assert ctgrid(*line, "--out", out, "--overwrite").exit_code == 0
    assert "choose none" in fails(*line, "--slices", "50:")
    assert "multiple of 32" in fails(*line[:-1], 100)


@pytest.mark.parametrize("kind", ["missing", "truncated", "mr", "four-d", "text"])
def test_scans_that_are_none_are_refused(
    fails: Callable[..., str], bad_scan: Callable[[str], Path], kind: str, home: Path
) -> None:
    """In one line that names the file."""
    assert kind in fails("model", "ceiling", bad_scan(kind), "--size", 64)


@pytest.mark.parametrize("text", ["x", "1:2:0", "1-5", "1:2:3:4", ":a"])
def test_slices_that_are_none_are_wrong_usage(fails: Callable[..., str], scan: Path, text: str) -> None:
    """With the form that is expected."""
    assert "--slices" in fails("model", "ceiling", scan, "--slices", text, code=2)


def test_one_slice_by_its_number(ctgrid: Callable[..., Any], scan: Path, tiny_model: Path) -> None:
    """Also from the end."""
    for text, expected in (("4", [4]), ("-1", [19])):
        result = ctgrid("model", "ceiling", scan, "--codec", tiny_model, "--size", 64, f"--slices={text}", "--json")
        assert json.loads(result.stdout)["results"]["slices"] == expected


def test_listing_and_importing_load_no_network_library(home: Path) -> None:
    """Neither does the command line's start."""
    code = """
import sys
import ctgrid, ctgrid.stages.models.sources, ctgrid.stages.models.hub
from ctgrid_cli import app
try:
    app(["model", "list"])
except SystemExit as stop:
    assert not stop.code, stop.code
heavy = {"torch", "huggingface_hub", "diffusers", "httpx", "requests"} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("embedded  ") and done.stderr == ""

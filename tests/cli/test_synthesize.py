"""``ctgrid synthesize``: outputs, names, seeds, records. The pipeline itself is tested with the library."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ctgrid import Volume
from ctgrid.base.files import sha256_of
from ctgrid.methods.synthesis.settings import Settings


def test_volume_picture_and_record(ctgrid: Callable[..., Any], fake: Any, tmp_path: Path) -> None:
    """One call leaves three files, and the record describes the other two."""
    out = tmp_path / "volume.nii.gz"
    result = ctgrid("synthesize", "--slices", 7, "--seed", 3, "--steps", 5, "--out", out)
    assert (result.exit_code, result.stderr) == (0, "")
    assert str(out) in result.stdout
    assert sorted(p.name for p in tmp_path.iterdir()) == ["volume.nii.gz", "volume.png", "volume.run.json"]
    assert Volume.read(out).shape == (7, 32, 32)
    with Image.open(tmp_path / "volume.png") as picture:
        assert picture.format == "PNG"
    record = json.loads((tmp_path / "volume.run.json").read_text(encoding="utf-8"))
    assert record["command"] == "synthesize" and record["status"] == "done"
    assert record["argv"][:3] == ["synthesize", "--slices", "7"]
    assert record["seed"] == 3
    assert record["settings"] | {"slices": 7, "steps": 5, "count": 1} == record["settings"]
    assert record["model"] == {"name": "fake"}
    assert record["phases"]["stage 1"] == 1.5
    assert {"load", "check", "write"} <= set(record["phases"])
    assert record["dit_token_passes"] == 1000
    assert [o["sha256"] for o in record["outputs"]] == [sha256_of(out), sha256_of(tmp_path / "volume.png")]
    assert fake.calls[0] == {"model": "embedded", "device": "auto", "dtype": "auto"}
    assert fake.calls[1] == {"seed": 3, **Settings(slices=7, steps=5, size=32).as_dict()}


def test_every_option_reaches_the_pipeline_and_the_record(
    ctgrid: Callable[..., Any], fake: Any, tmp_path: Path
) -> None:
    """By the names that the library has."""
    line = "--schedule autoregressive --control-rows 2 --interpolate --between inner --steps 9 --refine-steps 3"
    more = "--sampler ddim --spacing karras --refine-level 0.5 --refine-noise-mm 6 --batch-size 3"
    ctgrid("synthesize", "--slices", 3, *line.split(), *more.split(), "--no-picture", "--out", tmp_path / "a.nii")
    wanted = {
        **{"schedule": "autoregressive", "control_rows": 2, "interpolate": True, "steps": 9, "refine_steps": 3},
        "between": "inner",
        **{"sampler": "ddim", "spacing": "karras", "refine_start": 0.5, "refine_noise_mm": 6.0, "batch_size": 3},
    }
    record = json.loads((tmp_path / "a.run.json").read_text(encoding="utf-8"))
    for settings in (fake.calls[1], record["settings"]):
        assert {name: settings[name] for name in wanted} == wanted
    ctgrid("synthesize", "--fill-steps", 4, "--compile", "--slices", 3, "--out", tmp_path / "b.nii")
    assert fake.calls[-1]["fill_steps"] == 4 and fake.calls[-2]["compile"] is True
    assert fake.calls[-1]["refine_noise_mm"] is None  # the library's, said there
    ctgrid("synthesize", "--refine-noise-mm", "inf", "--slices", 3, "--out", tmp_path / "c.nii")
    record = (tmp_path / "c.run.json").read_text(encoding="utf-8")
    assert json.loads(record)["settings"]["refine_noise_mm"] == "inf" and "Infinity" not in record


@pytest.mark.parametrize(
    "line",
    [
        "--schedule hierarchical --interpolate",
        "--schedule hierarchical --control-rows 2",
        "--between inner",
        "--schedule autoregressive --fill-steps 2",
        "--refine-level 0",
        "--refine-level 1.5",
        "--refine-start 0",
        "--spacing log",
        "--control-rows 0",
        "--max-memory much",
    ],
)
def test_combinations_that_make_no_sense_are_usage_errors(
    line: str, fails: Callable[..., str], fake: Any, tmp_path: Path
) -> None:
    """Before any work."""
    assert "--help" in fails("synthesize", *line.split(), "--out", tmp_path / "a.nii", code=2)
    assert fake.calls == []


def test_no_picture(ctgrid: Callable[..., Any], fake: Any, tmp_path: Path) -> None:
    """``--no-picture`` leaves volume and record."""
    ctgrid("synthesize", "--slices", 3, "--no-picture", "--out", tmp_path / "a.nii")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.nii", "a.run.json"]


def test_json_is_the_record_and_nothing_else(ctgrid: Callable[..., Any], fake: Any, tmp_path: Path) -> None:
    """Scripts read stdout."""
    result = ctgrid("synthesize", "--slices", 3, "--out", tmp_path / "a.nii.gz", "--json")
    printed = json.loads(result.stdout)
    assert result.stdout.count("\n") == 1
    written = json.loads((tmp_path / "a.run.json").read_text(encoding="utf-8"))
    assert {k: v for k, v in printed.items() if k != "peak_memory_mib"} == {
        k: v for k, v in written.items() if k != "peak_memory_mib"
    }


def test_count_into_a_new_folder(ctgrid: Callable[..., Any], fake: Any, tmp_path: Path) -> None:
    """Volume i depends on seed + i alone, not on the count."""
    many = tmp_path / "many"
    assert ctgrid("synthesize", "--slices", 3, "--seed", 5, "--count", 3, "--out", many).exit_code == 0
    names = [f"volume_000{i}{suffix}" for i in range(3) for suffix in (".nii.gz", ".png", ".run.json")]
    assert sorted(p.name for p in many.iterdir()) == ["manifest.jsonl", "run.json", *names]
    one = tmp_path / "one.nii.gz"
    ctgrid("synthesize", "--slices", 3, "--seed", 7, "--out", one)
    assert np.array_equal(Volume.read(one).hu, Volume.read(many / "volume_0002.nii.gz").hu)
    assert one.read_bytes() == (many / "volume_0002.nii.gz").read_bytes()
    record = json.loads((many / "run.json").read_text(encoding="utf-8"))
    assert [o["seed"] for o in record["outputs"] if "seed" in o] == [5, 6, 7]
    assert record["dit_token_passes"] == 3000
    assert record["phases"]["stage 2"] == 6.0
    each = json.loads((many / "volume_0002.run.json").read_text(encoding="utf-8"))
    assert each["seed"] == 7 and [Path(o["path"]).name for o in each["outputs"]] == names[6:8]
    assert each["model"] == record["model"] and each["settings"] == record["settings"]


def test_count_beside_a_name(ctgrid: Callable[..., Any], fake: Any, tmp_path: Path) -> None:
    """A file name is a pattern where several volumes are asked for."""
    out = tmp_path / "chest.v1.nii.gz"
    ctgrid("synthesize", "--slices", 3, "--count", 2, "--no-picture", "--out", out)
    assert sorted(p.name for p in tmp_path.glob("*.gz")) == ["chest.v1_0000.nii.gz", "chest.v1_0001.nii.gz"]


def test_count_refuses_before_work(fails: Callable[..., str], fake: Any, tmp_path: Path) -> None:
    """Any existing output, a file in place of the folder, or a folder that would need a parent."""
    folder = tmp_path / "many"
    folder.mkdir()
    (folder / "volume_0001.nii.gz").write_text("precious")
    assert "volume_0001" in fails("synthesize", "--count", 2, "--out", folder)
    (tmp_path / "file").write_text("precious")
    assert "not a folder" in fails("synthesize", "--count", 2, "--out", tmp_path / "file")
    assert "does not exist" in fails("synthesize", "--count", 2, "--out", tmp_path / "no" / "many")
    assert fake.calls == []


def test_interrupt_keeps_whole_volumes_and_a_record(ctgrid: Callable[..., Any], fake: Any, tmp_path: Path) -> None:
    """What is finished stays, described; nothing is half-written."""
    fake.fail_at, fake.error = 2, KeyboardInterrupt()
    result = ctgrid("synthesize", "--slices", 3, "--count", 5, "--no-picture", "--out", tmp_path / "many")
    assert (result.exit_code, result.stderr) == (130, "ctgrid: interrupted\n")
    names = sorted(p.name for p in (tmp_path / "many").iterdir())
    volumes = [f"volume_000{i}{suffix}" for i in range(2) for suffix in (".nii.gz", ".run.json")]
    assert names == ["manifest.jsonl", "run.json", *volumes]
    record = json.loads((tmp_path / "many" / "run.json").read_text(encoding="utf-8"))
    assert record["status"] == "interrupted" and len(record["outputs"]) == 2


def test_overwrite_keeps_the_older_record(ctgrid: Callable[..., Any], fake: Any, tmp_path: Path) -> None:
    """Outputs are replaced when asked for; their history is not."""
    for seed in (1, 2, 3):
        result = ctgrid("synthesize", "--slices", 3, "--seed", seed, "--overwrite", "--out", tmp_path / "a.nii")
        assert result.exit_code == 0
    seeds = [json.loads((tmp_path / f"a.run{n}.json").read_text(encoding="utf-8"))["seed"] for n in ("", "-1", "-2")]
    assert seeds == [3, 1, 2]

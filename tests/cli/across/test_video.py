"""Clips in, a movie out, by the commands that users type; and CT slices as a movie."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import yaml

from ctgrid.metrics.flicker import flicker

Cli = Callable[..., Any]

NETWORK = {"patch_size": 2, "width": 32, "depth": 1, "heads": 2, "learned_variance": False}
STAGE = {"network": NETWORK, "prediction": "v", "size": 64, "k": 4, "slices": 20, "video": {"layout": "taichi"}}
CODEC = {"latent_channels": 4, "encoder_width": 8, "encoder_blocks": 1, "decoder_width": 8, "decoder_blocks": 1}
PARTS: dict[str, Any] = {
    "codec": {
        "network": CODEC | {"fine_width": 8},
        "size": 64,
        "crop": 32,
        "cell": 16,
        "cells_per_crop": 1,
        "video": {"layout": "taichi"},
    },
    "stage1": STAGE,
    "stage2": STAGE,
}


def encode(path: Path, count: int, seed: int) -> None:
    """Write a coloured square that moves, 48 x 64."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=8, options={"crf": "5"})
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        for i in range(count):
            frame = np.full((48, 64, 3), (30, 60 + 40 * seed, 120), np.uint8)
            frame[10:26, (3 * i + 8) % 48 : (3 * i + 8) % 48 + 16] = (250, 200, 40)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def frames_of(path: Path) -> list[np.ndarray]:
    """Decode a movie."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


@pytest.fixture
def trained(ctgrid: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Train both stages on two clips, a few steps each, and a codec where none is named; pack them."""
    monkeypatch.setattr("ctgrid.methods.training.codec.STATISTICS_EXAMPLES", 4)

    def train(*options: str, codec: object = None, scale: int | None = None) -> Path:
        for i in range(2):
            encode(tmp_path / "taichi" / "train" / f"id{i}#0-20.mp4", 20, i)
        for kind, part in PARTS.items():
            if kind == "codec" and codec is not None:
                continue
            steps = {"steps": 2, "batch_size": 2, "learning_rate": 1e-3, "ema_decay": 0.5}
            recipe = tmp_path / f"{kind}.yaml"
            content = {"kind": kind, "seed": 1, "optimisation": steps, "monitor": {"tensorboard": False}, kind: part}
            recipe.write_text(yaml.safe_dump(content))
            through = () if kind == "codec" else ("--set", f"{kind}.codec={codec or tmp_path / 'codec'}")
            where = ("--data", tmp_path / "taichi", "--out", tmp_path / kind)
            grids = (
                () if kind == "codec" or not scale else ("--set", f"{kind}.scale={scale}", "--set", f"{kind}.size=32")
            )
            result = ctgrid("train", kind, "--config", recipe, *where, *through, *grids, *options)
            assert (result.exit_code, result.stderr) == (0, "")
        runs = (
            "--codec",
            codec or tmp_path / "codec",
            "--stage1",
            tmp_path / "stage1",
            "--stage2",
            tmp_path / "stage2",
        )
        assert ctgrid("model", "pack", *runs, "--out", tmp_path / "model").exit_code == 0
        return tmp_path / "model"

    return train


@pytest.mark.parametrize("gray", [False, True])
def test_from_clips_to_a_movie(gray: bool, trained: Callable[..., Path], ctgrid: Cli, tmp_path: Path) -> None:
    """Number of frames, size and flicker are what was asked for and written; a seed stands for its bytes.

    In colour through a codec trained on the clips and in grids twice as large as the frames, as the paper has them; in
    gray through the codec inside the package.
    """
    model = trained("--gray", codec="embedded") if gray else trained(scale=2)
    side = 64 if gray else 32
    facts = json.loads((model / "stage1" / "stage.json").read_text(encoding="utf-8"))
    assert (facts["content"], facts["channels"]) == ("video", 1 if gray else 3)
    assert (facts["size"], facts["k"], facts["scale"]) == (side, 4, None if gray else 2)
    asked = ("--as", "video", "--frames", 37, "--model", model, "--steps", 2)
    (tmp_path / "movies").mkdir()
    result = ctgrid("synthesize", *asked, "--out", tmp_path / "movies" / "out.mp4", "--fps", 12, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    frames = frames_of(tmp_path / "movies" / "out.mp4")
    assert len(frames) == 37 and {frame.shape for frame in frames} == {(side, side, 3)}
    assert gray == all(np.ptp(frame.astype(int), axis=2).max() <= 3 for frame in frames)
    record = json.loads((tmp_path / "movies" / "out.run.json").read_text(encoding="utf-8"))
    assert json.loads(result.stdout)["results"] == record["results"]
    assert record["results"]["frames"] == 37 and record["settings"]["schedule"] == "autoregressive"
    assert record["results"]["flicker"] == pytest.approx(flicker(frames), abs=2.0)  # encoding smooths a little
    assert record["outputs"][0]["frames"] == 37 and record["dit_token_passes"] > 0 and record["phases"]["stage 1"] > 0
    again = ctgrid("synthesize", *asked, "--out", tmp_path / "again.mp4", "--fps", 12)
    assert again.exit_code == 0 and f"37 frames of {side} x {side} at 12 a second" in again.stdout
    assert (tmp_path / "again.mp4").read_bytes() == (tmp_path / "movies" / "out.mp4").read_bytes()


def test_a_model_of_video_makes_no_ct(make_model: Callable[..., Path], fails: Cli, scan: Path) -> None:
    """Neither a volume nor a denoised scan, and the line says what it is for."""
    model = make_model(content="video")
    out = scan.with_name("out.nii.gz")
    for command in (("synthesize", "--slices", 4), ("denoise", scan)):
        line = fails(*command, "--model", model, "--out", out)
        assert "it was trained on video and makes no CT" in line and "--as video" in line


def test_ct_slices_as_a_movie(ctgrid: Cli, tiny_model: Path, tmp_path: Path) -> None:
    """Through a lung window, numbered where there are more, at a size of one's own, also as gif."""
    common = ("synthesize", "--as", "video", "--model", tiny_model, "--steps", 2, "--frames", 18)
    result = ctgrid(*common, "--out", tmp_path / "ct.mp4", "--count", 2)
    assert (result.exit_code, result.stderr) == (0, "")
    movies = [frames_of(tmp_path / f"ct_000{i}.mp4") for i in range(2)]
    for frames in movies:
        assert len(frames) == 18 and frames[0].shape == (64, 64, 3)
        assert all(np.ptp(frame.astype(int), axis=2).max() <= 3 for frame in frames)
    assert not np.array_equal(movies[0][3], movies[1][3])
    record = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert record["settings"]["schedule"] == "hierarchical" and len(record["outputs"]) == 2
    second = json.loads((tmp_path / "ct_0001.run.json").read_text(encoding="utf-8"))
    assert second["outputs"] == record["outputs"][1:] and second["seed"] == 1
    assert second["results"]["flicker"] == second["outputs"][0]["flicker"]
    assert record["results"]["flicker"] == pytest.approx(np.mean([o["flicker"] for o in record["outputs"]]))
    assert ctgrid(*common, "--out", tmp_path / "ct.gif", "--size", 33).exit_code == 0
    assert (tmp_path / "ct.gif").read_bytes()[:6] == b"GIF89a"


def test_one_frame_has_no_flicker(ctgrid: Cli, tiny_model: Path, tmp_path: Path) -> None:
    """``--slices`` counts frames as well."""
    options = ("--as", "video", "--model", tiny_model, "--steps", 1, "--slices", 1)
    assert ctgrid("synthesize", *options, "--out", tmp_path / "one.mp4").exit_code == 0
    assert len(frames_of(tmp_path / "one.mp4")) == 1
    record = json.loads((tmp_path / "one.run.json").read_text(encoding="utf-8"))
    assert record["results"]["flicker"] is None and record["results"]["frames"] == 1


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--frames", 9, "--out", "a.nii.gz"], 2, "--as video only"),
        (["--as", "video", "--frames", 9, "--slices", 8, "--out", "a.mp4"], 2, "has not 9 frames"),
        (["--as", "video", "--out", "a.nii.gz"], 1, "must end in .mp4 or .gif or .webp"),
        (["--as", "video", "--out", "none/a.mp4"], 1, "does not exist"),
        (["--as", "video", "--out", "there.mp4"], 1, "--overwrite"),
        (["--as", "film", "--out", "a.mp4"], 2, "film"),
        (["--as", "video", "--out", "a.mp4", "--model", "none"], 1, "none"),
        (["--as", "video", "--out", "a.mp4", "--schedule", "hierarchical", "--interpolate"], 2, "interpolate"),
    ],
)
def test_bad_requests_are_one_line(
    options: list[object], code: int, words: str, fails: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before any model is loaded, and nothing is left behind."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.mp4").write_bytes(b"film")
    assert words in fails("synthesize", *options, code=code)


def test_clips_that_cannot_be_trained_on_are_one_line(fails: Cli, tmp_path: Path) -> None:
    """An empty folder, a missing part, a gray codec for colour: told before anything is made."""
    (tmp_path / "sky" / "sky_test").mkdir(parents=True)
    encode(tmp_path / "clips" / "a.mp4", 3, 0)
    start = ("train", "stage1", "--out", tmp_path / "run", "--config", "video-sky-stage1")
    embedded = ("--set", "stage1.codec=embedded")
    assert "no part 'train' here" in fails(*start, *embedded, "--gray", "--data", tmp_path / "sky")
    assert "too short, 3 frames where 16" in fails(*start, *embedded, "--gray", "--data", tmp_path / "clips")
    assert "is gray, it cannot encode colour" in fails(*start, *embedded, "--data", tmp_path / "clips")

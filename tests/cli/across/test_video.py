"""Clips in, a movie out, by the commands that users type; and CT slices as a movie."""

from __future__ import annotations

import json
import re
import shlex
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
PAGE = Path(__file__).resolve().parents[3] / "docs/video.md"


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
def trained(ctgrid: Cli, tmp_path: Path) -> Path:
    """Train both stages on two gray clips with the codec inside the package, two steps each; pack them."""
    for i in range(2):
        encode(tmp_path / "taichi" / "train" / f"id{i}#0-20.mp4", 20, i)
    for kind in ("stage1", "stage2"):
        steps = {"steps": 2, "batch_size": 2, "learning_rate": 1e-3, "ema_decay": 0.5}
        content = {"kind": kind, "seed": 1, "optimisation": steps, "monitor": {"tensorboard": False}, kind: STAGE}
        (tmp_path / f"{kind}.yaml").write_text(yaml.safe_dump(content))
        where = ("--data", tmp_path / "taichi", "--out", tmp_path / kind, "--set", f"{kind}.codec=embedded", "--gray")
        result = ctgrid("train", kind, "--config", tmp_path / f"{kind}.yaml", *where)
        assert (result.exit_code, result.stderr) == (0, "")
    runs = ("--codec", "embedded", "--stage1", tmp_path / "stage1", "--stage2", tmp_path / "stage2")
    assert ctgrid("model", "pack", *runs, "--out", tmp_path / "model").exit_code == 0
    return tmp_path / "model"


def test_from_clips_to_a_movie(trained: Path, ctgrid: Cli, tmp_path: Path) -> None:
    """Number of frames, size and flicker are what was asked for and written; a seed stands for its bytes."""
    facts = json.loads((trained / "stage1" / "stage.json").read_text(encoding="utf-8"))
    assert (facts["content"], facts["channels"], facts["size"], facts["k"], facts["scale"]) == ("video", 1, 64, 4, None)
    asked = ("--as", "video", "--frames", 37, "--model", trained, "--steps", 2)
    (tmp_path / "movies").mkdir()
    result = ctgrid("synthesize", *asked, "--out", tmp_path / "movies" / "out.mp4", "--fps", 12, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    frames = frames_of(tmp_path / "movies" / "out.mp4")
    assert len(frames) == 37 and {frame.shape for frame in frames} == {(64, 64, 3)}
    assert all(np.ptp(frame.astype(int), axis=2).max() <= 3 for frame in frames)
    record = json.loads((tmp_path / "movies" / "out.run.json").read_text(encoding="utf-8"))
    assert json.loads(result.stdout)["results"] == record["results"]
    assert record["results"]["frames"] == 37 and record["settings"]["schedule"] == "autoregressive"
    assert record["results"]["flicker"] == pytest.approx(flicker(frames), abs=2.0)  # encoding smooths a little
    assert record["outputs"][0]["frames"] == 37 and record["dit_token_passes"] > 0 and record["phases"]["stage 1"] > 0
    again = ctgrid("synthesize", *asked, "--out", tmp_path / "again.mp4", "--fps", 12)
    assert again.exit_code == 0 and "37 frames of 64 x 64 at 12 a second" in again.stdout
    assert (tmp_path / "again.mp4").read_bytes() == (tmp_path / "movies" / "out.mp4").read_bytes()


def test_the_chain_of_the_page(ctgrid: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands of docs/video.md, with fewer clips and steps: in colour, in grids twice as large as frames."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CTGRID_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("ctgrid.methods.training.codec.STATISTICS_EXAMPLES", 4)
    section = PAGE.read_text(encoding="utf-8").split("## The whole chain on small movies")[1].split("\n## ")[0]
    (movies, commands, protocol) = re.findall(r"```\w+\n(.*?)```", section, re.S)
    exec(movies.replace("range(24)", "range(3)").replace("range(100, 112)", "range(100, 102)"), {})
    Path("small.yaml").write_text(protocol, encoding="utf-8")
    less = {"train": ("--set", "optimisation.steps=2"), "synthesize": ("--steps", 1, "--count", 2)}
    for line in commands.replace("\\\n", " ").splitlines():
        program, *words = shlex.split(line)
        if program == "mkdir":
            Path(words[0]).mkdir()
            continue
        result = ctgrid(*words, *less.get(words[0], ()))
        assert result.exit_code == 0, f"{line}: {result.output}"
    facts = json.loads(Path("shapes/stage1/stage.json").read_text(encoding="utf-8"))
    assert (facts["channels"], facts["size"], facts["k"], facts["scale"]) == (3, 64, 4, 2)
    frames = frames_of(Path("made/shape_0001.mp4"))
    assert len(frames) == 64 and frames[0].shape == (64, 64, 3)
    assert max(np.ptp(frame.astype(int), axis=2).max() for frame in frames) > 3
    measured = json.loads(Path("measured/results.json").read_text(encoding="utf-8"))
    assert [(row["frames"], row["n_real"], row["n_fake"]) for row in measured["flicker"]] == [(16, 2, 2), (64, 2, 2)]
    assert [clip["name"] for clip in measured["clips"]["real"]] == ["100", "101"]
    upscaled = json.loads(Path("super-resolution/results.json").read_text(encoding="utf-8"))
    assert [(pair["clip"], pair["frames"]) for pair in upscaled["pairs"]] == [("100", 48), ("101", 48)]


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

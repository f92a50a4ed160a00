"""Movies against movies: the protocol by hand, clips that are looped, flicker, and pairs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ctgrid.base.errors import CtgridError
from ctgrid.data.video.write import write_video
from ctgrid.metrics import frechet_distance
from ctgrid.metrics.flicker import flicker
from ctgrid.runs.evaluation.fidelity.protocol import LoadedProtocol, load_protocol
from ctgrid.runs.evaluation.fidelity.video import VideoPlan, evaluate_video

SIZE = 32


def shapes(seed: int, count: int = 12, speed: int = 1, noise: float = 0.0, width: int = SIZE) -> list[np.ndarray]:
    """A coloured square that moves over a coloured ground, each clip in colours and on a path of its own."""
    rng = np.random.default_rng(seed)
    ground, colour, top = rng.integers(0, 120, 3), rng.integers(130, 255, 3), int(rng.integers(0, SIZE - 10))
    frames = []
    for i in range(count):
        frame = np.broadcast_to(ground, (SIZE, width, 3)).astype(float)
        left = (speed * i + seed) % (SIZE - 10) + (width - SIZE) // 2
        frame[top : top + 10, left : left + 10] = colour
        frames.append(np.clip(frame + noise * rng.standard_normal(frame.shape), 0, 255).astype(np.uint8))
    return frames


def written(folder: Path, seeds: range, suffix: str = "", **how: Any) -> Path:
    """Write clips as folders of frames, or files of a suffix."""
    folder.mkdir(parents=True)
    for seed in seeds:
        write_video(shapes(seed, **how), folder / f"clip{seed}{suffix}")
    return folder


def plan(detectors: Path | None, protocol: LoadedProtocol, *lengths: int, **more: Any) -> VideoPlan:
    return VideoPlan(protocol, lengths, detectors=detectors, **more)


def test_distances_are_those_of_the_protocol_done_by_hand(
    protocol: Callable[..., LoadedProtocol], detectors: Path, tmp_path: Path
) -> None:
    """In colour, all frames of every clip; folders of frames and movies alike, whatever lies around the middle."""
    real = written(tmp_path / "real", range(4))
    fake = written(tmp_path / "fake", range(4, 8), width=SIZE + 8, noise=20.0)
    found = evaluate_video(real, fake, plan(detectors, protocol(), 12))
    clips = [np.stack(shapes(s)) for s in range(4)]
    made = [np.stack(shapes(s, width=SIZE + 8, noise=20.0))[:, :, 4:-4] for s in range(4, 8)]
    module = torch.jit.load(str(detectors / "i3d_torchscript.pt"))

    def by_hand(frames: list[np.ndarray]) -> np.ndarray:
        batch = torch.from_numpy(np.stack(frames)).permute(0, 4, 1, 2, 3)
        return module(batch, rescale=True, resize=True, return_features=True).numpy()

    values = {row["measure"]: row["value"] for row in found["measures"]}
    assert values["FVD"] == pytest.approx(frechet_distance(by_hand(clips), by_hand(made), ddof=0), rel=1e-3)
    assert set(values) == {"FID", "KID", "FVD", "KVD"}
    (row,) = found["flicker"]
    assert row["real"] == pytest.approx(np.mean([flicker(clip) for clip in clips]))
    assert row["fake"] == pytest.approx(np.mean([flicker(clip) for clip in made])) and row["fake"] > 2 * row["real"]
    assert row["fake_sd"] == pytest.approx(np.std([flicker(clip) for clip in made]))
    assert (row["n_real"], row["n_fake"]) == (4, 4) and found["pairs"] == []
    assert [clip["frames"] for clip in found["clips"]["real"]] == [12] * 4


def test_short_clips_are_looped_and_sets_are_ordered(
    protocol: Callable[..., LoadedProtocol], detectors: Path, tmp_path: Path
) -> None:
    """Flicker has no step from the last frame to the first; the cache gives the same; noisier is further away."""
    real, cache = written(tmp_path / "real", range(4), count=6), tmp_path / "cache"
    short = load_protocol("gridit-video-256@1").protocol.clips.too_short
    assert short == load_protocol("gridit-minecraft@1").protocol.clips.too_short == "loop"
    values = []
    for noise in (0.0, 25.0, 80.0):
        fake = written(tmp_path / f"fake{noise:g}", range(4, 8), noise=noise, count=12)
        found = evaluate_video(real, fake, plan(detectors, protocol(), 12, cache=cache))
        again = evaluate_video(real, fake, plan(detectors, protocol(), 12, cache=cache))
        assert found == again
        rows = {row["measure"]: row for row in found["measures"]}
        assert "4 real clips have too few frames for 12 frames: looped" in rows["FVD"]["warnings"]
        assert found["flicker"][0]["real"] == pytest.approx(np.mean([flicker(shapes(s, 6)) for s in range(4)]))
        values.append(rows["FVD"]["value"])
    assert values == sorted(values) and values[0] < 0.5 * values[2]


def test_a_single_frame_has_no_flicker(protocol: Callable[..., LoadedProtocol], tmp_path: Path) -> None:
    """None rather than a perfect 0, however often it is looped; clips beside it count alone."""
    real, fake = written(tmp_path / "real", range(2), count=3), written(tmp_path / "fake", range(2), count=1)
    looped = protocol()
    (row,) = evaluate_video(real, fake, plan(None, looped, 4, measures=("flicker",)))["flicker"]
    assert (row["n_real"], row["n_fake"], row["fake"], row["fake_sd"]) == (2, 0, None, None)
    write_video(shapes(5, 2), fake / "two")
    (row,) = evaluate_video(real, fake, plan(None, looped, 4, measures=("flicker",)))["flicker"]
    assert row["n_fake"] == 1 and row["fake"] == pytest.approx(flicker(shapes(5, 2)))


def test_without_detectors_flicker_is_measured_and_the_rest_said(
    protocol: Callable[..., LoadedProtocol], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Movies in a collection's part ``test``; what cannot be read is left out by name, clips in both sets are said."""
    monkeypatch.setenv("CTGRID_HOME", str(tmp_path / "home"))
    real = written(tmp_path / "data" / "test", range(3), ".gif").parent
    written(real / "train", range(20, 21))
    (real / "test" / "broken.mp4").write_bytes(b"no movie")
    fake = written(tmp_path / "fake", range(2, 5), ".gif")
    found = evaluate_video(real, fake, plan(None, protocol(), 4))
    assert [clip["name"] for clip in found["clips"]["real"]] == ["clip0", "clip1", "clip2"]
    assert [line.split(":")[0] for line in found["left_out"][:2]] == ["FID", "FVD"]
    assert "broken.mp4" in found["left_out"][2] and found["failed"] == found["left_out"][2:]
    assert found["warnings"] == ["1 clips are in both sets, such as clip2: distances are too small"]
    assert found["measures"] == [] and found["flicker"][0]["n_real"] == 3
    only = evaluate_video(real, fake, plan(None, protocol(), 4, measures=("flicker",), part="test"))
    assert only["left_out"] == found["left_out"][2:]


def test_clips_of_one_name_are_compared_frame_by_frame(protocol: Callable[..., LoadedProtocol], tmp_path: Path) -> None:
    """PSNR and SSIM in colour, over the frames that both have; only when asked for by name."""
    real, fake = written(tmp_path / "real", range(3)), written(tmp_path / "fake", range(1, 3), noise=10.0, count=5)
    found = evaluate_video(real, fake, plan(None, protocol(), 4, measures=("psnr",)))
    (one, two) = found["pairs"]
    assert found["warnings"][0] == "psnr: 1 clips are in one set alone, such as clip0 (real)"
    assert found["warnings"][1].startswith("psnr: clip1 has ") and found["warnings"][1].endswith("the first 5 count")
    assert (one["clip"], two["clip"], one["frames"]) == ("clip1", "clip2", 5)
    truth, made = np.stack(shapes(1))[:5].astype(float), np.stack(shapes(1, noise=10.0, count=5)).astype(float)
    by_hand = np.mean([10 * np.log10(255**2 / ((a - b) ** 2).mean()) for a, b in zip(truth, made, strict=True)])
    assert one["psnr"] == pytest.approx(by_hand) and 0.2 < one["ssim"] < 0.99
    other = written(tmp_path / "other", range(8, 10))
    with pytest.raises(CtgridError, match="none has the name of another"):
        evaluate_video(real, other, plan(None, protocol(), 4, measures=("psnr",)))


def test_a_clip_with_a_damaged_last_frame_is_left_out_of_everything(
    protocol: Callable[..., LoadedProtocol], tmp_path: Path
) -> None:
    """Its header is whole, so that it is found out when it is read; the figures are those without it."""
    real, fake = written(tmp_path / "real", range(3), ""), written(tmp_path / "fake", range(3), "", noise=9.0)
    asked = plan(None, protocol(), 4, measures=("flicker", "psnr"))
    last = max((real / "clip2").iterdir())
    last.write_bytes(last.read_bytes()[:-30])
    found = evaluate_video(real, fake, asked)
    (line,) = found["failed"]
    assert line.startswith(f"{last}: cannot be read as a frame") and found["left_out"] == [line]
    assert [clip["name"] for clip in found["clips"]["real"]] == ["clip0", "clip1"]
    assert [pair["clip"] for pair in found["pairs"]] == ["clip0", "clip1"]
    shutil.rmtree(real / "clip2")
    without = evaluate_video(real, fake, asked)
    assert without["flicker"] == found["flicker"] and without["failed"] == []


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"measures": ("ct",)}, "unknown measure 'ct'; known: fvd, fid, flicker, psnr"),
        ({"layout": "skye"}, "unknown layout of video clips 'skye'"),
    ],
)
def test_bad_plans(protocol: Callable[..., LoadedProtocol], more: dict[str, Any], words: str) -> None:
    with pytest.raises(CtgridError, match=words):
        plan(None, protocol(), 4, **more)
    with pytest.raises(CtgridError, match="resamples slices along z"):
        plan(None, protocol(resample_slices=64), 4)


def test_a_file_is_no_folder_of_clips(protocol: Callable[..., LoadedProtocol], tmp_path: Path) -> None:
    real = written(tmp_path / "real", range(2))
    with pytest.raises(CtgridError, match="give a folder of video clips"):
        evaluate_video(real, real / "clip0" / "000000.png", plan(None, protocol(), 4, measures=("flicker",)))


def test_one_clip_has_flicker_but_no_distribution(
    protocol: Callable[..., LoadedProtocol], detectors: Path, tmp_path: Path
) -> None:
    """Distances take two; one frame has no flicker, and that is said."""
    real, fake = written(tmp_path / "real", range(1)), written(tmp_path / "fake", range(1), count=1)
    found = evaluate_video(real, fake, plan(None, protocol(), 4, measures=("flicker", "psnr")))
    assert found["flicker"][0]["n_real"] == 1 and found["flicker"][0]["fake"] is None
    assert found["warnings"][0] == "flicker: no fake clip has two frames" and len(found["pairs"]) == 1
    with pytest.raises(CtgridError, match="1 clips can be read, but distributions take two"):
        evaluate_video(real, fake, plan(detectors, protocol(), 4))

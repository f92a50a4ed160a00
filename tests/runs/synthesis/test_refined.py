"""Stage 2 by itself: sizes, order, colour, batches, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ctgrid.base.errors import CtgridError
from ctgrid.data.degrade import enlarge
from ctgrid.data.video.clips import fit
from ctgrid.data.video.read import open_frames
from ctgrid.data.video.write import write_video
from ctgrid.runs.synthesis.refined import refine_clips
from ctgrid.stages.cells import refine
from ctgrid.stages.models.bundle import load_bundle

Model = Callable[..., Path]


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Two clips of bright bars that move, 40 x 48, one as frames and one as a movie."""
    (tmp_path / "clips").mkdir()
    for number, name in enumerate(("a", "b.gif")):
        frames = [np.zeros((40, 48, 3), np.uint8) for _ in range(5)]
        for i, frame in enumerate(frames):
            frame[:, 8 + 4 * i : 12 + 4 * i] = 100 + 50 * number
        write_video(frames, tmp_path / "clips" / name)
    return tmp_path / "clips"


def test_frames_are_those_of_stage_2(make_model: Model, clips: Path, tmp_path: Path) -> None:
    """By hand: shrunk to a cell, enlarged, refined from one noise; the batch size changes no more than rounding."""
    model = make_model(content="video")
    record = refine_clips(clips, tmp_path / "out", seed=3, steps=1, batch_size=2, model=str(model), device="cpu")
    made = open_frames(tmp_path / "out" / "a")
    assert [o["frames"] for o in record.outputs] == [5, 5] and record.results == {"clips": 2, "frames": 10}
    bundle = load_bundle(model)
    frames = [frame for _, frame in open_frames(clips / "a").read(range(5))]
    coarse = torch.stack([fit(frame, 16, gray=True) for frame in frames])
    with torch.no_grad():
        images, _ = refine(bundle, coarse, seed=3, steps=1)
    wanted = ((images[:, 0].clamp(-1, 1) + 1) / 2 * 255).round().numpy()
    found = np.stack([frame[..., 0] for _, frame in made.read(range(5))])
    assert found.shape == (5, 64, 64) and np.abs(found - wanted).max() <= 3  # autocast aside
    assert enlarge(coarse, 4).shape[-1] == 64
    again = refine_clips(clips, tmp_path / "mp4", seed=3, steps=1, form="mp4", model=str(model))
    assert sorted(Path(o["path"]).name for o in again.outputs) == ["a.mp4", "b.mp4"]
    saved = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))
    assert saved["settings"]["steps"] == 1 and saved["dit_token_passes"] > 0


def test_what_cannot_be_refined(make_model: Model, tiny_model: Path, clips: Path, tmp_path: Path) -> None:
    """A model of CT, outputs in the way, clips that cannot be read: one line, and nothing new."""
    out = tmp_path / "out"
    with pytest.raises(CtgridError, match="trained on ct"):
        refine_clips(clips, out, model=str(tiny_model))
    assert not out.exists()
    model = str(make_model(content="video"))
    refine_clips(clips, out, steps=1, model=model)
    with pytest.raises(CtgridError, match="pass --overwrite"):
        refine_clips(clips, out, steps=1, model=model)
    (clips / "c.mp4").write_bytes(b"broken")
    with pytest.raises(CtgridError, match=r"c\.mp4: cannot be read as a video"):
        refine_clips(clips, tmp_path / "other", steps=1, model=model)
    assert not (tmp_path / "other").exists()
    with pytest.raises(CtgridError, match="lies inside the input folder"):
        refine_clips(clips, clips / "refined", model=model)

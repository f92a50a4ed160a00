"""``ctgrid synthesize`` from Python: the same files as the command's, resumed, and a record."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.base.files import sha256_of
from ctgrid.base.settings import all_settings, gather
from ctgrid.methods.synthesis.settings import Settings
from ctgrid.runs.synthesis.run import synthesize_movies, synthesize_volumes
from ctgrid.runs.synthesis.settings import FRAMES, MovieRequest, SynthesisRequest

QUICK = {"slices": 3, "steps": 1, "refine_steps": 1, "device": "cpu"}


def test_a_series_is_made_and_taken_up(tiny_model: Path, tmp_path: Path) -> None:
    """By fields or by a request; what is there stays, byte for byte."""
    out, model = tmp_path / "many", str(tiny_model)
    record = synthesize_volumes(out, count=2, picture=False, model=model, **QUICK)
    assert record.results == {"made": 2, "already_there": 0} and record.status == "done" and record.written
    first = sha256_of(out / "volume_0000.nii.gz")
    asked = gather(SynthesisRequest, {"count": 3, "model": model, **QUICK})
    again = synthesize_volumes(out, asked, picture=False, deterministic=True)
    assert again.results == {"made": 1, "already_there": 2}
    assert sha256_of(out / "volume_0000.nii.gz") == first
    assert again.settings["steps"] == 1 and again.settings["model"] == model and again.settings["count"] == 3
    assert again.settings["deterministic"] and json.loads((out / "run.json").read_text())["versions"]["threads"] == 1
    with pytest.raises(CtgridError, match="--overwrite"):
        synthesize_volumes(out, asked, picture=False, refine_level=0.5)


@pytest.mark.parametrize(
    ("slices", "made"), [(17, {"coarse_slices": {"sampled": 201, "interpolated_to": 17}}), (16, {})]
)
def test_the_record_says_what_slices_were_interpolated_from(
    slices: int, made: dict[str, object], tmp_path: Path
) -> None:
    """The embedded network for gaps knows 201 slices to a chest; sixteen have no gaps."""
    record = synthesize_volumes(tmp_path / "few.nii.gz", picture=False, size=64, **QUICK | {"slices": slices})
    assert record.decisions == made
    assert record.outputs[0]["path"].endswith("few.nii.gz")


def test_a_movie(tiny_model: Path, tmp_path: Path) -> None:
    """With as many frames as were asked for."""
    record = synthesize_movies(tmp_path / "a.gif", frames=2, model=str(tiny_model), steps=1, refine_steps=1)
    assert record.outputs[0]["frames"] == record.results["frames"] == 2 and (tmp_path / "a.gif").stat().st_size
    assert MovieRequest().frames is None and FRAMES == 128


def test_calls_show_what_they_take() -> None:
    """Defaults are those of the dataclass, and are written there alone."""
    shown = inspect.signature(synthesize_volumes).parameters
    for name, known in all_settings(SynthesisRequest).items():
        assert shown[name].default == known.default
    assert {"refine_level", "model", "compile", "max_memory"} <= set(shown)


def test_records_keep_the_former_name() -> None:
    """What an older series lists is what a newer one compares with."""
    settings = Settings(refine_level=0.5)
    assert settings.identity()["refine_start"] == 0.5 and "refine_level" not in settings.identity()
    assert gather(Settings, settings.as_dict()) == settings


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"steps": 0}, "steps must be at least 1"),
        ({"salt": 1}, "unknown setting 'salt'"),
        ({"max_memory": "much"}, "amount"),
    ],
)
def test_bad_settings(wrong: dict[str, object], words: str, tmp_path: Path) -> None:
    """One line, and nothing is written."""
    with pytest.raises(CtgridError, match=words):
        synthesize_volumes(tmp_path / "a.nii", **wrong)
    assert not list(tmp_path.iterdir())

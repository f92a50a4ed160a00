"""`ctgrid doctor`: what the computer is, what fails by name, and an exit code that says so."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from ctgrid.methods.synthesis.pipeline import SynthesisPipeline
from ctgrid.runs import doctor
from ctgrid.runs.capabilities import capabilities
from ctgrid_cli import app


def test_a_look_without_a_try() -> None:
    """Every fact is there, and what is chosen is what commands choose."""
    found = doctor.examine(self_test=False)
    assert found["versions"]["ctgrid"] and found["processor"]["name"]
    assert "float32" in found["processor"]["formats"] and found["precision"] in found["processor"]["formats"]
    assert found["self_test"] is None and found["ok"] == (not found["problems"])


def test_what_fails_is_named_and_ends_the_try(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, exit code 1, nothing tried that needs it."""

    def broken(*_: object) -> None:
        raise RuntimeError("no weights\nhere")

    monkeypatch.setattr(SynthesisPipeline, "load", broken)
    shown = CliRunner().invoke(app, ["doctor", "--json"])
    found = json.loads(shown.stdout)
    assert shown.exit_code == 1 and not found["ok"]
    assert [part["ok"] for part in found["self_test"]] == [False]
    assert found["problems"][0] == "self-test, load the embedded model: RuntimeError: no weights here"


def test_little_room_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the folder and what to do."""
    place = {"folder": "/full", "free_gb": 0.1, "writable": True}
    monkeypatch.setattr(doctor, "_place", lambda folder: place)
    assert "/full: 0.1 GB free, make room" in doctor.examine(self_test=False)["problems"]


@pytest.mark.slow
def test_the_try_passes_here() -> None:
    """Load, synthesize, write, read, denoise."""
    found = doctor.examine()
    assert [part["ok"] for part in found["self_test"]] == [True] * 4, found["problems"]


def test_capabilities_are_names_that_commands_take() -> None:
    """For programs; all that is listed is a list of words."""
    shown = CliRunner().invoke(app, ["info", "--capabilities", "--json"])
    found = json.loads(shown.stdout)
    assert {"synthesize", "denoise", "evaluate volumes", "model pack"} <= set(found["commands"])
    assert json.loads(json.dumps(capabilities()))["protocols"] == found["protocols"]
    assert "grid-detail" in found["denoising_methods"] and ".nii.gz" in found["formats"]["reads"]
    options = {option["name"]: option for option in found["options"]["synthesize"]["parameters"]}
    assert options["sampler"]["values"] == found["samplers"] and options["sampler"]["flags"] == ["--sampler"]
    assert options["slices"]["default"] == 201 and options["picture"]["switch"] and options["kind"]["values"]
    assert found["options"]["model pack"]["example"].startswith("ctgrid model pack")
    (source, *_) = found["options"]["denoise"]["parameters"]
    assert source["required"] and source["repeatable"] and not source["flags"]
    for wrong in (["info"], ["info", "x.nii", "--capabilities"]):
        assert CliRunner().invoke(app, wrong).exit_code == 2

"""``.ci/install.py``: what is asked of pip about torch, with pip and the network replaced."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
PINNED = re.findall(r"(?m)^torch==\S+", (ROOT / "constraints.txt").read_text(encoding="utf-8"))[0]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Load the script; its pip calls, with the torch pin each was under, end up in ``script.calls``."""
    spec = importlib.util.spec_from_file_location("install_script", ROOT / ".ci" / "install.py")
    assert spec is not None and spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.calls = []

    def pip_install(*arguments: str) -> int:
        pins = []
        if "-c" in arguments:
            constraints = Path(arguments[arguments.index("-c") + 1]).read_text(encoding="utf-8")
            pins = re.findall(r"(?m)^torch==\S+", constraints)
        module.calls.append((arguments, pins))
        return 0

    monkeypatch.setattr(module, "pip_install", pip_install)
    return module


@pytest.mark.parametrize("installed", ["2.12.1+cu126", "2.13.0+cpu", "2.14.0"])
def test_an_installed_torch_stays(script: Any, installed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script.importlib.metadata, "version", lambda name: installed)
    monkeypatch.setattr(script, "cpu_index_helps", lambda: True)
    assert script.main(["-e", "."]) == 0
    ((arguments, pins),) = script.calls
    assert arguments[2:] == ("-e", ".")
    assert pins == [f"torch=={installed.split('+')[0]}"]


@pytest.mark.parametrize("helps", [True, False])
def test_torch_comes_from_the_cpu_index_only_where_that_helps(
    script: Any, helps: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "installed_torch", lambda: None)
    monkeypatch.setattr(script, "cpu_index_helps", lambda: helps)
    assert script.main(["."]) == 0
    *before, (arguments, pins) = script.calls
    assert arguments[2:] == (".",) and pins == [PINNED]
    cpu_only = ("--no-deps", "--index-url", script.CPU_INDEX, PINNED)
    assert [call for call, _ in before] == ([cpu_only] if helps else [])


@pytest.mark.parametrize(
    ("platform", "driver", "reachable", "expected"),
    [
        ("linux", None, 0, True),
        ("linux", None, 1, False),
        ("linux", "/usr/bin/nvidia-smi", 0, False),
        ("darwin", None, 0, False),
    ],
)
def test_the_cpu_index_helps_on_linux_without_a_driver(
    script: Any,
    platform: str,
    driver: str | None,
    reachable: int,
    expected: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("PIP_NO_INDEX", raising=False)
    monkeypatch.setattr(script.sys, "platform", platform)
    monkeypatch.setattr(script.shutil, "which", lambda name: driver)
    probe = script.subprocess.CompletedProcess([], reachable)
    monkeypatch.setattr(script.subprocess, "run", lambda *_, **__: probe)
    assert script.cpu_index_helps() is expected


@pytest.mark.skipif(shutil.which("make") is None, reason="no make here")
@pytest.mark.parametrize(
    ("goal", "asked"),
    [
        (("demo",), "."),
        (("install",), ".[all]"),
        (("install", "EXTRAS=train,video"), ".[train,video]"),
        (("test",), ".[test,dev]"),
    ],
)
def test_make_installs_what_a_goal_needs(goal: tuple[str, ...], asked: str) -> None:
    """A demo needs no extra; what pytest brings along needs all of them (``test`` does, see pyproject.toml)."""
    dry = subprocess.run(
        ["make", "--dry-run", "--always-make", *goal], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert re.findall(r"install\.py -e (\S+)", dry.stdout) == [f"'{asked}'"]

"""An audit says what is weak, and never takes silence for good news."""

from __future__ import annotations

import importlib.util
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture
def audit() -> ModuleType:
    """Return `.ci/audit.py` as a module."""
    path = Path(__file__).resolve().parent.parent / ".ci/audit.py"
    spec = importlib.util.spec_from_file_location("audit", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GOOD = {"name": "numpy", "version": "2.0", "vulns": []}
WEAK = {"name": "jinja2", "version": "2.4", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.5"], "aliases": []}]}
UNKNOWN = {"name": "torch", "skip_reason": "Dependency not found on PyPI and could not be audited: torch (2.13.0)"}


def test_weaknesses_and_what_was_not_asked_are_told(audit: ModuleType) -> None:
    lines = audit.told({"dependencies": [GOOD, WEAK, UNKNOWN]})
    assert lines == [
        "jinja2 2.4: PYSEC-1, mended in 2.5",
        "not audited: torch",
        "1 known weaknesses in 2 of 3 pinned packages",
    ]


def test_no_answer_is_no_good_answer(audit: ModuleType) -> None:
    (line,) = audit.told({"dependencies": [UNKNOWN, UNKNOWN]})
    assert line.startswith("NOT AUDITED") and "none of 2 packages" in line


@pytest.mark.parametrize(("said", "told"), [("could not connect", "could not connect"), ("", "exit code 1")])
def test_a_service_out_of_reach_is_said_and_fails_nothing(
    audit: ModuleType, said: str, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done: Any = subprocess.CompletedProcess([], 1, "", f"Traceback\n{said}\n" if said else "")
    monkeypatch.setattr(audit.subprocess, "run", lambda *a, **k: done)
    assert audit.main() == 0
    assert capsys.readouterr().out == f"audit: NOT AUDITED: pip-audit got no answer: {told}\n"

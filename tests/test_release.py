"""What is released and how: container, workflows, citation, issue forms."""

from __future__ import annotations

import os
import re
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def test_citation_names_the_version_and_the_paper() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == PROJECT["version"]
    assert " AND ".join(citation["license"]).upper() == PROJECT["license"].upper()
    (paper,) = citation["references"]
    assert "GriDiT" in paper["title"] and len(paper["authors"]) == 5


def test_image_is_built_from_what_is_here_and_under_the_pins() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {name for line in re.findall(r"(?m)^COPY (.*) \S+$", dockerfile) for name in line.split()}
    assert copied == let_in
    for name in copied:
        assert (ROOT / name).exists(), name
    assert {"ctgrid", "cli", "configs", "README.md", "LICENSE", "constraints.txt"} <= copied  # what the build reads
    assert ".ci/install.py" in dockerfile and "^torch==" in dockerfile
    for name in re.findall(r"(?m)^ARG (\w+)", dockerfile):
        assert f"${{{name}}}" in dockerfile or f"${name}" in dockerfile, f"{name} is never used"


@pytest.mark.parametrize("path", sorted((ROOT / ".github").rglob("*.yml")), ids=lambda p: p.name)
def test_workflows_and_forms_are_whole(path: Path) -> None:
    said: dict[Any, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    for job in said.get("jobs", {}).values():
        for run in (step["run"] for step in job["steps"] if "run" in step):
            for target in re.findall(r"^make (\w+)", run):
                assert re.search(rf"(?m)^{target}:", MAKEFILE), target
            assert not run.startswith(".ci/") or (ROOT / run).is_file()
    identifiers = [part["id"] for part in said.get("body", []) if "id" in part]
    assert len(identifiers) == len(set(identifiers))


def test_benchmark_runs_commands_that_exist_and_compares_like_with_like(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import benchmark
    from typer.main import get_command

    from ctgrid_cli import app

    for arguments in benchmark.TASKS.values():
        command: Any = get_command(app)
        words = arguments.split()
        while words and words[0] in getattr(command, "commands", {}):
            command, words = command.commands[words[0]], words[1:]
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, arguments
        given = dict(pairwise(words))
        if "--data" in given:  # a folder, which an earlier command made
            assert any(f"--count 1 --out {given['--data']}" in earlier for earlier in benchmark.TASKS.values())
        for folder in (given[role] for role in ("--real", "--fake") if role in given):  # sets: two volumes at least
            made = re.findall(rf"--out {folder}(?:/\S+\.nii\.gz)?(?:\s|$)", "\n".join(benchmark.TASKS.values()))
            assert len(made) >= 2, folder

    def run(seconds: float, processor: str, others: float = 0.02) -> dict[str, Any]:
        facts = {"processor": processor, "cores": 2, "threads": 2, "precision": "bfloat16", "gpu": None}
        tasks = {"a": {"seconds": seconds, "cpu_seconds": 3 * seconds, "peak_mib": 100, "phases": {}}}
        facts |= {"torch": "2", "ctgrid": "1.0"}
        return {"date": "2026-01-02", "machine": facts, "others": others, "tasks": tasks}

    page = benchmark.page([run(1.0, "old"), run(10.0, "new"), run(2.0, "old")])
    assert "## old, 2 cores, 2 threads, bfloat16" in page and "## new, 2 cores" in page
    assert "\n2026-01-02, ctgrid 1.0, torch 2, other work took 2% of the cores\n" in page
    assert "| a | 2.0 | 6.0 | 100 | 1.0 | 2.00 slower |" in page and "| a | 10.0 | 30.0 | 100 |  |  |" in page

    page = benchmark.page([run(1.0, "old"), run(2.0, "old", others=0.5)])  # a busy machine's clock measures nothing
    assert "**busy machine**: 2026-01-02" in page and "before, CPU seconds" in page
    assert "| a | 2.0 | 6.0 | 100 | 3.0 | 2.00 slower |\n| all | 2.0 | 6.0 | 100 | | |" in page


def test_other_work_is_told_by_what_all_cores_did(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import machine

    worked = machine.processor_seconds()
    assert worked is None or worked >= sum(os.times()[:2])  # None where the system does not tell

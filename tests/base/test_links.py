"""Records that other runs go on with are never written to, or read, through a link."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.base.journal import Journal as Manifest
from ctgrid.base.links import open_record
from ctgrid.base.locks import held, owned
from ctgrid.data.store.report import Report, read_report
from ctgrid.methods.training.monitor import Journal

Use = Callable[[Path], Any]
USES: dict[str, Use] = {
    "append": lambda path: Manifest(path).append({"file": "a"}),
    "read": lambda path: Manifest(path).entries(),
    "read a report": read_report,
    "log": lambda path: Journal(path.parent, None, 0)._line("log.jsonl", {"step": 1}),
}


@pytest.mark.parametrize("use", USES)
def test_a_link_is_named_and_left_alone(use: str, tmp_path: Path) -> None:
    target, link = tmp_path / "elsewhere", tmp_path / "log.jsonl"
    target.write_text('{"file": "mine"}\n')
    link.symlink_to(target)
    with pytest.raises(CtgridError, match=r"log.jsonl is a link"):
        USES[use](link)
    assert target.read_text() == '{"file": "mine"}\n'


def test_a_link_to_nothing_makes_nothing(tmp_path: Path) -> None:
    (tmp_path / "denoise.jsonl").symlink_to(tmp_path / "new")
    with pytest.raises(CtgridError, match="is a link"):
        Manifest(tmp_path / "denoise.jsonl").append({"file": "a"})
    assert not (tmp_path / "new").exists()


def test_a_report_replaces_links_in_its_way(tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.write_text("mine")
    for name in ("r.jsonl", ".r.jsonl.new"):
        (tmp_path / name).symlink_to(target)
    with Report(tmp_path / "r.jsonl", []) as report:
        report.add({"input": "a"})
    assert target.read_text() == "mine" and not (tmp_path / "r.jsonl").is_symlink()


def test_other_failures_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_record(tmp_path / "no", "r")


def test_a_lock_is_not_opened_through_a_link(tmp_path: Path) -> None:
    """Neither to a file that would be cut to the holder's name, nor to one that would be made."""
    (tmp_path / "mine").write_text("kept")
    for name, target in ((".run.lock", "mine"), (".X.lock", "new")):
        (tmp_path / name).symlink_to(tmp_path / target)
    with pytest.raises(CtgridError, match=r"\.run\.lock is a link, and locks are not followed"):
        owned(tmp_path / "run", "train").__enter__()
    with pytest.raises(CtgridError, match="is a link"):
        held(tmp_path / ".X.lock").__enter__()
    assert (tmp_path / "mine").read_text() == "kept" and not (tmp_path / "new").exists()

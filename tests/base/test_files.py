"""A file is there whole, or it is as it was."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ctgrid import CtgridError
from ctgrid.base.files import (
    atomic_folder,
    atomic_output,
    atomic_outputs,
    check_apart,
    check_output,
    full_suffix,
    recover_folder,
    sha256_of,
    stem_of,
)


@pytest.mark.parametrize("name", ["a.nii.gz", "a.b.nii.gz", "a.nii", "a.json", "noext", "A.NII.GZ"])
def test_temporary_name_keeps_folder_and_suffix(tmp_path: Path, name: str) -> None:
    with atomic_output(tmp_path / name) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.name != name
        assert full_suffix(temporary) == full_suffix(name)
        temporary.write_text("x")
    assert (tmp_path / name).read_text(encoding="utf-8") == "x"
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["a.nii.gz", "a.b.NII.gz", "a.nii", "noext", ".hidden", "c.run.json"])
def test_stem_and_suffix_are_the_name(name: str) -> None:
    """Nothing is lost between them but case."""
    assert stem_of(f"in/{name}") + full_suffix(name) == name.replace(".NII", ".nii")


@pytest.mark.parametrize("failure", [RuntimeError("boom"), KeyboardInterrupt()])
def test_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path, failure: BaseException) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(type(failure)), atomic_output(target, overwrite=True) as temporary:
        temporary.write_text("half")
        raise failure
    assert target.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_full_disk_is_one_clear_line(tmp_path: Path) -> None:
    with (
        pytest.raises(CtgridError, match=r"cannot write .*a\.txt: No space left"),
        atomic_output(tmp_path / "a.txt") as temporary,
    ):
        temporary.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert not list(tmp_path.iterdir())


def test_nothing_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CtgridError, match="nothing was written"), atomic_output(tmp_path / "a.txt"):
        pass


def test_existing_file_needs_overwrite(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(CtgridError, match="exists; pass --overwrite"):
        check_output(target)
    with atomic_output(target, overwrite=True) as temporary:
        temporary.write_text("new")
    assert target.read_text(encoding="utf-8") == "new"


def test_file_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    with pytest.raises(CtgridError, match="exists"), atomic_output(target) as temporary:
        temporary.write_text("mine")
        target.write_text("theirs")
    assert target.read_text(encoding="utf-8") == "theirs"
    assert list(tmp_path.iterdir()) == [target]


def test_parent_must_be_a_folder_that_exists(tmp_path: Path) -> None:
    with pytest.raises(CtgridError, match=r"missing does not exist; create it first"):
        check_output(tmp_path / "missing" / "a.txt")
    (tmp_path / "file").write_text("x")
    with pytest.raises(CtgridError, match="is not a folder"):
        check_output(tmp_path / "file" / "a.txt")
    with pytest.raises(CtgridError, match="it is a folder"):
        check_output(tmp_path, overwrite=True)


def test_sha256(tmp_path: Path) -> None:
    content = bytes(range(256)) * 5000
    (tmp_path / "a").write_bytes(content)
    assert sha256_of(tmp_path / "a") == hashlib.sha256(content).hexdigest()
    with pytest.raises(CtgridError, match="cannot read"):
        sha256_of(tmp_path / "b")


def test_no_output_changes_an_input(tmp_path: Path) -> None:
    """By whatever name, inside a folder that is read, or by replacing one that holds an input; elsewhere is fine."""
    folder, link = tmp_path / "scans", tmp_path / "link"
    folder.mkdir()
    scan = folder / "a.nii"
    scan.touch()
    link.symlink_to(folder)
    for same in (scan, link / "a.nii", folder / ".." / "scans" / "a.nii"):
        with pytest.raises(CtgridError, match="is the input; the input is never written to"):
            check_apart(same, [tmp_path / "other", scan])
    for inside in (folder / "new" / "deep", link / "b.nii"):
        with pytest.raises(CtgridError, match="lies inside the input folder"):
            check_apart(inside, [folder])
    with pytest.raises(CtgridError, match=r"holds the input .*a\.nii; it is not replaced"):
        check_apart(tmp_path, [scan], replaces=True)
    check_apart(tmp_path, [scan])
    check_apart(folder / "b.nii", [scan, tmp_path / "missing"])
    assert [path.name for path in folder.iterdir()] == ["a.nii"]


def test_several_files_get_their_names_together_or_not_at_all(tmp_path: Path) -> None:
    paths = [tmp_path / "a.md", tmp_path / "a.html"]
    with atomic_outputs(paths) as temporaries:
        for temporary in temporaries:
            temporary.write_text("one")
    with pytest.raises(CtgridError, match=r"a\.html: nothing was written"), atomic_outputs(paths, True) as (first, _):
        first.write_text("two")
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"a.md": "one", "a.html": "one"}


def test_a_rename_that_fails_takes_the_others_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [tmp_path / "a.md", tmp_path / "a.json", tmp_path / "a.html"]
    paths[0].write_text("one")
    replace = Path.replace

    def failing(self: Path, target: Path) -> Path:
        if target == paths[2]:
            raise OSError(errno.EIO, "Input/output error")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", failing)
    with pytest.raises(CtgridError, match=r"a\.html: Input/output error"), atomic_outputs(paths, True) as temporaries:
        for temporary in temporaries:
            temporary.write_text("two")
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"a.md": "one"}


def test_rights_follow_the_umask_whatever_the_writer_took(tmp_path: Path) -> None:
    mask = os.umask(0o027)
    try:
        with atomic_output(tmp_path / "a") as temporary:
            temporary.touch(0o600)
        with atomic_folder(tmp_path / "f") as folder:
            (folder / "weights").touch(0o600)
    finally:
        os.umask(mask)
    modes = {p.name: p.stat().st_mode & 0o777 for p in tmp_path.rglob("*")}
    assert modes == {"a": 0o640, "f": 0o750, "weights": 0o640}


def test_what_a_killed_writer_left_is_removed_and_a_living_ones_stays(tmp_path: Path) -> None:
    code = (
        "import os; from pathlib import Path; from ctgrid.base.files import atomic_output\n"
        f"with atomic_output(Path({str(tmp_path / 'a.nii.gz')!r})) as t: t.write_text('half'); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    assert len(list(tmp_path.iterdir())) == 1
    with atomic_output(tmp_path / "a.nii.gz") as one:
        one.write_text("one")
        with atomic_output(tmp_path / "a.nii.gz") as other:
            other.write_text("other")
            assert len(list(tmp_path.iterdir())) == 2
        (tmp_path / "a.nii.gz").unlink()
    assert [p.name for p in tmp_path.iterdir()] == ["a.nii.gz"]


def test_a_folder_is_replaced_whole_and_recovered_after_a_kill_between_the_renames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "model"
    with atomic_folder(folder) as new:
        (new / "a").write_text("old")
    rename = Path.rename

    def killed(self: Path, target: Path) -> Path:
        if self.name.endswith(".new"):
            raise SystemExit  # stands for a kill: what comes after it is undone below
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", killed)
    with pytest.raises(SystemExit), atomic_folder(folder) as new:
        (new / "a").write_text("new")
    monkeypatch.undo()
    assert not folder.exists()
    recover_folder(folder)
    assert (folder / "a").read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["model"]
    with atomic_folder(folder) as new:
        (new / "b").write_text("new")
    assert [p.name for p in folder.iterdir()] == ["b"] and [p.name for p in tmp_path.iterdir()] == ["model"]


def test_a_full_disk_is_named_whatever_library_met_it(tmp_path: Path, forked: Any) -> None:
    code = (
        "import resource, sys, torch; from pathlib import Path; from ctgrid.base.files import atomic_output\n"
        "from safetensors.torch import save_file; import numpy as np\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10000, 10000))\n"
        "x = torch.zeros(100000)\n"
        "def torched(t):\n"
        "    with t.open('wb') as stream: torch.save(x, stream)\n"
        "def arrays(t):\n"
        "    with t.open('wb') as stream: np.savez(stream, x=x.numpy())\n"
        "for write in (torched, lambda t: save_file({'x': x}, str(t)), arrays, lambda t: np.save(t, x.numpy())):\n"
        "    try:\n"
        f"        with atomic_output(Path({str(tmp_path / 'a.npy')!r})) as t: write(t)\n"
        "    except ValueError as error: print(error)\n"
    )
    ended = forked(code).wait()
    assert ended.returncode == 0, ended.stderr
    said = ended.stdout.splitlines()
    assert [line.rpartition(": ")[2] for line in said] in (
        ["File too large"] * 4,
        ["File too large"] * 3 + ["No space left on device"],
    ), said
    assert list(tmp_path.iterdir()) == []

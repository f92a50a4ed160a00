"""Published folder layouts: which clips are found, under which names, in which part."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.data.video.layouts import FOLDER, LAYOUTS, MINECRAFT, SKY, TAICHI, Layout, Part, find_clips, natural

MDGAN = [
    "sky_train/v1/v1_2/f_1.jpg",
    "sky_train/v1/v1_1/f_1.jpg",
    "sky_train/v2/v2_1/f_1.jpg",
    "sky_test/v9/v9_1/f.jpg",
]
DIGAN = ["train/b/frame00000.png", "train/a/frame00000.png", "val/c/frame00000.png"]
FOMM = ["train/id1#x#0-9.mp4", "train/id2#x.mp4/0000000.png", "test/id3#x.mp4"]
TECO = ["train/0/clip_1.mp4", "train/0/clip_1.npz", "train/1/clip_2.mp4", "test/0/clip_3.mp4"]
DFOT = ["training/clip_1.mp4", "validation/clip_3.mp4"]
STYLEGAN_V = ["video1/frame1.jpg", "video2/frame1.jpg", "video2/frame2.jpg"]
CASES: list[tuple[Layout, list[str], Part, list[str]]] = [
    (SKY, MDGAN, "train", ["v1__v1_1", "v1__v1_2", "v2__v2_1"]),
    (SKY, MDGAN, "test", ["v9__v9_1"]),
    (SKY, [f"sky_timelapse/{name}" for name in MDGAN], "test", ["v9__v9_1"]),
    (SKY, DIGAN, "train", ["a", "b"]),
    (SKY, DIGAN, "test", ["c"]),
    (SKY, STYLEGAN_V, "train", ["video1", "video2"]),
    (TAICHI, FOMM, "train", ["id1#x#0-9", "id2#x.mp4"]),
    (TAICHI, FOMM, "test", ["id3#x"]),
    (MINECRAFT, TECO, "train", ["0__clip_1", "1__clip_2"]),
    (MINECRAFT, TECO, "test", ["0__clip_3"]),
    (MINECRAFT, DFOT, "test", ["clip_3"]),
    (FOLDER, ["a.mp4", "b/1.png", ".hidden.mp4", ".cache/c.mp4", "b/._1.png", "notes.txt"], "train", ["a", "b"]),
    (FOLDER, ["1.png", "2.png"], "train", ["root"]),
]


def tree(root: Path, names: list[str]) -> Path:
    """Make empty files."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


@pytest.mark.parametrize(("layout", "files", "part", "names"), CASES)
def test_clips_of_a_part(layout: Layout, files: list[str], part: Part, names: list[str], tmp_path: Path) -> None:
    """Sorted, each with the path that holds its frames."""
    found = find_clips(tree(tmp_path / "root", files), layout, part)
    assert [clip.name for clip in found] == names
    assert all(clip.path.exists() and not clip.path.name.endswith(".npz") for clip in found)


def test_published_sizes() -> None:
    """256, 256, 128; cells of a quarter."""
    assert {name: layout.size for name, layout in LAYOUTS.items()} == {
        "sky": 256,
        "taichi": 256,
        "minecraft": 128,
        "folder": 256,
    }


@pytest.mark.parametrize(
    ("files", "part", "words"),
    [
        (["sky_train/a/1.jpg"], "test", r"no part 'test' here, only sky_train; expected sky_test or test or val"),
        (["a/1.jpg"], "test", "no parts here, so no 'test'"),
        (["train/notes.txt"], "train", r"train: no clip found here; expected video files \(.mp4"),
        (["train/a.mp4", "train/a/1.png"], "train", "another clip here has the name a"),
    ],
)
def test_what_is_missing_is_named(files: list[str], part: Part, words: str, tmp_path: Path) -> None:
    """One line with the path and what would do."""
    with pytest.raises(CtgridError, match=words):
        find_clips(tree(tmp_path, files), SKY, part)


def test_no_folder(tmp_path: Path) -> None:
    """Likewise."""
    with pytest.raises(CtgridError, match=f"{re.escape(str(tmp_path / 'none'))}: not a folder"):
        find_clips(tmp_path / "none")


def test_links_are_followed_and_loops_are_not(tmp_path: Path) -> None:
    """A link back up, and a second way to a folder that was searched: each clip is found once."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.png").write_bytes(b"")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "c").symlink_to(tmp_path / "b")
    assert [clip.name for clip in find_clips(tmp_path)] == ["a", "b"]


def test_natural_order() -> None:
    """Numbers count, not digits; with and without zeros in front."""
    names = ["f10.png", "f2.png", "f1.png", "g1.png", "f002b.png"]
    assert sorted(names, key=natural) == ["f1.png", "f2.png", "f002b.png", "f10.png", "g1.png"]

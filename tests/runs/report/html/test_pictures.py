"""Pictures inside the page: PNG files only, and no more than there is room for."""

from __future__ import annotations

from base64 import b64decode
from pathlib import Path

from ctgrid.runs.report.html.pictures import embed_pictures

PNG = b"\x89PNG\r\n\x1a\n" + bytes(92)


def test_pictures_are_embedded_until_there_is_no_room(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.png", "text.png", "b.png", "c.png")]
    for path in paths:
        path.write_bytes(b"no picture" if path.stem == "text" else PNG)
    made = embed_pictures(paths, most_bytes=250)
    assert [path.name for path, _ in made.embedded] == ["a.png", "b.png"]
    assert [path.name for path in made.left_out] == ["text.png", "c.png"]
    assert all(b64decode(data) == PNG for _, data in made.embedded)


def test_names_are_escaped(tmp_path: Path) -> None:
    path = tmp_path / "a<b>.png"
    path.write_bytes(PNG)
    made = embed_pictures([path]).html()
    assert "<b>" not in made and "1 picture<" in made and 'src="data:image/png;base64,' in made

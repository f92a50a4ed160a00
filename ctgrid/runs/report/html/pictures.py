"""Pictures that runs left behind, inside the page."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ctgrid.runs.report.html.markup import Markup, element

MOST_BYTES = 6_000_000
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Pictures:
    """Those that are embedded, and the names of those that would make the page too large."""

    embedded: list[tuple[Path, str]]
    left_out: list[Path]

    def html(self) -> Markup:
        """Return the pictures, folded."""
        figures = [
            element(
                "figure",
                element("img", src=f"data:image/png;base64,{data}", alt=path.name, loading="lazy"),
                element("figcaption", str(path)),
            )
            for path, data in self.embedded
        ]
        return element(
            "details",
            element("summary", f"{len(figures)} picture{'s' * (len(figures) != 1)}"),
            element("div", *figures, class_="pictures"),
        )


def embed_pictures(paths: Sequence[Path], most_bytes: int = MOST_BYTES) -> Pictures:
    """Read PNG files until together they are too large; what is no PNG is left out too."""
    embedded, left_out, room = [], [], most_bytes
    for path in paths:
        data = path.read_bytes() if path.stat().st_size <= room else b""
        if data.startswith(_PNG):
            room -= len(data)
            embedded.append((path, b64encode(data).decode("ascii")))
        else:
            left_out.append(path)
    return Pictures(embedded, left_out)

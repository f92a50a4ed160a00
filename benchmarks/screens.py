"""Draw what commands print in a terminal of 80 columns, for the documents.

python benchmarks/screens.py --out docs/images
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

COLUMNS = 80
SCREENS = {"help": ["denoise", "-h"], "doctor": ["doctor", "--no-self-test"]}
"""Pictures by name, and the commands that they show."""


def screen(words: list[str]) -> str:
    """Run a command, and return what it prints as SVG that asks no server for fonts."""
    terminal = {"FORCE_COLOR": "1", "COLUMNS": str(COLUMNS), "TERMINAL_WIDTH": str(COLUMNS)}
    done = subprocess.run(
        [sys.executable, "-m", "ctgrid_cli", *words],
        capture_output=True,
        text=True,
        check=True,
        cwd=tempfile.gettempdir(),  # doctor names the folder that it is called in
        env=os.environ | terminal,
    )
    console = Console(record=True, width=COLUMNS, file=open(os.devnull, "w"))  # noqa: SIM115, PTH123
    console.print(Text.from_ansi(done.stdout.strip("\n")))
    svg = console.export_svg(title=" ".join(["ctgrid", *words]))
    return re.sub(r"@font-face\s*{[^}]*}\s*", "", svg)


def main() -> None:
    """Parse arguments, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    out = parser.parse_args().out
    for name, words in SCREENS.items():
        (out / f"{name}.svg").write_text(screen(words), encoding="utf-8")


if __name__ == "__main__":
    main()

"""Write docs/measured/ablations.md from what `ctgrid ablation` measured; one without results is called unmeasured.

python benchmarks/ablations.py runs/ablations

The folder holds one folder for each ablation, as made by `ctgrid ablation NAME --out runs/ablations/NAME`.
"""

from __future__ import annotations

import argparse
import json
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import machine

from ctgrid.runs.ablation.spec import load_ablation
from ctgrid.runs.ablation.summary import report

DOCS = Path(__file__).resolve().parent.parent / "docs"
NAMES = ("positions", "k", "control-rows", "data-fraction", "naive")

HEAD = """# Measured: ablations

*The paper's [ablations](../ablations.md), small. Measured {today} on {machine}.*

## How far to trust these figures

Not far. Networks have about two million parameters and are trained two or three times for 250 to 400 steps on a handful
of patients, each in one to two minutes on two CPU cores; the paper's have 675 million, and all of CT-RATE. Compared are
first stages alone, without super-resolution. The features are `ctgrid-features`, not Inception's or I3D's: nothing here
may be set beside a published FID or FVD. With two or three held-out patients a difference smaller than the spread
over seeds, or than the distance of real training patients to them, means nothing. What the tables can show is large
effects, and that every comparison of the paper can be run, at any size, with other recipes and more data.
"""

UNMEASURED = """## {title}

{question}

Not measured yet: `ctgrid ablation {name} --data DIR --out {folder}`.
"""


def section(name: str, folder: Path) -> str:
    """Return an ablation's part of the page, its chart copied beside the other pictures."""
    path = folder / "results.json"
    if not path.exists():
        ablation = load_ablation(name)
        return UNMEASURED.format(title=ablation.title, question=ablation.question, name=name, folder=folder)
    results: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    chart = f"images/ablation-{name}.png"
    shutil.copy(folder / "measures.png", DOCS / chart)
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    seconds = sum((row["train_seconds"] or 0) + row["sample_seconds"] for row in results["rows"])
    cost = f"Training and sampling took {seconds / 60:.0f} minutes in all, with other work beside"
    memory = record.get("peak_memory_mib", {}).get("process")
    cost += f"; {memory / 1024:.1f} GiB." if memory else "."
    return f"{report(results)}\n{cost}\n\n![{results['title']}: a dot for each training](../{chart})\n"


def main() -> None:
    """Parse arguments and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, default=DOCS / "measured/ablations.md")
    arguments = parser.parse_args()
    parts = [
        HEAD.format(today=date.today(), machine=machine.line()),
        *(section(name, arguments.folder / name) for name in NAMES),
    ]
    arguments.out.write_text("\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()

"""Pages of the Python interface: every name that a face of ctgrid offers, once, where it is met first."""

from __future__ import annotations

import ast
from pathlib import Path

FOLDER = "reference/python"
OPENING = (
    "What the packages offer to others; deeper modules are how it is done. Everything raises `ctgrid.CtgridError` on "
    "bad input. Arrays are `hu[z, y, x]`, affines map the voxel index (x, y, z) to RAS+ mm."
)


def pages(root: Path) -> dict[str, str]:
    """Make one page for each face, of what it names and no face before it did, and an index."""
    made, rows, seen = {}, [], dict[str, str]()
    for face, file in faces(root).items():
        fresh, known = [], []
        for name, path in names(face, file).items():
            (known if path in seen else fresh).append((name, path))
            seen.setdefault(path, face)
        lines = [f"# {face}", "", _summary(root, face), ""]
        lines += [line for _, path in fresh for line in (f"::: {path}", "")]
        if known:
            lines += ["Also here: " + ", ".join(f"[`{n}`][{p}] (`{seen[p]}`)" for n, p in known) + ".", ""]
        made[f"{FOLDER}/{face}.md"] = "\n".join(lines)
        rows.append(f"| [`{face}`]({face}.md) | {', '.join(f'`{n}`' for n, _ in fresh + known)} |")
    index = "\n".join(["# Python", "", OPENING, "", "| module | names |", "|---|---|", *rows, ""])
    return {f"{FOLDER}/index.md": index, **made}


def faces(root: Path) -> dict[str, Path]:
    """List the modules that name what others build on, with the file that says it; those beside ctgrid itself first."""
    stubs = [*(root / "ctgrid").glob("*.pyi"), *(root / "ctgrid").glob("*/__init__.pyi")]
    found = {
        ".".join(p.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): p
        for p in [*stubs, root / "ctgrid/metrics/__init__.py"]
    }
    packages = {name for name, file in found.items() if file.parent.parent != root and file.parent.name != "ctgrid"}
    return {name: found[name] for name in sorted(found, key=lambda n: (n in packages, n))}


def names(face: str, file: Path) -> dict[str, str]:
    """Read what a face names: where each name lives, by the name."""
    package = face if file.stem == "__init__" else face.rpartition(".")[0]
    found = {}
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] not in {"__future__", "typing"}:
            module = f"{package}.{node.module}" if node.level else f"{node.module}"
            found |= {alias.asname or alias.name: f"{module}.{alias.name}" for alias in node.names}
    return found


def _summary(root: Path, face: str) -> str:
    """Read the first line of a module's docstring."""
    file = root / face.replace(".", "/")
    file = file / "__init__.py" if file.is_dir() else file.with_suffix(".py")
    return (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").split("\n\n")[0]

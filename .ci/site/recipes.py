"""The page of training recipes, made from the models that check them."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from ctgrid.methods.training.config import TrainConfig


def pages() -> dict[str, str]:
    """Make the page of all keys, and of the recipes that are shipped."""
    lines = [
        "# Recipes",
        "",
        "A recipe is a YAML file that says everything about a training run. `--config NAME` takes one of those below, "
        "`--config my.yaml` your own, `--set KEY=VALUE` changes single keys (`--set optimisation.steps=100`), and "
        "`extends: NAME` starts from another recipe. Unknown keys are refused.",
        "",
        "## Shipped recipes",
        "",
        "| name | |",
        "|---|---|",
        *(f"| `{name}` | {comment} |" for name, comment in _shipped()),
        "",
    ]
    for path, model in sections():
        lines += [f"## {path or 'The whole'}", "", _cell((model.__doc__ or "").strip()), ""]
        lines += ["| key | values | unless given | |", "|---|---|---|---|", *_rows(path, model), ""]
    return {"reference/recipes.md": "\n".join(lines)}


def sections() -> list[tuple[str, type[BaseModel]]]:
    """List the models of a recipe with the key that each stands under, outermost first."""
    found: list[tuple[str, type[BaseModel]]] = []

    def visit(path: str, model: type[BaseModel]) -> None:
        found.append((path, model))
        for name, field in model.model_fields.items():
            for below in _models_in(field.annotation):
                visit(f"{path}.{name}".lstrip("."), below)

    visit("", TrainConfig)
    return found


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]


def _rows(path: str, model: type[BaseModel]) -> list[str]:
    """Write a model's keys as rows; a key that holds a model points to that model's own table."""
    rows = []
    for name, field in model.model_fields.items():
        key = f"{path}.{name}".lstrip(".")
        if _models_in(field.annotation):
            kind = f"[keys of its own](#{re.sub(r'[^a-z0-9_-]', '', key.lower())})"
        else:
            kind = f"`{_type(field.annotation)}`".replace("|", r"\|")
        default = field.get_default(call_default_factory=True)
        shown = "required" if default is PydanticUndefined else "" if default is None else f"`{_said(default)}`"
        if isinstance(default, BaseModel):
            shown = "its defaults"
        limits = ", ".join(_cell(limit) for limit in map(_limit, field.metadata) if limit)
        meaning = "; ".join(part for part in (_cell(field.description or ""), limits) if part)
        rows.append(f"| `{key}` | {kind} | {shown} | {meaning} |")
    return rows


def _type(annotation: Any) -> str:
    """Say a type as a reader of YAML knows it: the choices of a Literal, else the type's name."""
    if isinstance(annotation, type):
        return {"str": "text", "int": "integer", "float": "number", "bool": "true or false"}.get(
            annotation.__name__, annotation.__name__
        )
    text = re.sub(r"typing\.|Annotated\[(\w+), [^\[\]]*\]", r"\1", str(annotation)).replace(" | None", "")
    if choices := re.fullmatch(r"Literal\[(.*)\]", text):
        return " or ".join(word.strip("' ") for word in choices[1].split(","))
    return text


def _limit(limit: Any) -> str:
    signs = {"gt": "above", "ge": "from", "lt": "below", "le": "up to", "multiple_of": "a multiple of"}
    return " ".join(f"{word} {getattr(limit, sign)}" for sign, word in signs.items() if hasattr(limit, sign))


def _said(value: Any) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", r"\|").replace("``", "`").replace("<", "&lt;")


def _shipped() -> list[tuple[str, str]]:
    """List the shipped recipes with the comment that each opens with."""
    found = []
    for file in sorted(files("ctgrid_configs").iterdir(), key=lambda f: f.name):
        if file.name.endswith(".yaml"):
            comment = re.match(r"(?:#[^\n]*\n)*", file.read_text(encoding="utf-8"))
            text = re.sub(r"(?m)^#\s?", "", comment[0] if comment else "")
            found.append((file.name.removesuffix(".yaml"), _cell(text.strip())))
    return found

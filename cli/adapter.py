"""A dataclass of settings as a command's options: names, bounds, defaults and help come from what it says of them."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable
from dataclasses import MISSING, is_dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import typer
from typer.models import OptionInfo, ParameterInfo

from ctgrid.base.errors import CtgridError, MisuseError
from ctgrid.base.settings import Known, Setting, all_settings, gather
from ctgrid.base.settings_file import read_settings, taken_from
from ctgrid.base.usual import HOW, OUTPUT, PANELS, WHAT

_LETTERS = {int: "N", float: "X"}
_FILE = "settings_file"
_WIDE = 8
"""Letters of a list of values that leave room for the help beside them, at 80 columns."""
_OUTPUTS = {"out", "preview", "as_json"}
"""Options of commands' own that say where results go; their others say what is taken."""


def with_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a command whose parameter of a dataclass of settings is taken as that dataclass's options.

    What the settings refuse is wrong usage: nothing was opened yet. ``--settings`` names a file of defaults.
    """
    hints = get_type_hints(function, include_extras=True)
    name, cls = next((name, hint) for name, hint in hints.items() if isinstance(hint, type) and is_dataclass(hint))
    settings = all_settings(cls)
    options = [parameter for known in settings.values() for parameter in _parameters(known)]
    order: list[inspect.Parameter] = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name == name:
            order += [*options, _file_of(cls)]
        else:
            own = _own(parameter.name, hints[parameter.name])
            order.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=own))
    order.sort(key=lambda parameter: _rank(parameter, {known.name for known in settings.values()}))

    @wraps(function)
    def command(**values: Any) -> Any:
        file, given = values.pop(_FILE), {}
        for known in settings.values():
            value = values.pop(known.name)
            former = values.pop(known.said.was, None) if known.said.was else None
            if former is not None:
                value = former
            if value is not None or not known.optional:
                given[known.name] = _as_said(known, value)
        try:
            asked = gather(cls, given)
        except CtgridError as error:
            raise typer.BadParameter(str(error)) from error
        try:
            with taken_from(file):
                return function(**values, **{name: asked})
        except MisuseError as error:
            raise typer.BadParameter(str(error)) from error

    command.settings = cls  # type: ignore[attr-defined]
    command.__signature__ = inspect.Signature(order)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in order}
    return command


def _file_of(cls: type) -> inspect.Parameter:
    """Return the option that takes settings from a file; what is typed counts more."""

    def take(ctx: typer.Context, path: Path | None) -> Path | None:
        if path is not None:
            command = ctx.command_path.removeprefix(ctx.find_root().command_path).strip()
            settings = all_settings(cls)
            found = {
                name: not value if _turns_off(settings[name]) else value
                for name, value in read_settings(path, cls, command).items()
            }
            ctx.default_map = {**(ctx.default_map or {}), **found}
        return path

    option = typer.Option(
        "--settings",
        metavar="FILE",
        help="YAML of settings by name, or the run.json of an earlier run; what is typed counts more.",
        is_eager=True,
        callback=take,
        rich_help_panel=HOW,
    )
    return inspect.Parameter(
        _FILE, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[Path | None, option]
    )


def option_name(known: Known) -> str:
    """Return the long name of a setting's option."""
    return known.said.flag or f"--{known.name.replace('_', '-')}"


def _said(annotation: Any, kind: type = ParameterInfo) -> Any:
    """Return what an annotation says of an option or an argument; None for the context."""
    return next((fact for fact in getattr(annotation, "__metadata__", ()) if isinstance(fact, kind)), None)


def _own(name: str, annotation: Any) -> Any:
    """Return a parameter that is no setting with its panel, and with the refusals that settings have."""
    said = _said(annotation)
    if said is None:
        return annotation
    kind = get_args(annotation)[0]
    if isinstance(said, OptionInfo):
        said.rich_help_panel = said.rich_help_panel or (OUTPUT if name in _OUTPUTS else WHAT)
    if Path in (kind, *get_args(kind)):
        said.metavar = said.metavar or "PATH"
    if get_origin(kind) is Literal:
        known = Known("it", kind, MISSING, Setting(""))
        said.parser, said.autocompletion = _parser(known), _completion(get_args(kind))
        said.metavar = said.metavar or "|".join(get_args(kind))
        return Annotated[Any, said]
    return annotation


def _rank(parameter: inspect.Parameter, settings: set[str]) -> tuple[int, int]:
    """Return where a parameter stands in the help: arguments, then by panel what is no setting, settings, --json."""
    option = _said(parameter.annotation, OptionInfo)
    last = 2 if parameter.name in ("as_json", _FILE) else int(parameter.name in settings)
    return (-1, 0) if option is None else (PANELS.index(option.rich_help_panel), last)


def _parameters(known: Known) -> list[inspect.Parameter]:
    """Return the option of a setting, and a hidden one under the name that it had."""
    parameters = [_parameter(known, known.name, option_name(known), known.default)]
    if known.said.was:
        flag = f"--{known.said.was.replace('_', '-')}"
        parameters.append(_parameter(known, known.said.was, flag, None, hidden=True))
    return parameters


def _parameter(known: Known, name: str, flag: str, default: Any, **more: Any) -> inspect.Parameter:
    said, kind = known.said, known.kind
    if kind is bool:
        if _turns_off(known):
            default = None if default is None else not default
        elif default and not said.flag:
            flag = f"{flag}/--no-{flag.removeprefix('--')}"
    facts: dict[str, Any] = {"help": said.help, "metavar": said.metavar, "rich_help_panel": said.panel or HOW, **more}
    if known.choices:
        facts["autocompletion"] = _completion(known.choices)
    if kind is Path:
        facts["metavar"] = said.metavar or "PATH"
    if kind is str and said.read is None:
        facts["metavar"] = said.metavar or "NAME"
    if known.choices and len("|".join(known.choices)) > _WIDE:
        facts |= {"metavar": said.metavar or "NAME", "help": f"{said.help} One of {', '.join(known.choices)}."}
    several = get_origin(kind) in (tuple, list) and said.read is None
    if several:
        kind, default = types.GenericAlias(list, get_args(kind)[:1]), default or None
    elif known.choices or said.read is not None or kind in _LETTERS:
        facts["parser"] = _parser(known)
        facts["metavar"] = facts["metavar"] or _LETTERS.get(kind) or "|".join(known.choices or ())
        default = default if said.read is None or default in (None, MISSING) else said.write(default)
        kind = Any
    optional = default is None
    shown = kind | None if optional and kind is not Any else kind
    annotation: Any = Annotated[shown, typer.Option(flag, **facts)]
    empty = inspect.Parameter.empty if default is MISSING else default
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=empty, annotation=annotation)


def _turns_off(known: Known) -> bool:
    return known.kind is bool and (known.said.flag or "").startswith("--no-")


def _as_said(known: Known, value: Any) -> Any:
    """Return a value as the dataclass takes it."""
    if _turns_off(known) and value is not None:
        return not value
    if get_origin(known.kind) is tuple and known.said.read is None:
        return tuple(value or ())
    return value


def _parser(known: Known) -> Callable[[Any], Any]:
    """Return what reads an option's text; a default is no text and passes."""

    def parse(text: Any) -> Any:
        if not isinstance(text, str):
            return text
        try:
            return known.parse(text)
        except CtgridError as error:
            raise typer.BadParameter(str(error)) from None

    parse.__name__ = known.name
    return parse


def _completion(choices: tuple[str, ...]) -> Callable[[str], list[str]]:
    """Return what a shell asks for the values that begin as typed."""
    return lambda incomplete: [choice for choice in choices if choice.startswith(incomplete)]

"""A command's options and its dataclass of settings: the same names, defaults and types, whatever is added."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, dataclass, field, make_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from ctgrid.base.errors import CtgridError
from ctgrid.base.record import RunRecord
from ctgrid.base.settings import Checked, Known, Setting, all_settings, gather, recorded_settings, spelled_out
from ctgrid.base.usual import Seed
from ctgrid_cli import app
from ctgrid_cli.adapter import option_name, with_options

NO_SETTINGS = {
    "out",
    "as_json",
    "help",
    "settings_file",  # where settings come from
    "offline",  # where there is no network to leave alone
    *("data", "clean", "real", "fake", "labels", "trust", "residual"),  # inputs with a name
    "capabilities",  # of info: what is described
    "preview",  # of denoise: the output in place of --out
    "kind",  # of synthesize: which of two dataclasses' calls
}
"""Parameters of options that say what goes in and out, not how."""


def every_command(where: Any = app, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every command's name and function."""
    for info in where.registered_commands:
        yield f"{path}{info.name}", info.callback
    for group in where.registered_groups:
        yield from every_command(group.typer_instance, f"{path}{group.name} ")


def commands() -> Iterator[tuple[str, type]]:
    """Yield every command that takes a dataclass of settings."""
    return ((name, call.settings) for name, call in every_command() if hasattr(call, "settings"))


def parser_of(name: str) -> Any:
    """Return what parses a command's line."""
    command: Any = get_command(app)
    for word in name.split():
        command = command.commands[word]
    return command


@pytest.mark.parametrize(("name", "settings"), list(commands()), ids=[name for name, _ in commands()])
def test_options_are_the_settings(name: str, settings: type) -> None:
    """Each has its option, with its default, type and bounds; and a new one needs no other place."""
    command = parser_of(name)
    context = typer.Context(command)
    options = {option.name: option for option in command.params}
    for known in all_settings(settings).values():
        option = options[known.name]
        assert option_name(known) in option.opts and option.help
        wanted = known.default
        if known.default is MISSING:
            assert option.required
            continue
        if (known.said.flag or "").startswith("--no-") and wanted is not None:
            wanted = not wanted
        found = option.get_default(context)
        if isinstance(found, str) and known.said.read:
            found = known.said.read(found)
        if get_origin(known.kind) is tuple and not known.said.read:
            found = tuple(found or ())
        assert (found or None) == (wanted or None), known.name
        if known.kind in (int, float) and wanted is not None:
            assert type(wanted) is known.kind or isinstance(wanted, int)


def test_every_option_is_a_setting() -> None:
    """But for a short list, and one command that only lists what there is."""
    found = dict(every_command())
    assert len(found) >= 28 and [name for name, call in found.items() if not hasattr(call, "settings")] == [
        "model list"
    ]
    for name, call in found.items():
        known = all_settings(call.settings) if hasattr(call, "settings") else {}
        former = {each.said.was for each in known.values()}
        for option in parser_of(name).params:
            if option.param_type_name == "option":
                assert option.name in {*known, *former, *NO_SETTINGS}, f"{name} {option.name}"


@dataclass(frozen=True)
class Toy(Checked):
    """Settings of a command that there is not."""

    who: Annotated[str, Setting("Who is greeted.")] = "world"
    times: Annotated[int, Setting("How often.", least=1, most=9)] = 1
    style: Annotated[Literal["plain", "loud"], Setting("How.")] = "plain"
    share: Annotated[float, Setting("Of all.", least=0, was="part")] = 0.5
    bow: Annotated[bool, Setting("Bow first.")] = True
    hat: Annotated[bool, Setting("Keep the hat on.", flag="--no-hat")] = True
    others: Annotated[tuple[Path, ...], Setting("Further ones.")] = ()
    seed: Seed = 0


def toy_app(settings: type) -> typer.Typer:
    """Return a command that records what it was asked."""
    toy = typer.Typer()

    def command(*, asked: Any, quiet: bool = False) -> None:
        """Greet."""
        record = RunRecord("toy", Path("run.json"), settings=recorded_settings(asked))
        typer.echo(repr(sorted(record.as_dict()["settings"].items())) if not quiet else "")

    command.__annotations__["asked"] = settings
    toy.command()(with_options(command))
    return toy


def told(settings: type, *line: str) -> dict[str, Any]:
    """Return what the record says after a line."""
    result = CliRunner().invoke(toy_app(settings), line)
    assert result.exit_code == 0, result.output
    return dict(eval(result.stdout))


def test_the_line_the_call_and_the_record_agree() -> None:
    """The same settings by options and by keywords."""

    @spelled_out(Toy)
    def call(**settings: Any) -> dict[str, Any]:
        return recorded_settings(gather(Toy, settings))

    plain = {**call(), "others": []}
    assert told(Toy) == plain
    line = "--who you --times 3 --style loud --share 0.25 --no-bow --no-hat --others a --others b --seed 7"
    asked = call(
        who="you", times=3, style="loud", share=0.25, bow=False, hat=False, others=(Path("a"), Path("b")), seed=7
    )
    assert told(Toy, *line.split()) == {**asked, "others": ["a", "b"]}
    assert told(Toy, "--part", "0.75")["part"] == 0.75, "the former name is still taken, and is that of records"
    for wrong in ("--times 0", "--times many", "--style soft", "--share -1", "--hat", "--seed -1"):
        assert CliRunner().invoke(toy_app(Toy), wrong.split()).exit_code == 2, wrong


def test_a_new_setting_is_one_field() -> None:
    """It is an option, a keyword and a word of the record without any other edit."""
    kind = Annotated[int, Setting("Of brandy.", least=0)]
    More = make_dataclass("More", [("drops", kind, field(default=4))], bases=(Toy,), frozen=True)
    assert told(More)["drops"] == 4 and told(More, "--drops", "6")["drops"] == 6
    assert recorded_settings(gather(More, {"drops": 5}))["drops"] == 5
    assert CliRunner().invoke(toy_app(More), ["--drops", "-1"]).exit_code == 2
    shown = CliRunner(env={"COLUMNS": "80"}).invoke(toy_app(More), ["--help"]).stdout
    assert "--drops" in shown and "Of brandy." in shown and "[default: 4]" in shown
    assert "--part" not in shown, "a former name is not shown"


def test_a_file_stands_below_what_is_typed(tmp_path: Path) -> None:
    """And above the defaults; switches that turn off, former names and required settings among its own."""
    needed = Annotated[str, Setting("To whom.")]
    More = make_dataclass("More", [("to", needed, field(kw_only=True))], bases=(Toy,), frozen=True)
    path = tmp_path / "toy.yaml"
    path.write_text("to: you\ntimes: 3\nhat: false\npart: 0.25\nothers: [a, b]\nbow: false\n", encoding="utf-8")
    line = ["--settings", str(path)]
    found = told(More, *line)
    assert found == {**told(Toy), **{"to": "you", "times": 3, "hat": False, "part": 0.25, "bow": False}} | {
        "others": ["a", "b"]
    }
    typed = told(More, *line, "--times", "1", "--part", "0.5", "--to", "me", "--bow", "--others", "c")
    assert typed == {**found, "times": 1, "part": 0.5, "to": "me", "bow": True, "others": ["c"]}
    path.write_text("tmes: 3\n", encoding="utf-8")
    refused = CliRunner().invoke(toy_app(Toy), line)
    assert isinstance(refused.exception, CtgridError) and "did you mean times?" in str(refused.exception)


def test_every_setting_is_described() -> None:
    """In sentences that fit beside their options."""
    for name, settings in commands():
        known: dict[str, Known] = all_settings(settings)
        assert known, name
        for each in known.values():
            assert each.said.help[0].isalnum() and len(each.said.help) <= 160, f"{name} {each.name}"
            assert get_args(each.kind) or isinstance(each.kind, type) or each.said.read, f"{name} {each.name}"

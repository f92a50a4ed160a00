"""Settings said once: a frozen dataclass whose fields carry, beside type and default, all that is to be said of them.

``steps: Annotated[int, Setting("Steps of stage 1.", least=1)] = 20`` is the one place of that setting. From it derive
its check, the option of the command line, the words of the run record, what the Python function takes,
and how its value is read from text. A field without :class:`Setting` is for Python alone; a field whose type is itself
such a dataclass is a part, and its settings count as the whole's.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from functools import cache
from typing import Annotated, Any, ClassVar, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from ctgrid.base.errors import CtgridError
from ctgrid.base.families import look_up, meant, unknown

T = TypeVar("T")
SWITCHES = {"on": True, "off": False}


@dataclass(frozen=True)
class Setting:
    """What is said of a setting.

    Attributes:
        help: one or two short sentences.
        metavar: what stands for the value, where its type does not tell.
        least: the lowest value.
        most: the highest.
        names: a table whose keys are the values there are, whoever puts them there.
        read: makes the value of a text; raises CtgridError for another text.
        write: makes the text of a value that ``read`` reads.
        flag: the option's name where it is not ``--name-of-the-field``; ``--no-...`` is a switch that turns it off.
        was: the name that it had: records keep it, and calls and options still take it.
        panel: of the help, see :data:`ctgrid.base.usual.PANELS`.
    """

    help: str
    metavar: str | None = None
    least: float | None = None
    most: float | None = None
    names: Mapping[str, Any] | None = None
    read: Callable[[str], Any] | None = None
    write: Callable[[Any], str] = str
    flag: str | None = None
    was: str | None = None
    panel: str | None = None


@dataclass(frozen=True)
class Fields:
    """Says of a mapping's field that it holds settings of a dataclass, those that are other than the defaults."""

    settings: type


@dataclass(frozen=True)
class Known:
    """A setting: its name, its type without ``None``, its default (``MISSING`` for none), and what is said of it."""

    name: str
    kind: Any
    default: Any
    said: Setting
    optional: bool = False

    @property
    def recorded(self) -> str:
        """The name that records know it by."""
        return self.said.was or self.name

    @property
    def choices(self) -> tuple[str, ...] | None:
        """The values there are, where they can be listed."""
        if self.said.names is not None:
            return tuple(self.said.names)
        return get_args(self.kind) if get_origin(self.kind) is Literal else None

    def check(self, value: Any) -> None:
        """Refuse a value that is out of range, or none of those there are.

        Raises:
            CtgridError: with the name, the rule and the value.
        """
        name, low, high = self.name, self.said.least, self.said.most
        if value is None and self.optional:
            return
        if self.said.names is not None:
            look_up(self.said.names, value, name)
        if self.choices is not None and value not in self.choices:
            raise CtgridError(f"{name} must be {_listed(self.choices)}, got {value!r}{meant(value, self.choices)}")
        if low is not None and not value >= low:
            raise CtgridError(f"{name} must be at least {low:g}, got {value}")
        if high is not None and not value <= high:
            raise CtgridError(f"{name} must be at most {high:g}, got {value}")

    def parse(self, text: str) -> Any:
        """Return the value that a text stands for; switches are ``on`` and ``off``.

        Raises:
            CtgridError: for any other text.
        """
        if self.kind is bool:
            if text not in SWITCHES:
                raise CtgridError(f"{self.name} is on or off, got {text!r}")
            return SWITCHES[text]
        if self.kind in (int, float):
            try:
                value = self.kind(text)
            except ValueError:
                what = "a whole number" if self.kind is int else "a number"
                raise CtgridError(f"{self.name} is {what}, got {text!r}") from None
        else:
            value = self.said.read(text) if self.said.read else text
        self.check(value)
        return value


class Checked:
    """A dataclass of settings that refuses values out of range."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def __post_init__(self) -> None:
        """Check every setting by itself."""
        for known in own_settings(type(self)):
            known.check(getattr(self, known.name))

    def as_dict(self) -> dict[str, Any]:
        """Return the settings, those of its parts too, by the names that records know them by."""
        return recorded_settings(self)


@cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls, include_extras=True)


def own_settings(cls: type) -> Iterator[Known]:
    """Yield a dataclass's settings without those of its parts."""
    for field in fields(cls):
        kind, said = _apart(_hints(cls)[field.name])
        setting = next((fact for fact in said if isinstance(fact, Setting)), None)
        if setting is not None:
            plain, optional = _without_none(kind)
            default = field.default if field.default_factory is MISSING else field.default_factory()
            yield Known(field.name, plain, default, setting, optional)


def parts_of(cls: type) -> dict[str, type]:
    """Return the fields that are dataclasses of settings, or hold some of one (:class:`Fields`)."""
    parts: dict[str, type] = {}
    for field in fields(cls):
        kind, said = _apart(_hints(cls)[field.name])
        some = next((fact.settings for fact in said if isinstance(fact, Fields)), None)
        if some is not None or (isinstance(kind, type) and is_dataclass(kind)):
            parts[field.name] = some or kind
    return parts


def holds_some(cls: type, part: str) -> bool:
    """Whether a part is a mapping of settings other than the defaults, see :class:`Fields`."""
    return any(isinstance(fact, Fields) for fact in _apart(_hints(cls)[part])[1])


def all_settings(cls: type) -> dict[str, Known]:
    """Return a dataclass's settings by name, in its order, those of its parts in their place.

    Settings that a part may hold (:class:`Fields`) have no default here: None stands for the part's own.
    """
    own = {known.name: known for known in own_settings(cls)}
    parts, found = parts_of(cls), {}
    for field in fields(cls):
        if field.name in own:
            found[field.name] = own[field.name]
        elif field.name in parts:
            some = holds_some(cls, field.name)
            for name, known in all_settings(parts[field.name]).items():
                found[name] = replace(known, default=None, optional=True) if some else known
    return found


def recorded_settings(settings: Any) -> dict[str, Any]:
    """Return the settings that a dataclass holds by the names of records, those of its parts in their place."""
    own, parts = {known.name: known for known in own_settings(type(settings))}, parts_of(type(settings))
    found: dict[str, Any] = {}
    for field in fields(settings):
        value = getattr(settings, field.name)
        if field.name in own:
            found[own[field.name].recorded] = value
        elif field.name in parts:
            found |= dict(value) if isinstance(value, Mapping) else recorded_settings(value)
    return found


def gather(cls: type[T], given: Mapping[str, Any], base: T | None = None) -> T:
    """Build a dataclass from settings by name, those of its parts among them; also what a record holds.

    Args:
        cls: the dataclass.
        given: names, as they are or were, or whole parts, and values.
        base: what the others are taken from; None takes the defaults.

    Raises:
        CtgridError: for a name that there is not, or a value that is refused.
    """  # noqa: DOC501
    left, values = dict(given), {}
    known, parts = {k.name: k for k in own_settings(cls)}, parts_of(cls)
    for field in fields(cls):  # type: ignore[arg-type]
        name = field.name
        was = known[name].said.was if name in known else None
        for key in (name, was):
            if key is not None and key in left:
                values[name] = left.pop(key)
        if name in parts and name not in values:
            inner = all_settings(parts[name])
            names = {key: k.name for k in inner.values() for key in (k.name, k.said.was) if key}
            mine = {key: left.pop(key) for key in list(left) if key in names}
            if mine and holds_some(cls, name):
                before = {} if base is None else getattr(base, name)
                values[name] = {**before, **{names[key]: value for key, value in mine.items()}}
            elif mine:
                values[name] = gather(parts[name], mine, None if base is None else getattr(base, name))
    if left:
        raise unknown(next(iter(left)), "setting", all_settings(cls))
    missing = [f.name for f in fields(cls) if _needed(f) and f.name not in values and base is None]  # type: ignore[arg-type]
    if missing:
        raise CtgridError(f"{', '.join(missing)} must be given")
    return cls(**values) if base is None else replace(base, **values)  # type: ignore[type-var]


def _needed(field: Any) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def spelled_out(cls: type, keyword: str = "settings") -> Callable[[Callable[..., T]], Callable[..., T]]:
    """Let a function's ``**settings`` show as the settings they are, with types and defaults, to ``help`` and editors.

    Args:
        cls: dataclass whose settings the function takes.
        keyword: name of the ``**`` parameter.
    """

    def decorate(function: Callable[..., T]) -> Callable[..., T]:
        signature = inspect.signature(function)
        before = [p for p in signature.parameters.values() if p.name != keyword]
        named = {p.name for p in before}
        extra = [
            inspect.Parameter(
                known.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=inspect.Parameter.empty if known.default is MISSING else known.default,
                annotation=known.kind | None if known.optional else known.kind,
            )
            for known in all_settings(cls).values()
            if known.name not in named
        ]
        function.__signature__ = signature.replace(parameters=[*before, *extra])  # type: ignore[attr-defined]
        return function

    return decorate


def _apart(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """Return a type and what ``Annotated`` says of it."""
    if get_origin(hint) is Annotated:
        kind, *said = get_args(hint)
        return kind, tuple(said)
    return hint, ()


def _without_none(kind: Any) -> tuple[Any, bool]:
    """Return a type without its ``None``, and whether it had one."""
    if get_origin(kind) not in (Union, types.UnionType):
        return kind, False
    inner = [arg for arg in get_args(kind) if arg is not type(None)]
    optional = len(inner) < len(get_args(kind))
    return (inner[0] if len(inner) == 1 else Union[tuple(inner)]), optional  # noqa: UP007


def _listed(names: tuple[str, ...]) -> str:
    return " or ".join(names) if len(names) < 3 else f"one of {', '.join(names)}"

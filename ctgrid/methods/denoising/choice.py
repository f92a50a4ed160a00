"""A method and the settings it is to run with, as one text: ``grid-detail[phases=1,refine=off]``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ctgrid.base.errors import CtgridError
from ctgrid.methods.denoising.methods import Method, check_settings, find_method

_SHAPE = re.compile(r"([^\[\],=]+)(?:\[([^\[\]]*)\])?")
_APART = re.compile(r",(?![^\[]*\])")
"""Commas that stand outside brackets."""


@dataclass(frozen=True)
class Choice:
    """A method with settings other than its own defaults.

    Attributes:
        name: one of :data:`ctgrid.methods.denoising.methods.METHODS`.
        settings: keywords of its ``run``.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Choice:
        """Read ``NAME`` or ``NAME[setting=value,...]``; switches are ``on`` and ``off``.

        Raises:
            CtgridError: where it cannot be read, or there is no such method, setting or value.
        """
        match = _SHAPE.fullmatch(text.strip())
        if match is None:
            raise CtgridError(f"method {text!r}: write NAME or NAME[setting=value,...], such as grid-detail[phases=1]")
        name, inside = match[1].strip(), match[2]
        find_method(name)
        settings: dict[str, Any] = {}
        for part in inside.split(",") if inside is not None else []:
            key, equals, value = (piece.strip() for piece in part.partition("="))
            if not equals:
                raise CtgridError(f"method {text!r}: {part!r} is not setting=value")
            check_settings(name, {key: value})
            if key in settings:
                raise CtgridError(f"method {text!r} sets {key} twice")
            settings[key] = _value(text, find_method(name), key, value)
        return cls(name, settings)

    @property
    def method(self) -> Method:
        """The method's entry."""
        return find_method(self.name)

    def __str__(self) -> str:
        words = {True: "on", False: "off"}
        inside = ",".join(
            f"{key}={words[value] if isinstance(value, bool) else value}" for key, value in self.settings.items()
        )
        return f"{self.name}[{inside}]" if inside else self.name


def split_choices(text: str) -> list[str]:
    """Part a list at its commas, those inside brackets left alone; empty pieces are left out."""
    return [part.strip() for part in _APART.split(text) if part.strip()]


def _value(text: str, method: Method, key: str, value: str) -> Any:
    """Return a setting's value."""
    if key not in method.known:
        raise CtgridError(f"method {text!r}: {key} cannot be set here; {', '.join(method.known)} can")
    try:
        return method.known[key].parse(value)
    except CtgridError as error:
        raise CtgridError(f"method {text!r}: {error}") from error

"""Build HTML from values that may hold anything: every text and attribute is escaped unless it is markup already."""

from __future__ import annotations

import json
from html import escape
from typing import Any

from ctgrid.base.errors import printable

_VOID = frozenset(("br", "hr", "img", "input", "link", "meta"))


class Markup(str):
    """Text that is HTML already and is not escaped again."""

    __slots__ = ()


def text(value: object) -> Markup:
    """Escape a value for use as text or inside a quoted attribute; markup passes as it is.

    What steers a terminal, or turns the direction of text so that a name reads otherwise, goes.
    """
    if isinstance(value, Markup):
        return value
    return Markup("\n".join(escape(printable(line), quote=True) for line in str(value).split("\n")))


def join(*parts: object) -> Markup:
    """Escape and join parts; None is left out, lists are joined themselves."""
    made = (join(*part) if isinstance(part, list | tuple) else text(part) for part in parts if part is not None)
    return Markup("".join(made))


def element(tag: str, *children: object, **attributes: Any) -> Markup:
    """Return an element.

    Args:
        tag: its name.
        children: text, which is escaped, or markup; None is left out.
        attributes: underscores become hyphens and one at the end is dropped (``class_``, ``data_testid``). None and
            False leave an attribute out, True writes its name alone.
    """
    written = []
    for name, value in attributes.items():
        if value is None or value is False:
            continue
        name = name.removesuffix("_").replace("_", "-")
        written.append(f" {name}" if value is True else f' {name}="{text(value)}"')
    opening = f"<{tag}{''.join(written)}>"
    return Markup(opening if tag in _VOID else f"{opening}{join(*children)}</{tag}>")


def json_block(identity: str, value: Any) -> Markup:
    """Return data for scripts to read: JSON that no HTML parser can take for markup."""
    body = json.dumps(value, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        body = body.replace(character, f"\\u{ord(character):04x}")
    return element("script", Markup(body), type="application/json", id=identity)

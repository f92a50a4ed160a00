"""The frame of a page: style, scripts, a policy that lets nothing else run or load."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib import resources
from zlib import compress

from ctgrid.runs.report.html.markup import Markup, element, join

STYLE = ("page.css", "viewer.css")
SCRIPTS = ("volume.js", "picture.js", "hands.js", "viewer.js")
NIIVUE = "niivue.umd.js"
"""The file of npm's @niivue/niivue that draws; what it is and its licence: `assets/niivue.LICENSE.txt`."""

_ASKING = "connect-src 'self'; "


@cache
def asset(name: str) -> str:
    """Return a style or script that comes with this package."""
    return (resources.files(__package__) / "assets" / name).read_text(encoding="utf-8")


@dataclass(frozen=True)
class Part:
    """A part of a page, which the list at its top points to."""

    identity: str
    title: str
    content: Markup

    def markup(self) -> Markup:
        """Return the part as a section under its title."""
        return element("section", element("h2", self.title), self.content, id=self.identity)


def part(identity: str, title: str, *content: object, lead: object = None) -> Part:
    """Return a part of a page, with a sentence or two before its content."""
    return Part(identity, title, join(element("p", lead, class_="lead") if lead else None, *content))


def page(
    title: str,
    parts: Sequence[Part],
    facts: Sequence[object] = (),
    *,
    viewer: bool = False,
    served: bool = False,
    alone: bool = False,
) -> str:
    """Return a whole page.

    The policy in its head allows the page's own scripts by their hash, and nothing from anywhere else: what a name or a
    record holds cannot run even if it were markup, and nothing is ever fetched.

    Args:
        title: shown in its head and on the tab.
        parts: in their order.
        facts: short statements under the title.
        viewer: whether one of the parts is :func:`ctgrid.runs.report.html.viewer.viewer`.
        served: whether it may ask for more where it came from, and nowhere else.
        alone: whether its one part takes the window.
    """
    script = "\n".join(["'use strict';", *(asset(name) for name in SCRIPTS)]) if viewer else ""
    allowed = [_hash(text) for text in (script, asset(NIIVUE))] if viewer else ["'none'"]
    policy = (
        f"default-src 'none'; script-src {' '.join(allowed)}; style-src 'unsafe-inline'; img-src data:; "
        f"{_ASKING if served else ''}base-uri 'none'; form-action 'none'"
    )
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="generator", content="ctgrid"),
        element("link", rel="icon", href="data:,"),
        element("title", title),
        element("style", Markup("\n".join(asset(name) for name in STYLE))),
    )
    links = [element("a", p.title, href=f"#{p.identity}") for p in parts]
    body = element(
        "body",
        element(
            "header",
            element("h1", title),
            element("p", *(element("span", fact) for fact in facts), class_="facts") if facts else None,
            element("nav", *links, aria_label="Parts of this page") if len(parts) > 1 else None,
        ),
        element("main", *(p.markup() for p in parts)),
        element("footer", "Made by ctgrid. Not for clinical use."),
        *_viewer_scripts(script),
        class_="alone" if alone else None,
    )
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"


def _viewer_scripts(script: str) -> list[Markup]:
    return [packed_script(NIIVUE), element("script", Markup(script))] if script else []


@cache
def packed_script(name: str) -> Markup:
    """Return a script as a page carries it: deflated, for another to start."""
    data = b64encode(compress(asset(name).encode("utf-8"), 9)).decode("ascii")
    return element("script", Markup(data), type="text/plain", id="niivue-packed")


@cache
def _hash(script: str) -> str:
    return f"'sha256-{b64encode(sha256(script.encode('utf-8')).digest()).decode('ascii')}'"

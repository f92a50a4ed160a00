"""The frame of a page: its policy names its own script, and its parts are linked."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256

from ctgrid.runs.report.html.page import page, part


def test_only_its_own_script_may_run() -> None:
    made = page("title", [part("one", "One", "text")])
    (script,) = re.findall(r"<script>(.*?)</script>", made, flags=re.S)
    digest = b64encode(sha256(script.encode()).digest()).decode()
    assert f"script-src &#x27;sha256-{digest}&#x27;" in made and "default-src &#x27;none&#x27;" in made


def test_several_parts_are_listed_and_one_is_not() -> None:
    one, two = part("one", "One <1>", "text"), part("two", "Two", None, "more", lead="lead")
    made = page("a <title>", [one, two], facts=["fact"])
    assert '<a href="#one">One &lt;1&gt;</a>' in made and '<section id="two"><h2>Two</h2>' in made
    assert "<title>a &lt;title&gt;</title>" in made and "<span>fact</span>" in made
    assert '<p class="lead">lead</p>more' in made
    assert "<nav" not in page("t", [one])

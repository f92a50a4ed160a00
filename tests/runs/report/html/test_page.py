"""The frame of a page: its policy names its own script, and its parts are linked."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from hashlib import sha256
from zlib import decompress

from ctgrid.runs.report.html.page import NIIVUE, asset, page, part


def test_only_its_own_scripts_may_run() -> None:
    made = page("title", [part("one", "One", "text")], viewer=True)
    (script,) = re.findall(r"<script>(.*?)</script>", made, flags=re.S)
    (packed,) = re.findall(r'id="niivue-packed">(.*?)</script>', made, flags=re.S)
    library = decompress(b64decode(packed))
    assert library.decode() == asset(NIIVUE)
    allowed = [b64encode(sha256(text).digest()).decode() for text in (script.encode(), library)]
    assert "script-src " + " ".join(f"&#x27;sha256-{one}&#x27;" for one in allowed) + ";" in made
    assert "default-src &#x27;none&#x27;" in made and "connect-src" not in made
    assert "connect-src &#x27;self&#x27;;" in page("title", [part("one", "One", "text")], viewer=True, served=True)


def test_a_page_without_a_viewer_has_no_script() -> None:
    made = page("title", [part("one", "One", "text")])
    assert "<script" not in made and "script-src &#x27;none&#x27;" in made and len(made) < 20_000


def test_what_draws_is_the_published_file_with_its_licence() -> None:
    licence = asset("niivue.LICENSE.txt")
    assert sha256(asset(NIIVUE).encode()).hexdigest() in licence
    assert all(word in licence for word in ("BSD 2-Clause License", "Copyright (c) 2021, Niivue", "0.69.0"))


def test_several_parts_are_listed_and_one_is_not() -> None:
    one, two = part("one", "One <1>", "text"), part("two", "Two", None, "more", lead="lead")
    made = page("a <title>", [one, two], facts=["fact"])
    assert '<a href="#one">One &lt;1&gt;</a>' in made and '<section id="two"><h2>Two</h2>' in made
    assert "<title>a &lt;title&gt;</title>" in made and "<span>fact</span>" in made
    assert '<p class="lead">lead</p>more' in made
    assert "<nav" not in page("t", [one])

"""Nothing that comes from a file can become markup."""

from __future__ import annotations

import json
import re

from ctgrid.runs.report.html.markup import Markup, element, join, json_block, text


def test_text_and_attributes_are_escaped() -> None:
    bad = "<script>alert('1' & \"2\")</script>"
    made = element("p", bad, title=bad, data_testid="x", hidden=True, lang=None, dir=False)
    assert "<script" not in made and made.startswith('<p title="&lt;script&gt;')
    assert 'data-testid="x" hidden>' in made and "lang" not in made


def test_markup_passes_and_none_is_left_out() -> None:
    assert join(Markup("<b>"), None, ["<", [Markup("</b>")]]) == "<b>&lt;</b>"
    assert text(text("<")) == "&lt;"
    assert element("br") == "<br>" and element("input", type="range") == '<input type="range">'


def test_data_survive_and_cannot_end_their_script() -> None:
    value = {"name": "</script><!-- \u2028 & <b>", "n": [1, 2.5, None]}
    made = json_block("data", value)
    body = re.fullmatch(r'<script type="application/json" id="data">([^<>&]*)</script>', made)
    assert body is not None and json.loads(body[1]) == value

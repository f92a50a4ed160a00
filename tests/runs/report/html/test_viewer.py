"""The page in a real browser, opened as a file: at desktop and at phone width, without one complaint."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ctgrid import Volume
from ctgrid.runs.report.html.block import embed
from ctgrid.runs.report.html.content import Content
from ctgrid.runs.report.html.pictures import Pictures
from ctgrid.runs.report.html.viewer import Scene
from ctgrid.runs.results.files import read_results

SIZES = {"desktop": (1280, 900), "phone": (375, 812)}


@pytest.fixture(scope="module")
def page(chest: Callable[..., np.ndarray], samples: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a page with a pair, a single volume and results."""
    affine = np.diag([-0.7, -0.8, 2.5, 1.0])
    noisy, clean = (embed(Volume(chest(noise_hu=noise), affine)) for noise in (120.0, 5.0))
    scenes = [Scene("pair <b>", clean, before=noisy), Scene("alone", clean)]
    results = [read_results(Path(f"{kind}.json"), content) for kind, content in samples.items()]
    content = Content("A report", ["a fact"], scenes, results, [], Pictures([], []), ["a note"])
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(content.html(), encoding="utf-8")
    return path


@pytest.fixture(params=SIZES)
def tab(request: pytest.FixtureRequest, browser: Any, page: Path) -> Iterator[Any]:
    """Open the page at a size; whatever a test does, nothing may be on the console and nothing be asked for."""
    tab = browser.tab(SIZES[request.param])
    tab.open(page)
    yield tab
    assert tab.problems() == []
    tab.close()


def test_controls_change_the_picture(tab: Any) -> None:
    seen = [tab.pixels()]
    for control, value in (("scrubber", "3"), ("window", "bone"), ("plane", "coronal"), ("slider", "80")):
        tab.choose(control, value)
        assert tab.pixels() not in seen, control
        seen.append(tab.pixels())
    assert tab.js("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"


def test_pair_shows_before_on_the_left_and_after_on_the_right(tab: Any) -> None:
    spread = """(() => {
        const c = document.querySelector('[data-testid=slice]'), out = [];
        const p = placeOf(c, {widthMm: 64 * 0.7, heightMm: 48 * 0.8});
        for (const at of [0.44, 0.54]) {  // soft tissue in front of the lungs, left and right of the line
            const box = [p.x + at * p.width, p.y + 0.17 * p.height, 0.03 * p.width, 0.05 * p.height];
            const v = [...contextOf(c).getImageData(...box).data].filter((_, i) => i % 4 == 0);
            const m = v.reduce((a, b) => a + b) / v.length;
            out.push(Math.sqrt(v.reduce((a, b) => a + (b - m) ** 2, 0) / v.length));
        }
        return out; })()"""
    tab.choose("window", "soft")
    left, right = tab.js(spread)
    assert left > 3 * right  # noise, and hardly any
    tab.choose("slider", "0")
    assert max(tab.js(spread)) < left / 3
    tab.choose("slider", "100")
    assert min(tab.js(spread)) > left / 3


def test_keys_pointer_and_read_out(tab: Any) -> None:
    tab.js("document.querySelector('[data-testid=slice]').focus()")
    number = "document.querySelector('[data-role=slice-number]').textContent"
    assert tab.js(number) == "13 / 24"
    for key, shown in (("ArrowUp", "14"), ("ArrowLeft", "13"), ("PageDown", "3"), ("Home", "1"), ("End", "24")):
        tab.key(key)
        assert tab.js(number) == f"{shown} / 24", key
    tab.key("s")
    assert tab.js(number).endswith("/ 64")
    tab.key("a")
    tab.choose("scrubber", "12")
    tab.mouse("mouseMoved", *tab.place("[data-testid=slice]", 0.5, 0.5))
    tab.drawn()
    said = tab.text("[data-testid=hu-readout]")
    assert said.startswith("before") and said.endswith("at x 32, y 24, z 12")
    after = int(said.split("after ")[1].split(" HU")[0].replace("−", "-"))
    assert abs(after - 40) <= 25  # soft tissue between the lungs


def test_single_volume_splits_between_two_windows(tab: Any) -> None:
    tab.js("delete document.querySelector('[data-testid=viewer]').dataset.ready")
    tab.choose("volume", "1")
    tab.wait("document.querySelector('[data-testid=viewer]').dataset.ready")
    tab.drawn()
    whole = tab.pixels()
    tab.js("document.querySelector('[data-role=second-window]').value = 'bone'")
    tab.choose("slider", "40")
    assert tab.pixels() != whole
    assert tab.text("[data-role=slider-label]") == "Split"


def test_old_browser_is_told_and_the_rest_stays(browser: Any, page: Path) -> None:
    tab = browser.tab(SIZES["phone"])
    tab.call("Page.addScriptToEvaluateOnNewDocument", source="delete window.DecompressionStream")
    tab.call("Page.navigate", url=page.as_uri())
    tab.wait("document.querySelector('[data-role=message]')?.textContent.includes('too old')")
    assert tab.js("document.querySelectorAll('[data-testid=results-table]').length") >= 6
    assert tab.problems() == []
    tab.close()

"""The viewer in a real browser: at desktop and at phone width, as a file and served, without one complaint."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ctgrid import Volume
from ctgrid.runs.report.html.block import embed
from ctgrid.runs.report.html.content import Content
from ctgrid.runs.report.html.pictures import Pictures
from ctgrid.runs.report.html.serve import Served
from ctgrid.runs.report.html.viewer import Scene, address, scenes_page
from ctgrid.runs.results.files import read_results

AFFINE = np.diag([-0.7, -0.8, 2.5, 1.0])
SIZES = {"desktop": (700, 460), "phone": (375, 560)}
"""Small ones: without a graphics card every pixel takes its time."""


@pytest.fixture(scope="module")
def noisy(chest: Callable[..., np.ndarray]) -> Volume:
    """Return a noisy chest, an odd number of columns wide."""
    return Volume(chest((24, 48, 63), noise_hu=120.0), AFFINE)


@pytest.fixture(scope="module")
def clean(chest: Callable[..., np.ndarray]) -> Volume:
    """Return what became of it."""
    return Volume(chest((24, 48, 63), noise_hu=5.0), AFFINE)


@pytest.fixture(scope="module")
def labels(noisy: Volume) -> Volume:
    """Return labels that differ from voxel to voxel."""
    return Volume((np.arange(noisy.hu.size) % 7).astype(np.int16).reshape(noisy.shape), AFFINE)


@pytest.fixture(scope="module")
def page(noisy: Volume, clean: Volume, labels: Volume, samples: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a report with a pair, a single volume with labels, and results."""
    pair = Scene("pair <b>", embed(clean), before=embed(noisy))
    scenes = [pair, Scene("alone", embed(noisy, every=2), layers={"labels": embed(labels, every=2)})]
    results = [read_results(Path(f"{kind}.json"), content) for kind, content in samples.items()]
    content = Content("A report", ["a fact"], scenes, results, [], Pictures([], []), ["a note"])
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(content.html(), encoding="utf-8")
    return path


@pytest.fixture(scope="module", params=SIZES)
def opened(request: pytest.FixtureRequest, browser: Any, page: Path) -> Iterator[Any]:
    """Open the page once at a size: a browser without a graphics card takes seconds to start what draws."""
    tab = browser.tab(SIZES[request.param])
    tab.open(page.as_uri())
    yield tab
    tab.close()


@pytest.fixture
def tab(opened: Any) -> Iterator[Any]:
    """Set the page back; whatever a test does, nothing may be on the console and nothing be asked for."""
    show(opened, 0)
    for control, value in {"plane": "axial", "window": "lung", "tool": "auto"}.items():
        opened.choose(control, value)
    opened.js("scrollTo({top: 0, behavior: 'instant'}); viewers[0].home(); viewers[0].place = [31, 24, 12]")
    opened.js("viewers[0].glass.focus({preventScroll: true})")
    opened.js("for (const name of ['difference']) viewers[0].control(name).checked = false")
    opened.choose("scrubber", "12")
    yield opened
    assert opened.problems() == []


def show(tab: Any, number: int) -> None:
    """Choose a volume and wait for it."""
    if tab.js("viewers[0].opening") != number:
        tab.choose("volume", str(number))
        tab.wait("viewers[0].root.dataset.ready")
        tab.drawn()


def numbers(text: str) -> list[float]:
    """Return the numbers of a text."""
    return [float(one.replace("−", "-")) for one in re.findall(r"[−]?\d+(?:\.\d+)?", text)]


def test_controls_change_the_picture(tab: Any) -> None:
    seen = [tab.pixels()]
    for control, value in (("scrubber", "3"), ("window", "bone"), ("plane", "coronal"), ("slider", "80")):
        tab.choose(control, value)
        assert tab.pixels() not in seen, control
        seen.append(tab.pixels())
    assert tab.js("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"


def test_every_value_is_exact_and_numbers_are_those_of_the_array(tab: Any, noisy: Volume, clean: Volume) -> None:
    for x, y, z in ((0, 0, 0), (62, 47, 23), (40, 10, 7)):
        tab.js(f"viewers[0].place = [{x}, {y}, {z}]; viewers[0].paint()")
        before, after, removed, *place = numbers(tab.text("[data-testid=hu-readout]"))
        assert (before, after) == (noisy.hu[z, y, x], clean.hu[z, y, x]) and removed == before - after
        assert place[:3] == [x, y, z] and np.allclose(place[3:], noisy.index_to_mm((z, y, x)), atol=0.051)
        assert tab.text("[data-role=slice-number]") == f"{z} of 0–23"
    mean = numbers(tab.text("[data-testid=disc]"))
    rows, columns = np.mgrid[:48, :63]
    within = ((rows - 10) * 0.8) ** 2 + ((columns - 40) * 0.7) ** 2 <= 25
    expected = [
        noisy.hu[7][within].mean(),
        noisy.hu[7][within].std(),
        clean.hu[7][within].mean(),
        clean.hu[7][within].std(),
    ]
    assert np.allclose(mean[1:], expected, atol=0.051)


def test_pixels_are_the_voxels_in_the_window(tab: Any, noisy: Volume, clean: Volume) -> None:
    """Read the screen back: left of the line the one, right of it the other, each where the read-out says."""
    tab.js("for (const name of ['smoothed', 'lines']) viewers[0].control(name).checked = false")
    look = """(() => {
        const {picture: p} = viewers[0]; viewers[0].paint();
        const [l, t, w, h] = p.box('axial'), out = [], c = document.createElement('canvas');
        c.width = p.canvas.width; c.height = p.canvas.height;
        const g = c.getContext('2d', {willReadFrequently: true}); g.drawImage(p.canvas, 0, 0);
        for (const [x, y] of [[8, 9], [22, 30], [45, 12], [50, 40]])
            out.push(g.getImageData(l + (x + 0.5) * w / 63, t + (y + 0.5) * h / 48, 1, 1).data[0]);
        return out; })()"""

    def gray(hu: np.ndarray, window: tuple[float, float]) -> list[float]:
        picked = np.array([hu[12, y, x] for x, y in ((8, 9), (22, 30), (45, 12), (50, 40))], float)
        return list(((picked - window[0]) / (window[1] - window[0]) * 255).clip(0, 255))

    lung = (-1350.0, 150.0)
    left, right = gray(noisy.hu, lung), gray(clean.hu, lung)
    tab.choose("slider", "50")
    assert np.allclose(tab.js(look), left[:2] + right[2:], atol=1.1)
    tab.key("b")
    assert np.allclose(tab.js(look), left, atol=1.1)
    tab.key("b")
    assert np.allclose(tab.js(look), right, atol=1.1)
    tab.key("d")
    spread = tab.js("viewers[0].spread")
    removed = gray(noisy.hu.astype(int) - clean.hu, (-spread, spread))
    assert np.allclose(tab.js(look), removed, atol=1.1)
    tab.js("for (const name of ['smoothed', 'lines']) viewers[0].control(name).checked = true")


def test_keys(tab: Any) -> None:
    top = tab.js("scrollY")
    number = "document.querySelector('[data-role=slice-number]').textContent"
    for key, shown in (("ArrowUp", 13), ("ArrowLeft", 12), ("PageDown", 2), ("Home", 0), ("End", 23), ("ArrowUp", 23)):
        tab.key(key)
        assert tab.js(number) == f"{shown} of 0–23", key
    for key, window in zip("12345", ("lung", "soft", "bone", "chest", "full"), strict=True):
        tab.key(key)
        assert tab.js("viewers[0].control('window').value") == window
    for key, count in (("s", 62), ("c", 47), ("a", 23)):
        tab.key(key)
        assert tab.js(number).endswith(f"of 0–{count}")
    tab.key("+")
    assert tab.js("viewers[0].picture.zoom") == 1.25
    tab.key("-")
    assert tab.js("viewers[0].picture.zoom") == 1
    assert tab.js("scrollY") == top, "keys scroll the page"


def test_wheel_moves_slices_and_not_the_page(tab: Any) -> None:
    if tab.phone:
        pytest.skip("no wheel on a phone")
    x, y = tab.place("[data-testid=slice]", 0.3, 0.5)
    top = tab.js("scrollY")
    for turn, shown in ((100, 11), (100, 10), (-100, 11)):
        tab.mouse("mouseWheel", x, y, deltaX=0, deltaY=turn)
        tab.drawn()
        assert tab.text("[data-role=slice-number]") == f"{shown} of 0–23"
    tab.mouse("mouseWheel", x, y, deltaX=0, deltaY=-100, modifiers=2)
    tab.drawn()
    assert tab.js("viewers[0].picture.zoom") > 1.5 and tab.js("scrollY") == top


def test_mouse_drags_window_zoom_and_place(tab: Any) -> None:
    if tab.phone:
        pytest.skip("no mouse on a phone")
    at = tab.place("[data-testid=slice]", 0.3, 0.4)
    tab.drag(at, 50, -20)
    assert tab.js("[viewers[0].window.level, viewers[0].window.width]") == [-560, 1700]
    assert "−560/1700" in tab.js("viewers[0].control('window').selectedOptions[0].textContent")
    tab.drag(at, 0, -150, "right")
    assert tab.js("viewers[0].picture.zoom") == pytest.approx(np.e, rel=0.01)
    under = "viewers[0].picture.pick({clientX: %f, clientY: %f}).index.join()"
    found = tab.js(under % at)
    tab.drag(at, 60, 40, "middle")
    assert tab.js(under % (at[0] + 60, at[1] + 40)) == found  # what was held went along
    tab.mouse("mousePressed", *at, "left")
    tab.mouse("mouseReleased", *at, "left")
    tab.drawn()
    assert tab.js("viewers[0].place.join()") == tab.js(under % at)  # a click moves the other planes there
    handle = tab.place("[data-testid=handle]")
    before = tab.js("Number(viewers[0].control('slider').value)")
    tab.drag(handle, 80, 0)
    assert tab.js("Number(viewers[0].control('slider').value)") > before + 5


def test_fingers(tab: Any) -> None:
    if not tab.phone:
        pytest.skip("a mouse here")
    x, y = tab.place("[data-testid=slice]", 0.3, 0.3)
    top = tab.js("scrollY")
    tab.touch([(x, y)], [(x, y + 10)], [(x, y + 40)])
    assert tab.text("[data-role=slice-number]") != "12 of 0–23" and tab.js("scrollY") == top
    tab.touch([(x - 20, y), (x + 20, y)], [(x - 40, y), (x + 40, y)])
    assert tab.js("viewers[0].picture.zoom") == pytest.approx(2, rel=0.15)
    tab.touch([(x, y)])
    assert tab.js("viewers[0].place.join()") == tab.js(
        f"viewers[0].picture.pick({{clientX: {x}, clientY: {y}}}).index.join()"
    )


def test_overlays_and_slices_that_are_left_out(tab: Any, noisy: Volume, labels: Volume) -> None:
    show(tab, 1)
    assert tab.js("document.querySelector('[data-role=split]').hidden")
    tab.js("viewers[0].place = [40, 10, 3]; viewers[0].paint()")
    hu, label, *place = numbers(tab.text("[data-testid=hu-readout]"))
    assert (hu, label) == (noisy.hu[6, 10, 40], labels.hu[6, 10, 40]) and place[:3] == [40, 10, 6]
    assert tab.text("[data-role=slice-number]") == "6 of 0–22" and "2nd slice" in tab.text("p[data-role=facts]")
    assert not tab.js("document.querySelector('span[data-role=labels]').hidden")
    shown = tab.pixels()
    tab.key("o")
    hidden = tab.pixels()
    assert hidden != shown
    tab.key("o")
    tab.choose("strength", "0")
    assert tab.pixels() == hidden
    tab.choose("strength", "50")


def test_served_page_asks_its_own_address_alone(browser: Any, noisy: Volume) -> None:
    block = embed(noisy, packed=False)
    scenes = [Scene("served", block)]
    with Served(scenes_page(scenes, "Served", served=True), {address(0, "after"): block.data}) as served:
        tab = browser.tab(SIZES["desktop"])
        tab.open(served.url)
        tab.js("viewers[0].place = [40, 10, 3]; viewers[0].paint()")
        assert numbers(tab.text("[data-testid=hu-readout]"))[0] == noisy.hu[3, 10, 40]
        tab.key("ArrowUp")  # without a click before: the page is the viewer's
        assert tab.text("[data-role=slice-number]") == "4 of 0–23"
        assert tab.problems((served.url, "data:")) == []
        tab.close()


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("delete window.DecompressionStream", "too old"),
        ("HTMLCanvasElement.prototype.getContext = () => null", "has no WebGL 2"),
    ],
)
def test_browser_that_cannot_draw_is_told_and_the_rest_stays(browser: Any, page: Path, missing: str, said: str) -> None:
    tab = browser.tab(SIZES["phone"])
    tab.call("Page.addScriptToEvaluateOnNewDocument", source=missing)
    tab.call("Page.navigate", url=page.as_uri())
    tab.wait(f"document.querySelector('[data-role=message]')?.textContent.includes('{said}')")
    assert tab.js("document.querySelectorAll('[data-testid=results-table]').length") >= 6
    assert tab.problems() == []
    tab.close()

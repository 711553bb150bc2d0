"""The Map tab in a real browser, with the map that ships and the model that drew it."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from browsing import DESKTOP, PHONE, open_tab, visits, wait_until_still
from playwright.sync_api import Page, expect
from serving import serve, write_examples, write_tone

from mowe.analysis.map_folder import read_map
from mowe.audio import load_audio
from mowe.data.records import LabelledClip, RecordsFile

MAP = Path(__file__).parents[1] / "assets" / "map"
SOUND = "#map-sound audio[src]"  # the player keeps it in a shadow tree
SLOW = 60_000  # ms, for what asks the model or starts a compiler

WHERE = """id => {
  const root = document.querySelector('#map .map'), box = root.getBoundingClientRect();
  for (const trace of root._fullData) {
    const at = Array.from(trace.customdata || []).indexOf(id);
    if (at < 0) continue;
    const x = root._fullLayout.xaxis, y = root._fullLayout.yaxis;
    return [box.x + x._offset + x.l2p(trace.x[at]), box.y + y._offset + y.l2p(trace.y[at])];
  }
}"""
# what lies inside a rectangle of the page
INSIDE = """([left, top, right, bottom]) => {
  const root = document.querySelector('#map .map'), box = root.getBoundingClientRect(), found = [];
  const x = root._fullLayout.xaxis, y = root._fullLayout.yaxis;
  for (const trace of root._fullData) Array.from(trace.customdata || []).forEach((id, at) => {
    const px = box.x + x._offset + x.l2p(trace.x[at]), py = box.y + y._offset + y.l2p(trace.y[at]);
    if (px > left && px < right && py > top && py < bottom) found.push(id);
  });
  return found.sort((a, b) => a - b);
}"""

PLAYED = "async one => [...new Uint8Array(await (await fetch(one.src)).arrayBuffer())]"


@pytest.fixture(scope="module")
def url(mini_assistant, tmp_path_factory):
    examples = write_examples(tmp_path_factory.mktemp("examples"))
    with serve(mini_assistant, examples) as address:
        yield address


@pytest.fixture
def visit(browser, url):
    with visits(browser, url) as open_page:
        yield open_page


@pytest.fixture(scope="module")
def ready():
    return read_map(MAP)


def open_map(page: Page) -> Page:
    open_tab(page, "Map")
    expect(page.get_by_label("Shown")).to_have_value(re.compile("recordings, mixture mini"))
    page.locator("#map canvas").first.wait_for(timeout=SLOW)
    wait_until_still(page, "#map canvas")
    return page


def listen(page: Page) -> None:
    """Wait until the sound has begun to play."""
    expect(page.locator(SOUND)).to_be_attached()
    sound = page.locator(SOUND).element_handle()
    page.wait_for_function("one => one.currentTime > 0.05", arg=sound)


def alone(ready) -> int:
    """A recording that can be heard and that no other lies close to."""
    coordinates = ready.projections["base", 2].coordinates
    gaps = np.linalg.norm(coordinates[:, None] - coordinates[None], axis=-1)
    np.fill_diagonal(gaps, np.inf)
    order = np.argsort(-gaps.min(axis=1))
    paths = ready.records.table["path"]
    return next(int(place) for place in order if ready.sound(paths[place]) is not None)


def test_a_clicked_point_plays_its_own_recording(visit, ready):
    page = open_map(visit())
    assert page.locator("#map-picked").is_hidden()
    place = alone(ready)
    row = ready.records.table.iloc[place]
    x, y = page.evaluate(WHERE, place)
    page.mouse.move(x, y)
    page.wait_for_timeout(400)
    page.mouse.down()
    page.mouse.up()
    expect(page.locator("#map-details")).to_contain_text(row["path"])
    expect(page.locator("#map-details")).to_contain_text(row["choice"])
    listen(page)
    assert bytes(page.locator(SOUND).evaluate(PLAYED)) == ready.sound(row["path"]).read_bytes()
    page.locator("#map-routing .js-plotly-plot .bars").first.wait_for()
    page.locator("#map-picture .js-plotly-plot").wait_for()
    expect(page.get_by_label("List")).to_have_value(f"Nearest to {Path(row['path']).name}")
    assert page.faults == []


def test_a_row_of_the_list_plays_too(visit, ready):
    page = open_map(visit())
    page.get_by_label("Find in labels").fill("rooster")
    page.get_by_label("Find in labels").press("Enter")
    expect(page.get_by_label("List")).to_have_value(re.compile("with “rooster”"))
    page.locator("#map-list [role=gridcell]").first.click()
    expect(page.locator("#map-details")).to_contain_text("rooster")
    listen(page)
    assert page.faults == []


def test_a_lasso_lists_what_is_inside_and_hands_it_on(visit, ready):
    page = open_map(visit())
    page.locator("#map .modebar-btn[data-val=lasso]").click(force=True)
    x, y = page.evaluate(WHERE, alone(ready))
    box = page.locator("#map .nsewdrag").first.bounding_box()
    left, right = max(x - 60, box["x"] + 4), min(x + 60, box["x"] + box["width"] - 4)
    top, bottom = max(y - 60, box["y"] + 4), min(y + 60, box["y"] + box["height"] - 4)
    inside = page.evaluate(INSIDE, [left, top, right, bottom])
    page.mouse.move(left, top)
    page.mouse.down()
    for corner in ((right, top), (right, bottom), (left, bottom), (left, top)):
        page.mouse.move(*corner, steps=8)
    page.mouse.up()
    expect(page.get_by_label("List")).to_have_value(f"{len(inside)} selected")
    names = [Path(ready.records.table["path"][place]).name for place in inside]
    for name in names[:5]:
        expect(page.locator("#map-list")).to_contain_text(name)
    page.locator("#map-shares .js-plotly-plot .bars").first.wait_for()
    with page.expect_download() as download:
        page.locator("#map-export").click()
    lines = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    assert 0 < len(lines) <= len(inside)
    assert page.faults == []


@pytest.mark.parametrize(
    ("clip", "kind"), [("rooster.ogg", "rooster"), ("digits.flac", "spoken-digits")]
)
def test_ones_own_recording_lies_among_its_kind(visit, ready, examples, clip, kind):
    page = open_map(visit())
    page.locator("#map-own input[type=file]").set_input_files(str(examples / clip))
    expect(page.locator("#map-place")).to_be_enabled()
    page.locator("#map-place").click()
    expect(page.get_by_label("List")).to_have_value(re.compile(f"^Nearest to {clip}"), timeout=SLOW)
    expect(page.locator("#map .legend")).to_contain_text("your recording")
    cells = page.locator("#map-list [role=gridcell]").all_inner_texts()
    table = ready.records.table
    names = {Path(path).name: (label, dataset) for path, label, dataset in
             zip(table["path"], table["label"], table["dataset"], strict=True)}  # fmt: skip
    near = [names[text.strip()] for text in cells if text.strip() in names]
    assert len(near) == 8
    assert sum(kind in str(one) for one in near) >= len(near) / 2
    assert page.faults == []


def test_colours_projections_and_dimensions_change_without_an_error(visit):
    page = open_map(visit())
    page.get_by_label("Colour by").click()
    page.get_by_role("option", name="dataset").click()
    expect(page.locator("#map .legend")).to_contain_text("esc10")
    page.locator("#map-projection button").first.click()
    for label, choice in (("Method", "PCA"), ("Dimensions", "3-D")):
        page.get_by_label(label, exact=True).click()
        page.get_by_role("option", name=choice).click()
    page.locator("#map-layout").click()
    expect(page.get_by_label("Shown")).to_have_value(re.compile("PCA: the first"))
    page.locator("#map .gl-container canvas").first.wait_for()
    assert page.faults == []


def records_of(folder: Path, assistant, count=6) -> Path:
    """Records of one's own, one of them with a name that could be markup."""
    path = folder / "own.parquet"
    file = RecordsFile(path, "mini", assistant.encoder_names)
    draw = np.random.default_rng(0)
    answer = assistant.route(load_audio(write_tone(folder / "tone.wav", 2.0)))
    for number in range(count):
        name = "<img src=x onerror=document.title='taken'>.wav" if not number else f"{number}.wav"
        moved = answer.embedding + draw.normal(size=answer.embedding.shape).astype(np.float32)
        labels = {"label": "<b>bold</b>", "task": "sound"}
        file.add(
            LabelledClip(folder / name, labels=labels),
            str(number),
            replace(answer, embedding=moved),
        )
    file.close()
    return path


@pytest.mark.parametrize(("viewport", "query"), [(DESKTOP, ""), (PHONE, "?__theme=dark")])
def test_records_of_ones_own_are_laid_out_and_names_stay_names(
    visit, mini_assistant, tmp_path, viewport, query
):
    page = open_map(visit(viewport, query))
    page.get_by_role("button", name="Records of your own").click()
    path = records_of(tmp_path, mini_assistant)
    page.locator("#map-records input[type=file]").set_input_files(str(path))
    expect(page.get_by_label("Shown")).to_have_value(re.compile("^6 recordings"))
    page.get_by_label("Find in labels").fill("onerror")
    page.get_by_label("Find in labels").press("Enter")
    expect(page.locator("#map-list")).to_contain_text("<img src=x")
    page.locator("#map-list [role=gridcell]").first.click()
    expect(page.get_by_label("Sound", exact=True)).to_have_value(re.compile("MOWE_RECORDINGS"))
    assert page.title() == "MoWE-Audio"
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    assert page.faults == []

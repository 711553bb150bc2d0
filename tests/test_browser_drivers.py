"""The Drivers tab in a real browser, with the real tiny model behind it."""

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from browsing import DESKTOP, PHONE, open_tab, visits
from playwright.sync_api import Page, expect
from serving import serve, write_examples, write_tone

from mowe.assistant import load
from mowe.audio import load_audio
from mowe.data.records import LabelledClip, RecordsFile
from mowe.ui.drivers.handlers import DriversEvents, listen


@pytest.fixture(scope="module")
def assistant():
    return load("tiny-random", device="cpu", untrained=True)


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    return write_examples(tmp_path_factory.mktemp("examples"))


@pytest.fixture(scope="module")
def served(assistant, examples):
    with serve(assistant, examples) as url:
        yield url


@pytest.fixture
def visit(browser, served):
    with visits(browser, served) as open_page:
        yield open_page


@pytest.fixture
def clip(tmp_path):
    return write_tone(tmp_path / "tone.wav", 1.2)


def open_drivers(page: Page) -> None:
    open_tab(page, "Drivers")
    expect(page.locator("#drivers-start")).to_be_visible()
    expect(page.locator("#drivers-figure")).to_be_hidden()  # nothing empty is shown
    expect(page.locator("#liked-figure")).to_be_hidden()


def upload(page: Page, path: Path) -> None:
    page.locator("#drivers-audio input[type=file]").set_input_files(str(path))
    expect(page.locator("#drivers-audio")).to_contain_text(re.compile(r"0:01"))


def status(page: Page, tab: str) -> str:
    return page.locator(f"#{tab}-status textarea, #{tab}-status input").input_value()


def played(page: Page, player: str) -> float:
    """Presses play and waits until the sound moves on; its length in s."""
    page.locator(f"#{player} button[aria-label=Play]").click()
    return page.locator(f"#{player} audio[src]").evaluate(
        """audio => new Promise((resolve, reject) => {
          const started = Date.now();
          const look = () => audio.currentTime > 0.05 ? resolve(audio.duration)
            : Date.now() - started > 8000 ? reject(audio.error || 'silent') : setTimeout(look, 50);
          look();
        })"""
    )


@pytest.mark.parametrize(
    ("viewport", "query"), [(DESKTOP, ""), (PHONE, "?__theme=dark")], ids=["desktop", "dark phone"]
)
def test_a_clip_shows_and_plays_what_drives_it(visit, clip, viewport, query):
    page = visit(viewport, query)
    open_drivers(page)
    upload(page, clip)
    page.locator("#drivers-start").click()
    figure = page.locator("#drivers-figure .js-plotly-plot")
    expect(figure).to_contain_text("Half of what speaks for")
    assert page.locator("#drivers-figure .heatmaplayer image").count() == 2
    expect(page.locator("#drivers-check .js-plotly-plot .scatterlayer .trace")).to_have_count(4)
    assert re.match(r"Done: \S+ over \S+, \d+ gradients\.", status(page, "drivers"))
    said = page.locator("#drivers-sum textarea").input_value()
    assert re.search(r"a gap of [+-]0\.\d\d, within the tolerance of 0\.25", said)
    for player in ("drivers-kept", "drivers-rest"):
        assert played(page, player) == pytest.approx(1.2, abs=0.01)
    page.get_by_role("button", name="Strongest regions as a table").click()
    expect(page.locator("#drivers-regions")).to_contain_text("Share of the support")
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= viewport["width"]
    assert page.faults == []


@pytest.mark.parametrize(
    ("viewport", "query"), [(DESKTOP, ""), (PHONE, "?__theme=dark")], ids=["desktop", "dark phone"]
)
def test_an_input_is_made_up_and_plays_and_real_clips_stand_beside_it(
    visit, assistant, clip, tmp_path, viewport, query
):
    records, evil = tmp_path / "records.parquet", "<img src=x onerror=document.title='taken'>.wav"
    file = RecordsFile(records, assistant.preset, assistant.encoder_names)
    answer = assistant.route(load_audio(clip))
    file.add(LabelledClip(Path(evil), labels={"task": "er"}), "0", answer)
    file.close()
    page = visit(viewport, query)
    open_drivers(page)
    expect(page.locator("#liked-clips")).to_be_hidden()
    page.locator("#liked-steps input[type=number]").fill("5")
    page.locator("#liked-start").click()
    figure = page.locator("#liked-figure .js-plotly-plot")
    expect(figure).to_contain_text("probability")
    expect(figure).to_contain_text("at the random start")
    assert status(page, "liked") == "Done after 5 steps."
    assert played(page, "liked-sound") == pytest.approx(3.0, abs=0.01)
    expect(page.get_by_text("an input that the router likes, not a recording")).to_be_visible()
    page.locator("#liked-records input[type=file]").set_input_files(str(records))
    expect(page.locator("#liked-clips")).to_contain_text(evil)
    expect(page.locator("#liked-clips")).to_contain_text("task: er")
    assert page.title() == "MoWE-Audio"
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= viewport["width"]
    assert page.faults == []


def test_no_recording_is_one_sentence(visit):
    page = visit()
    open_drivers(page)
    page.locator("#drivers-start").click()
    expect(page.locator("[data-testid=toast-body]")).to_contain_text("there is no recording")
    expect(page.locator("#drivers-figure")).to_be_hidden()
    assert page.faults == []


def test_stop_ends_the_work(visit):
    page = visit()
    open_drivers(page)
    page.locator("#liked-steps input[type=number]").fill("500")
    page.locator("#liked-start").click()
    progress = page.locator("#liked-status textarea")
    expect(progress).to_have_value(re.compile(r"Step \d+ of 500"))
    page.locator("#liked-stop").click()
    expect(progress).to_have_value("Stopped.")
    page.locator("#liked-steps input[type=number]").fill("5")
    page.locator("#liked-start").click()
    expect(progress).to_have_value("Done after 5 steps.")
    assert page.faults == []


def test_every_button_and_field_of_the_tab_has_a_name(visit):
    page = visit()
    open_drivers(page)
    nameless = """[...document.querySelectorAll('button, input, textarea')]
        .filter(one => one.offsetParent && !one.innerText && !one.ariaLabel && !one.title
            && !one.labels?.length && !one.getAttribute('aria-labelledby'))
        .map(one => one.outerHTML.slice(0, 120))"""
    assert page.evaluate(nameless) == []


def test_what_one_hears_is_as_loud_as_it_was(assistant, examples, clip):
    events = DriversEvents(assistant, examples)
    *_, last = events.explain(str(clip), "", 1, 10)
    found = last[0]
    _, (rate, kept), (_, rest) = listen(found, 10)
    both = (kept.astype(float) + rest) / 32767
    original, _ = soundfile.read(clip)
    assert rate == 16_000
    assert kept.dtype == np.int16
    assert both == pytest.approx(original, abs=1e-3)

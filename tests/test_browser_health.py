"""The Health tab in a real browser, with a real model behind it."""

import json
import re
import threading
import time
from pathlib import Path

import gradio as gr
import pytest
from browsing import DESKTOP, PATIENCE, PHONE, open_tab, visits
from playwright.sync_api import Page, expect
from serving import serve, write_examples, write_tone

from mowe.analysis.worth.perturbation import CHANGES
from mowe.audio import load_audio
from mowe.data.records import LabelledClip, RecordsFile
from mowe.ui.health.handlers import HealthEvents


@pytest.fixture(scope="module")
def tiny():
    from mowe.assistant import load

    return load("tiny-random", device="cpu", untrained=True)


@pytest.fixture(scope="module")
def served(tiny, tmp_path_factory):
    with serve(tiny, write_examples(tmp_path_factory.mktemp("examples"))) as url:
        yield url


@pytest.fixture
def visit(browser, served):
    """Opens the Health tab as a new visitor."""
    with visits(browser, served) as open_page:

        def open_health(*where) -> Page:
            page = open_page(*where)
            open_tab(page, "Health")
            expect(verdict(page, "pool")).to_have_value(re.compile("Active share of the pool"))
            return page

        yield open_health


@pytest.fixture(scope="module")
def records(tiny, tmp_path_factory) -> Path:
    """Four windows that all go to one encoder."""
    folder = tmp_path_factory.mktemp("records")
    answer = tiny.route(load_audio(write_tone(folder / "tone.wav", 2.0)))
    file = RecordsFile(folder / "records.parquet", tiny.preset, tiny.encoder_names)
    for number in range(4):
        file.add(LabelledClip(Path(f"{number}.wav")), str(number), answer)
    file.close()
    return folder / "records.parquet"


@pytest.fixture(scope="module")
def log(tmp_path_factory) -> Path:
    """Twenty steps with one spike, 16 scatters above the median, at step 150."""
    path = tmp_path_factory.mktemp("log") / "metrics.jsonl"
    lines = [
        {
            "stage": "mixture", "step": 10 * number,
            "loss": 2.7 if number == 15 else 1 + number % 3 / 10,
            "effective_encoders": 2.5, "memory_mb": 900.0,
        }
        for number in range(20)
    ]  # fmt: skip
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


def verdict(page: Page, name: str):
    return page.locator(f"#{name}-verdict textarea")


def load(page: Page, name: str, path: Path) -> None:
    page.locator(f"#health-{name} input[type=file]").set_input_files(str(path))


def set_slider(page: Page, name: str, value: str) -> None:
    box = page.locator(f"#{name} input[type=number]")
    box.fill(value)
    box.press("Tab")


def compare(page: Page) -> None:
    page.locator("#compare").click()
    total = len(CHANGES)
    expect(verdict(page, "changes")).to_have_value(
        re.compile(rf"^[✓✗] (passes|fails) · Same choice: \d+ of {total} ")
    )


def test_what_is_missing_is_said_and_nothing_empty_is_shown(visit):
    page = visit()
    expect(verdict(page, "collapse")).to_have_value(re.compile("^○ not checked: Load a records"))
    expect(verdict(page, "loss")).to_have_value(re.compile("^○ not checked: Load the metrics"))
    expect(verdict(page, "changes")).to_have_value(re.compile("^○ not checked: Record or upload"))
    for name in ("collapse", "loss", "changes", "memory"):
        expect(page.locator(f"#{name}-chart")).to_be_hidden()
    expect(page.locator("#pool-chart .js-plotly-plot")).to_contain_text("run,")
    expect(page.locator("#compare")).to_be_disabled()
    assert page.faults == []


def test_a_threshold_that_moves_moves_the_verdict(visit, records, log):
    page = visit()
    load(page, "records", records)
    expect(verdict(page, "collapse")).to_have_value(
        re.compile(r"^✗ fails · Spread of the choices: 1\.00 of")
    )
    page.locator("#collapse-chart .js-plotly-plot").wait_for()
    expect(verdict(page, "pool")).to_have_value(re.compile(r"of 4 windows"))
    set_slider(page, "min-effective", "1")
    expect(verdict(page, "collapse")).to_have_value(re.compile("^✓ passes · Spread of the choices"))

    load(page, "log", log)
    expect(verdict(page, "loss")).to_have_value(
        re.compile("✗ fails · Loss spikes: 1 spike in 15 judged steps, first at step 150"),
    )
    expect(page.locator("#loss-chart .js-plotly-plot")).to_contain_text("1 spike in 20")
    set_slider(page, "spike-scatters", "30")
    expect(verdict(page, "loss")).to_have_value(re.compile("✓ passes · Loss spikes: 0 spikes"))
    expect(page.locator("#loss-chart .js-plotly-plot")).to_contain_text("no spike in 20")
    expect(verdict(page, "pool")).to_have_value(re.compile("✓ passes · Memory growth.* 900 MB"))
    page.locator("#memory-chart .js-plotly-plot").wait_for()
    page.get_by_role("button", name="Loss as a table").click()
    expect(page.locator("#loss-table")).to_contain_text("mixture")
    assert page.faults == []


def test_a_clip_is_compared_and_another_one_starts_afresh(visit, tmp_path):
    page = visit()
    load(page, "clip", write_tone(tmp_path / "tone.wav", 2.0))
    compare(page)
    chart = page.locator("#changes-chart .js-plotly-plot")
    expect(chart).to_contain_text(f"of {len(CHANGES)} changes keep the choice")
    page.get_by_role("button", name="How far each change moves the routing, as a table").click()
    expect(page.locator("#changes-table")).to_contain_text("unchanged")
    expect(page.locator("#changes-table")).to_contain_text("12 dB softer")
    set_slider(page, "min-same-choice", "0")
    expect(verdict(page, "changes")).to_have_value(re.compile("^✓ passes · Same choice"))
    page.locator("#health-clip").get_by_label("Clear").click()
    expect(verdict(page, "changes")).to_have_value(re.compile("Record or upload a clip"))
    expect(chart).to_be_hidden()
    assert page.faults == []


def test_stop_keeps_what_was_compared_so_far(visit, tiny, tmp_path, monkeypatch):
    route, heard, stopped = tiny.route_all, [], threading.Event()

    def slowly(recordings, **settings):
        if len(heard) == 3:  # the clip and two changes: a busy page has time to show them
            stopped.wait(PATIENCE / 1000)
        time.sleep(0.5)
        heard.append(recordings)
        return route(recordings, **settings)

    monkeypatch.setattr(tiny, "route_all", slowly)
    page = visit()
    load(page, "clip", write_tone(tmp_path / "tone.wav", 1.0))
    page.locator("#compare").click()
    expect(verdict(page, "changes")).to_have_value(re.compile(f"^2 of {len(CHANGES)} changes"))
    page.locator("#stop-compare").click()
    stopped.set()
    made = -1
    while made < len(heard):  # until nothing more is heard for as long as five changes take
        made = len(heard)
        page.wait_for_timeout(2500)
    assert made < len(CHANGES)
    expect(verdict(page, "changes")).to_have_value(re.compile(rf"^\d of {len(CHANGES)} changes"))
    assert page.faults == []


def test_what_a_comparison_lacks_is_one_sentence(tiny, tmp_path):
    events = HealthEvents(tiny)
    limits = (0.8, 0.8, 0.1)
    with pytest.raises(gr.Error, match="record or upload a clip first"):
        next(events.run(None, False, "", *limits))
    clip = str(write_tone(tmp_path / "tone.wav", 1.0))
    with pytest.raises(gr.Error, match="the question is empty"):
        next(events.run(clip, True, " ", *limits))
    with pytest.raises(gr.Error, match="min same choice must be a number from 0 to 1, found None"):
        next(events.run(clip, False, "", None, 0.8, 0.1))


def test_answers_are_compared_where_asked(visit, tmp_path):
    page = visit()
    load(page, "clip", write_tone(tmp_path / "tone.wav", 1.0))
    page.get_by_label("Also compare answers").check()
    compare(page)
    expect(verdict(page, "changes")).to_have_value(
        re.compile(r"· Same answer: \d+ of 13 changes \(\d+%\) keep the words")
    )
    assert page.faults == []


def test_files_that_cannot_be_used_are_one_sentence_and_leave_nothing(
    visit, records, log, tmp_path
):
    page = visit()
    load(page, "log", log)
    expect(verdict(page, "loss")).to_have_value(re.compile("Loss spikes"))
    bad = tmp_path / "<b>bad.jsonl"
    bad.write_text("loss: 3\n")
    page.locator("#health-log").get_by_label("Clear").click()
    expect(verdict(page, "loss")).to_have_value(re.compile("○ not checked · Loss spikes: Load"))
    load(page, "log", bad)
    toast = page.get_by_test_id("toast-text")
    expect(toast).to_contain_text("line 1 is not JSON")
    expect(toast).to_contain_text("; a run's metrics.jsonl has one JSON object a line")
    expect(verdict(page, "loss")).to_have_value(re.compile("○ not checked · Loss spikes: Load"))
    expect(page.locator("#loss-chart")).to_be_hidden()


@pytest.mark.parametrize(("viewport", "query"), [(DESKTOP, ""), (PHONE, "?__theme=dark")])
def test_everything_fits_a_phone_in_the_dark(visit, records, log, tmp_path, viewport, query):
    page = visit(viewport, query)
    load(page, "records", records)
    load(page, "log", log)
    load(page, "clip", write_tone(tmp_path / "tone.wav", 2.0))
    compare(page)
    for name in ("collapse", "changes", "loss", "pool", "memory"):
        expect(page.locator(f"#{name}-chart .js-plotly-plot")).to_be_visible()
    for table in page.get_by_role("button", name=re.compile("as a table")).all():
        if table.is_visible():
            table.click()
    expect(page.locator("#changes-table")).to_contain_text("12 dB softer")
    page.wait_for_function(  # the tables are laid out
        "width => document.documentElement.scrollWidth <= width", arg=viewport["width"]
    )
    wide = """[...document.querySelectorAll('button, input, textarea, .js-plotly-plot')]
        .filter(one => one.offsetParent
            && !one.closest('.table-wrap, [role=grid], .visually-hidden'))
        .map(one => [one.getBoundingClientRect().right, one.outerHTML.slice(0, 100)])
        .filter(([right]) => right > innerWidth + 1)"""
    assert page.evaluate(wide) == []
    nameless = """[...document.querySelectorAll('button, input, textarea')]
        .filter(one => one.offsetParent && !one.innerText && !one.ariaLabel && !one.title
            && !one.labels?.length && !one.getAttribute('aria-labelledby'))
        .map(one => one.outerHTML.slice(0, 120))"""
    assert page.evaluate(nameless) == []
    assert page.evaluate("document.body.classList.contains('dark')") is query.endswith("dark")
    assert page.faults == []

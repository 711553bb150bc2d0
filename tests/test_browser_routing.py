"""The Routing tab in a real browser: clips compared, saved, recorded, and asked about otherwise."""

import io
import json
import re

import pandas as pd
import pytest
from browsing import DESKTOP, PATIENCE, PHONE, open_tab, visits
from fakes import FakeAssistant
from playwright.sync_api import Page, expect
from serving import serve, write_examples, write_tone

from mowe.analysis.worth.counterfactual import variants
from mowe.assistant import load
from mowe.audio import load_audio

EVIL = "<img src=x onerror=document.title='taken'>.wav"
WIDE = """[...document.querySelectorAll('button, input, textarea, .js-plotly-plot')]
    .filter(one => one.offsetParent && !one.closest('.table-wrap, [role=grid], .visually-hidden'))
    .map(one => one.getBoundingClientRect()).filter(box => box.right > innerWidth + 1).length"""


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    assistant = FakeAssistant()
    with serve(assistant, write_examples(tmp_path_factory.mktemp("examples"))) as url:
        yield assistant, url


@pytest.fixture
def assistant(served):
    """The fake behind the page, as fast as it starts out."""
    assistant = served[0]
    assistant.words, assistant.step_seconds = 4, 0.002
    assert assistant.wait_until_idle(60), "an earlier test left the model running"
    return assistant


@pytest.fixture
def visit(browser, served):
    """Opens the Routing tab as a new visitor."""
    with visits(browser, served[1]) as open_page:

        def open_routing(viewport=DESKTOP, query="", url=served[1]) -> Page:
            page = open_page(viewport, query, url)
            open_tab(page, "Routing")
            expect(page.locator("#routing-hint")).to_be_visible()
            return page

        yield open_routing


def compare(page: Page, paths) -> None:
    """Upload clips and wait for their bars."""
    page.locator("#clips input[type=file]").set_input_files([str(path) for path in paths])
    show(page)


def show(page: Page) -> None:
    expect(page.locator("#show-routing")).to_be_enabled()
    page.locator("#show-routing").click()
    page.locator("#comparison-chart .js-plotly-plot .bars").first.wait_for(timeout=3 * PATIENCE)


def bars(page: Page) -> int:
    return page.locator("#comparison-chart .js-plotly-plot .bars .point").count()


def table(page: Page, elem_id: str) -> list[list[str]]:
    """The cells of a table, row by row, without its header."""
    return page.evaluate(
        """id => [...document.querySelectorAll(`#${id} [role=row][data-index]`)]
            .sort((one, other) => one.dataset.index - other.dataset.index)
            .map(row => [...row.querySelectorAll('[role=gridcell]')]
                .map(cell => cell.innerText.trim()))""",
        elem_id,
    )


def download(page: Page, elem_id: str) -> tuple[str, bytes]:
    with page.expect_download() as started:
        page.locator(f"#{elem_id}").click()
    return started.value.suggested_filename, started.value.path().read_bytes()


def compare_answers(page: Page, patience: int = PATIENCE) -> None:
    """Run the counterfactuals and wait for the last one."""
    page.get_by_role("button", name="What if other encoders had run?").click()
    page.locator("#counterfactual-run").click()
    summary = page.locator("#counterfactual-summary textarea, #counterfactual-summary input")
    expect(summary).to_have_value(re.compile("other routings give"), timeout=patience)
    expect(page.locator("#counterfactual-stop")).to_be_disabled(timeout=patience)
    expect(page.locator("#counterfactual-run")).to_be_enabled()


def test_two_clips_show_both_routers_a_table_and_files(visit, assistant, tmp_path):
    paths = [write_tone(tmp_path / "low.wav", 2.0), write_tone(tmp_path / "high.wav", 35.0, 880)]
    page = visit()
    expect(page.locator("#show-routing")).to_be_disabled()
    expect(page.locator("#comparison")).to_be_hidden()  # nothing empty is shown
    compare(page, paths)
    assert bars(page) == 3 * len(assistant.encoder_names)  # all clips, then each of two
    chart = page.locator("#comparison-chart .js-plotly-plot")
    expect(chart).to_contain_text("All 2 clips go to whisper-tiny.en")
    expect(chart).to_contain_text("1. low.wav")
    rows = table(page, "comparison-table")
    assert [row[0] for row in rows] == ["every clip", "1. low.wav", *["2. high.wav"] * 2]
    assert [row[2] for row in rows] == ["any", "0–2", "0–30", "30–35"]
    assert rows[0][3:8] == ["0.34", "0.21", "0.24", "0.09", "0.12"]
    assert rows[1][3:8] == ["0.52", "0.08", "0.3", "0.06", "0.04"]
    words = page.locator("#comparison-words textarea")
    expect(words).to_have_value(re.compile("1. low.wav: .*entropy 1.10 .*margin 0.20"))

    name, content = download(page, "routing-csv")
    assert name == "mowe-routing.csv"
    saved = pd.read_csv(io.BytesIO(content))
    routed = [
        window
        for answer in assistant.route_all([load_audio(path) for path in paths])
        for window in answer.windows
    ]
    for router in ("independent", "dependent"):
        for encoder in assistant.encoder_names:
            column = [getattr(window, router)[encoder] for window in routed]
            assert list(saved[f"{router}_{encoder}"]) == column
    name, content = download(page, "routing-json")
    assert name == "mowe-routing.json"
    assert [clip["audio"][0]["name"] for clip in json.loads(content)["clips"]] == [
        "low.wav", "high.wav",
    ]  # fmt: skip
    assert page.faults == []


def test_a_shorter_window_shows_routing_over_time_of_the_picked_clip(visit, assistant, tmp_path):
    page = visit()
    compare(page, [write_tone(tmp_path / "a.wav", 2.0), write_tone(tmp_path / "b.wav", 55.0)])
    timeline = page.locator("#timeline .js-plotly-plot")
    expect(timeline).to_contain_text("whisper-tiny.en leads throughout (1 window)")
    page.locator("#window").get_by_label("5 s", exact=True).click()
    expect(page.locator("#comparison-table")).to_contain_text("5–10")
    page.locator("#clip input").click()
    page.get_by_role("option", name="2. b.wav").click()
    expect(timeline).to_contain_text("(11 windows)")
    step = "document.querySelector('#timeline .js-plotly-plot').data[2].x.length"
    assert page.evaluate(step) == 12  # edges of eleven windows
    axes = """['xaxis', 'xaxis2', 'xaxis3'].map(axis =>
        document.querySelector('#timeline .js-plotly-plot')._fullLayout[axis].range)"""
    assert page.evaluate(axes) == [[0, 55]] * 3
    assert timeline.locator(".heatmaplayer image").count() == 1
    page.locator("#window").get_by_label("30 s", exact=True).click()
    expect(timeline).to_contain_text("(2 windows)")  # the clip stays picked
    assert page.faults == []


def test_the_camera_saves_a_chart_as_png(visit, assistant, tmp_path):
    page = visit()
    compare(page, [write_tone(tmp_path / "a.wav", 2.0)])
    chart = page.locator("#comparison-chart .js-plotly-plot")
    chart.hover()
    with page.expect_download() as started:
        chart.locator(".modebar-btn[data-title*='PNG' i]").click()
    assert started.value.path().read_bytes().startswith(b"\x89PNG")


def test_recorded_clips_join_the_comparison(visit, assistant):
    page = visit()
    for count in (1, 2):
        page.locator("#clip-recorder button.record-button").click()
        page.wait_for_timeout(1500)
        page.locator("#clip-recorder button.stop-button:visible").click()
        expect(page.locator("#add-clip")).to_be_enabled()
        page.locator("#add-clip").click()
        expect(page.locator("#clips .file")).to_have_count(count)
        expect(page.locator("#add-clip")).to_be_disabled()
    show(page)
    assert bars(page) == 3 * len(assistant.encoder_names)
    _, content = download(page, "routing-json")
    for clip in json.loads(content)["clips"]:
        assert 1 < clip["audio"][0]["source_seconds"] < 5
        assert clip["audio"][0]["peak"] > 0.05
    assert page.faults == []


def test_what_cannot_be_compared_is_named_and_the_rest_is_shown(visit, assistant, tmp_path):
    bad = tmp_path / "bad.wav"
    bad.write_text("these are words, not sound. " * 50)
    good = [write_tone(tmp_path / f"{n}.wav", 1.0) for n in range(7)]
    page = visit()
    compare(page, [bad, *good])
    left_out = page.locator("#left-out textarea")
    expect(left_out).to_have_value(re.compile("^Left out: bad.wav holds text.*\n6.wav is left out"))
    assert bars(page) == 7 * len(assistant.encoder_names)
    page.locator("#clips").get_by_label("Clear").click()
    expect(page.locator("#comparison")).to_be_hidden()
    expect(page.locator("#show-routing")).to_be_disabled()


def test_a_file_name_is_never_markup(visit, assistant, tmp_path):
    page = visit()
    compare(page, [write_tone(tmp_path / EVIL, 1.0), write_tone(tmp_path / "<b>b.wav", 1.0)])
    compare_answers(page)
    shown = page.locator("#comparison-table")
    expect(shown).to_contain_text("img src=x")
    assert page.locator("#comparison img[src=x]").count() == 0
    assert page.locator("#comparison-chart b, #comparison-chart image[href=x]").count() == 0
    assert page.title() == "MoWE-Audio"
    assert page.faults == []


@pytest.mark.parametrize(("viewport", "query"), [(DESKTOP, ""), (PHONE, "?__theme=dark")])
def test_counterfactuals_fit_the_page_with_a_row_per_variant(
    visit, assistant, tmp_path, viewport, query
):
    page = visit(viewport, query)
    paths = [write_tone(tmp_path / f"a clip with a long name {n}.wav", 2.0) for n in range(6)]
    compare(page, paths)
    page.locator("#window").get_by_label("1 s", exact=True).click()
    expect(page.locator("#comparison-table")).to_contain_text("1–2")
    compare_answers(page)
    rows = table(page, "counterfactual-table")
    assert [row[0] for row in rows] == [one.name for one in variants(assistant.encoder_names)]
    assert {row[3] for row in rows} == {"yes"}  # the fake always says the same
    assert rows[0][5] == "0"
    assert float(rows[1][5]) < 0
    expect(page.locator("#counterfactual-words")).to_contain_text("You asked «Describe the audio.»")
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    assert page.evaluate(WIDE) == 0
    dark = page.evaluate("document.body.classList.contains('dark')")
    assert dark is query.endswith("dark")
    assert page.faults == []


def test_stop_ends_the_counterfactuals_and_they_can_be_run_again(visit, assistant, tmp_path):
    assistant.words, assistant.step_seconds = 100, 0.05
    page = visit()
    compare(page, [write_tone(tmp_path / "a.wav", 1.0)])
    page.get_by_role("button", name="What if other encoders had run?").click()
    page.locator("#counterfactual-run").click()
    expect(page.locator("#counterfactual-table")).to_contain_text("You asked")
    page.locator("#counterfactual-stop").click()
    assert assistant.wait_until_idle(60)
    made = assistant.steps
    expect(page.locator("#counterfactual-run")).to_be_enabled()
    assert assistant.steps == made
    assistant.words, assistant.step_seconds = 2, 0.002
    page.locator("#counterfactual-question textarea").fill(" ")
    page.locator("#counterfactual-run").click()
    expect(page.get_by_test_id("toast-text")).to_contain_text("question is empty")
    page.locator("#counterfactual-question textarea").fill("And now?")
    expect(page.locator("#counterfactual-run")).to_be_enabled()
    page.locator("#counterfactual-run").click()
    summary = page.locator("#counterfactual-summary textarea, #counterfactual-summary input")
    expect(summary).to_have_value(re.compile("«And now\\?»: 7 of 7"))


def test_the_real_model_routes_and_answers_otherwise(visit, tmp_path):
    real = load("tiny-random", device="cpu", untrained=True)
    path = write_tone(tmp_path / "tone.wav", 3.0)
    with serve(real, write_examples(tmp_path / "examples")) as url:
        page = visit(url=url)
        compare(page, [path])
        assert bars(page) == 2 * len(real.encoder_names)
        saved = pd.read_csv(io.BytesIO(download(page, "routing-csv")[1]))
        (window,) = real.route(load_audio(path)).windows
        for encoder in real.encoder_names:
            assert saved[f"dependent_{encoder}"][0] == window.dependent[encoder]
        page.locator("#window").get_by_label("1 s", exact=True).click()
        expect(page.locator("#comparison-table")).to_contain_text("2–3")
        compare_answers(page, 8 * PATIENCE)
        rows = table(page, "counterfactual-table")
        assert [row[0] for row in rows] == [one.name for one in variants(real.encoder_names)]
        assert [row[1] for row in rows[1:4]] == list(real.encoder_names)
        assert rows[0][5] == "0"
        assert page.faults == []


def test_the_shipped_model_hears_the_microphone_and_answers_otherwise(
    visit, mini_assistant, examples
):
    with serve(mini_assistant, examples) as url:
        page = visit(url=url)
        open_tab(page, "Routing")
        page.locator("#clip-recorder button.record-button").click()
        page.wait_for_timeout(1500)
        page.locator("#clip-recorder button.stop-button:visible").click()
        expect(page.locator("#add-clip")).to_be_enabled()
        page.locator("#add-clip").click()
        expect(page.locator("#clips .file")).to_have_count(1)
        show(page)
        assert bars(page) == 2 * len(mini_assistant.encoder_names)
        compare_answers(page, 8 * PATIENCE)
        rows = table(page, "counterfactual-table")
        assert [row[0] for row in rows] == [
            one.name for one in variants(mini_assistant.encoder_names)
        ]
        assert all(row[2] for row in rows)  # everybody says something
        assert rows[0][3:] == ["yes", "", "0"]
        assert any(
            float(row[5]) < 0 for row in rows[1:]
        )  # other routings find its words unlikelier
        assert page.faults == []

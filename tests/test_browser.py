"""The real page in a real browser: what a visitor does, sees, and must never see."""

import json
import re
import shutil
from pathlib import Path

import pytest
from browsing import DESKTOP, PHONE, open_tab, visits
from fakes import FakeAssistant
from playwright.sync_api import Page, expect
from serving import serve, write_examples, write_tone

from mowe.assistant import Sampling, Turn
from mowe.audio import load_audio
from mowe.data.records import LabelledClip, RecordsFile

FIXTURES = Path(__file__).parent / "fixtures"
# notes every state of the first reply that was on the page
WATCH_CHAT = """() => {
  window.streamed = new Set();
  const note = () => {
    const reply = document.querySelector('#chat [data-testid=bot]');
    if (reply) window.streamed.add(reply.innerText.trim());
  };
  new MutationObserver(note).observe(document.querySelector('#chat'),
    {childList: true, subtree: true, characterData: true});
}"""


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    assistant = FakeAssistant()
    with serve(assistant, write_examples(tmp_path_factory.mktemp("examples"))) as url:
        yield assistant, url


@pytest.fixture
def assistant(served):
    """The fake behind the page, as fast as it starts out."""
    assistant = served[0]
    assistant.words, assistant.step_seconds = 12, 0.02
    assert assistant.wait_until_idle(60), "an earlier test left the model running"
    return assistant


@pytest.fixture
def visit(browser, served):
    """Opens the page as a new visitor."""
    with visits(browser, served[1]) as open_page:
        yield open_page


def record(page: Page, seconds: float) -> None:
    page.get_by_label("Record audio").click()
    page.locator("#audio button.record-button").click()
    page.wait_for_timeout(seconds * 1000)
    page.locator("#audio button.stop-button:visible").click()
    expect(page.locator("#ask")).to_be_enabled()


def upload(page: Page, path) -> None:
    page.locator("#audio input[type=file]").set_input_files(str(path))
    expect(page.locator("#attach")).to_be_enabled()


def type_question(page: Page, question: str) -> None:
    page.get_by_label("Question").fill(question)
    expect(page.locator("#ask")).to_be_enabled()


def ask(page: Page, question: str) -> None:
    """Ask and wait for the whole answer."""
    type_question(page, question)
    page.locator("#ask").click()
    expect(page.locator("#chat")).to_contain_text(f"You asked «{question}»")
    wait_until_done(page)


def wait_until_done(page: Page) -> None:
    expect(page.locator("#regenerate")).to_be_enabled()
    expect(page.locator("#stop")).to_be_disabled()


def replies(page: Page) -> list[str]:
    return page.locator("#chat [data-testid=bot]").all_inner_texts()


def heard(reply: str) -> tuple[int, float, float]:
    """Recordings, seconds and level that the fake says it heard."""
    found = re.search(r"heard (\d+) rec.* lasts ([\d.]+) s at a level of ([\d.]+)\.", reply)
    assert found, reply
    return int(found[1]), float(found[2]), float(found[3])


def bar_traces(page: Page) -> int:
    page.locator("#router-chart .js-plotly-plot .bars").first.wait_for()
    return page.locator("#router-chart .js-plotly-plot .trace.bars").count()


def test_two_recordings_from_the_microphone_in_one_conversation(visit, assistant):
    assistant.step_seconds = 0.06
    page = visit()
    record(page, 2)
    page.evaluate(WATCH_CHAT)
    ask(page, "What sound is this?")
    whole = replies(page)[0]
    streamed = page.evaluate("[...window.streamed]")
    assert len(streamed) > 3
    assert all(whole.startswith(text) for text in streamed if text.startswith("You"))
    count, seconds, level = heard(whole)
    assert count == 1
    assert 1 < seconds < 6
    assert level > 0.01
    assert bar_traces(page) == len(assistant.encoder_names)
    page.locator("#heard-picture .js-plotly-plot .heatmaplayer image").wait_for()

    record(page, 1.2)
    ask(page, "And this?")
    count, seconds, level = heard(replies(page)[1])
    assert count == 2
    assert seconds < 5
    assert level > 0.01
    assert page.locator("#chat .minimal-audio-player").count() == 2
    assert page.faults == []


def test_planar_files_of_eight_channels_are_answered_and_so_is_the_next_visitor(
    visit, assistant, tmp_path
):
    page = visit()
    # the page's recorder takes no .mp4; what is in it is the same
    sound = shutil.copy(FIXTURES / "opus8.mp4", tmp_path / "opus8.m4a")
    files = (FIXTURES / "aac8.m4a", sound, FIXTURES / "vorbis8.mka")
    for number, name in enumerate(files, start=1):
        upload(page, name)
        ask(page, f"What is number {number}?")
        count, seconds, _ = heard(replies(page)[-1])
        assert count == number
        assert seconds == pytest.approx(3.0, abs=0.1)
    second = visit()
    upload(second, write_tone(tmp_path / "tone.wav", 2.0))
    ask(second, "And mine?")
    assert heard(replies(second)[0])[:2] == (1, 2.0)
    assert page.faults == second.faults == []


def test_two_visitors_at_once_never_see_each_other(visit, assistant, tmp_path):
    assistant.step_seconds = 0.04
    pages = visit(), visit()
    for page, name, seconds in zip(pages, ("mine", "yours"), (2.0, 3.0), strict=True):
        upload(page, write_tone(tmp_path / f"{name}.wav", seconds))
        type_question(page, f"Whose is {name}?")
    for page in pages:
        page.locator("#ask").click()
    for page in pages:
        wait_until_done(page)
    mine, yours = (page.locator("body").inner_text() for page in pages)
    assert "Whose is mine?" in mine
    assert "2.00 s" in mine
    assert "yours" not in mine
    assert "3.00 s" not in mine
    assert "Whose is yours?" in yours
    assert "3.00 s" in yours
    assert "mine" not in yours
    assert assistant.most_working == 1  # one model, one answer at a time


def test_an_example_needs_no_recording_and_charts_follow(visit, assistant):
    page = visit()
    expect(page.locator("#heard-picture")).to_be_hidden()  # nothing empty is shown
    page.get_by_role("button", name="A long tone").click()
    expect(page.locator("#ask")).to_be_enabled()
    expect(page.get_by_label("Question")).to_have_value("Describe the audio.")
    page.locator("#ask").click()
    wait_until_done(page)
    assert heard(replies(page)[0])[1] == 40.0
    assert bar_traces(page) == len(assistant.encoder_names)
    page.get_by_role("button", name="Router probabilities as a table").click()
    expect(page.locator("#routing-table")).to_contain_text("whisper-tiny.en")
    facts = page.locator("#facts")
    expect(facts).to_contain_text("16 kHz mono, used as it is.")
    expect(facts).to_contain_text("First word")
    expect(facts).to_contain_text("preset fake; greedy, seed 0")
    assert page.faults == []


def test_suggestions_fill_the_question_and_settings_reach_the_model(visit, assistant):
    page = visit()
    expect(page.locator("#ask")).to_be_disabled()
    page.get_by_role("button", name="What language is spoken?").click()
    expect(page.locator("#ask")).to_be_enabled()
    page.get_by_role("button", name="Sampling and routing").click()
    expect(page.get_by_label("Seed")).to_be_editable()  # mounted when the accordion opens
    page.get_by_label("Seed").fill("41")
    page.get_by_label("number input for Temperature").fill("0.5")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Seed")).to_have_value("41")
    page.get_by_label("Routing", exact=True).click()
    page.get_by_role("option", name="only speaker").click()
    page.locator("#ask").click()
    wait_until_done(page)
    turns, sampling, control = assistant.seen[-1]
    assert turns[-1].text == "What language is spoken?"
    assert (sampling.seed, sampling.temperature) == (41, 0.5)
    assert control.force == ("speaker",)
    page.locator("#regenerate").click()
    expect(page.get_by_label("Seed")).to_have_value("42")
    wait_until_done(page)
    assert assistant.seen[-1][1].seed == 42


def test_several_recordings_go_with_one_question(visit, assistant, tmp_path):
    page = visit()
    upload(page, write_tone(tmp_path / "first.wav", 2.0))
    page.locator("#attach").click()
    expect(page.locator("#attached")).to_contain_text("1. first.wav")
    upload(page, write_tone(tmp_path / "second.wav", 3.0))
    ask(page, "Which is longer?")
    assert heard(replies(page)[0])[:2] == (2, 3.0)
    expect(page.locator("#attached")).to_be_hidden()
    page.get_by_label("Recording shown below").click()
    page.get_by_role("option", name="1. first.wav").click()
    picture = page.locator("#heard-picture .js-plotly-plot")
    expect(picture.locator(".x2tick").last).to_have_text("2")


def test_a_bad_upload_is_one_sentence_and_the_next_question_works(visit, assistant, tmp_path):
    page = visit()
    bad = tmp_path / "words.wav"
    bad.write_text("these are words, not sound. " * 50)
    upload(page, bad)
    type_question(page, "What is this?")
    page.locator("#ask").click()
    toast = page.get_by_test_id("toast-text")
    expect(toast).to_contain_text("words.wav holds text")
    assert toast.inner_text().count("\n") == 0
    assert replies(page) == []
    page.get_by_test_id("toast-close").click()
    page.locator("#audio").get_by_label("Clear").click()
    upload(page, write_tone(tmp_path / "good.wav", 2.0))
    ask(page, "And this?")
    assert heard(replies(page)[0])[1] == 2.0


def test_a_refused_question_stays_where_it_can_be_changed(visit, assistant):
    page = visit()
    type_question(page, "why " * 80)
    page.locator("#ask").click()
    expect(page.get_by_test_id("toast-text")).to_contain_text("at most 200 are allowed")
    expect(page.locator("#ask")).to_be_enabled()
    expect(page.get_by_label("Question")).to_have_value("why " * 80)
    expect(page.locator("#chat")).not_to_contain_text("why")


def test_words_are_shown_as_words(visit, assistant):
    page = visit()
    ask(page, "<img src=x onerror=document.title='run'> **bold** ${document.title='run'}")
    expect(page.locator("#chat")).to_contain_text("**bold** ${document.title")
    assert page.title() == "MoWE-Audio"
    assert page.locator("#chat [data-testid=bot] img").count() == 0


def test_stop_stops_the_model_and_keeps_the_words(visit, assistant):
    assistant.words, assistant.step_seconds = 400, 0.05
    page = visit()
    type_question(page, "What can you do?")
    page.locator("#ask").click()
    expect(page.locator("#chat")).to_contain_text("You asked")
    page.locator("#stop").click()
    assert assistant.wait_until_idle(60)
    made = assistant.steps
    wait_until_done(page)
    assert assistant.steps == made
    assert "You asked" in replies(page)[0]
    assistant.words = 5
    ask(page, "And now?")
    assert len(replies(page)) == 2


def test_closing_the_tab_stops_the_model(visit, assistant):
    assistant.words, assistant.step_seconds = 400, 0.05
    page = visit()
    type_question(page, "What can you do?")
    page.locator("#ask").click()
    expect(page.locator("#chat")).to_contain_text("You asked")
    page.close()
    assert assistant.wait_until_idle(60)


def test_clear_while_an_answer_streams_leaves_nothing_behind(visit, assistant, tmp_path):
    assistant.words, assistant.step_seconds = 400, 0.05
    page = visit()
    upload(page, write_tone(tmp_path / "tone.wav", 2.0))
    type_question(page, "Is this kept?")
    page.locator("#ask").click()
    expect(page.locator("#chat")).to_contain_text("You asked")
    page.locator("#clear").click()
    assert assistant.wait_until_idle(60)
    expect(page.locator("#chat")).not_to_contain_text("You asked")
    expect(page.locator("#results")).to_be_hidden()
    assistant.words = 3
    ask(page, "Who is there?")
    assert [turn.text for turn in assistant.seen[-1][0]] == ["Who is there?"]


def test_ask_is_enabled_once_there_is_something_to_ask(visit, assistant, tmp_path):
    assistant.words, assistant.step_seconds = 400, 0.05
    page = visit()
    ask_button, attach = page.locator("#ask"), page.locator("#attach")
    expect(ask_button).to_be_disabled()
    page.get_by_label("Question").fill("  ")
    expect(page.get_by_label("Question")).to_have_value("  ")
    expect(ask_button).to_be_disabled()
    type_question(page, "Why?")
    expect(attach).to_be_disabled()
    page.get_by_label("Question").fill("")
    expect(ask_button).to_be_disabled()
    upload(page, write_tone(tmp_path / "tone.wav", 2.0))
    expect(ask_button).to_be_enabled()
    attach.click()  # the recording becomes a ticked box
    expect(attach).to_be_disabled()
    expect(ask_button).to_be_enabled()
    page.locator("#attached input").uncheck()
    expect(ask_button).to_be_disabled()
    page.locator("#attached input").check()
    type_question(page, "Why?")
    ask_button.click()
    expect(page.locator("#chat")).to_contain_text("You asked")
    page.get_by_label("Question").fill("And this?")
    expect(page.get_by_label("Question")).to_have_value("And this?")
    expect(ask_button).to_be_disabled()  # until the answer is written
    page.locator("#stop").click()
    expect(ask_button).to_be_enabled()


def test_what_a_visitor_types_makes_no_request(visit, assistant):
    page = visit()
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    type_question(page, "Who is there?")
    page.get_by_label("Question").fill("")
    expect(page.locator("#ask")).to_be_disabled()
    assert not [url for url in sent if "/run/" in url or "/queue/" in url]


def test_regenerate_replaces_the_answer_and_the_download_holds_it(visit, assistant, tmp_path):
    page = visit()
    expect(page.locator("#regenerate")).to_be_disabled()
    upload(page, write_tone(tmp_path / "tone.wav", 2.0))
    ask(page, "What sound is this?")
    asked = len(assistant.seen)
    page.locator("#regenerate").click()
    expect(page.locator("#regenerate")).to_be_disabled()
    wait_until_done(page)
    assert len(assistant.seen) == asked + 1
    assert len(replies(page)) == 1
    with page.expect_download() as started:
        page.locator("#download").click()
    saved = json.loads(started.value.path().read_text(encoding="utf-8"))
    assert started.value.suggested_filename == "mowe-conversation.json"
    assert [turn["role"] for turn in saved["turns"]] == ["user", "assistant"]
    assert saved["turns"][1]["answer"]["text"] == replies(page)[0].strip()
    page.locator("#clear").click()
    expect(page.locator("#download")).to_be_disabled()
    expect(page.locator("#regenerate")).to_be_disabled()


@pytest.mark.parametrize("query", ["?__theme=light", "?__theme=dark"])
def test_a_phone_shows_the_whole_page_without_scrolling_sideways(visit, assistant, query):
    page = visit(PHONE, query)
    page.get_by_role("button", name="A long tone").click()
    expect(page.locator("#ask")).to_be_enabled()
    page.locator("#ask").click()
    wait_until_done(page)
    assert bar_traces(page) == len(assistant.encoder_names)
    for table in ("Router probabilities as a table", "What the model heard as a table"):
        page.get_by_role("button", name=table).click()
    page.get_by_role("button", name="Sampling and routing").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    wide = """[...document.querySelectorAll('button, input, textarea, .js-plotly-plot')]
        .filter(one => one.offsetParent)
        .filter(one => !one.closest('.table-wrap, [role=grid], .visually-hidden'))
        .map(one => one.getBoundingClientRect())
        .filter(box => box.right > innerWidth + 1).length"""
    assert page.evaluate(wide) == 0
    dark = page.evaluate("document.body.classList.contains('dark')")
    assert dark is query.endswith("dark")
    assert page.faults == []


@pytest.mark.parametrize(("viewport", "query"), [(DESKTOP, ""), (PHONE, "?__theme=dark")])
def test_a_records_file_shows_who_is_chosen_for_what(visit, tmp_path, viewport, query):
    fake, path = FakeAssistant(step_seconds=0.0), tmp_path / "records.parquet"
    recording = load_audio(write_tone(tmp_path / "tone.wav", 2.0))
    file = RecordsFile(path, fake.preset, fake.encoder_names)
    answer = fake._answer([Turn("user", "", (recording,))], Sampling(), None)
    evil = "<img src=x onerror=document.title='taken'>"
    for number, task in enumerate(["transcribe", evil] * 4):
        file.add(LabelledClip(Path(f"{number}.wav"), labels={"task": task}), str(number), answer)
    file.close()
    page = visit(viewport, query)
    open_tab(page, "Specialisation")
    expect(page.locator("#records-hint")).to_contain_text("python -m mowe route")
    expect(page.locator("#usage-chart")).to_be_hidden()  # nothing empty is shown
    page.locator("#records-file input[type=file]").set_input_files(str(path))
    heatmap = page.locator("#share-heatmap .js-plotly-plot")
    expect(heatmap).to_contain_text("nats shared")
    expect(page.get_by_label("Records", exact=True)).to_have_value(re.compile("^8 windows of 8"))
    page.get_by_role("button", name="Share of each encoder as a table").click()
    expect(page.locator("#share-table")).to_contain_text(evil)
    assert page.title() == "MoWE-Audio"
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= viewport["width"]
    assert page.faults == []


def test_every_button_and_field_has_a_name(visit, assistant):
    page = visit()
    nameless = """[...document.querySelectorAll('button, input, textarea')]
        .filter(one => one.offsetParent && !one.innerText && !one.ariaLabel && !one.title
            && !one.labels?.length && !one.getAttribute('aria-labelledby'))
        .map(one => one.outerHTML.slice(0, 120))"""
    assert page.evaluate(nameless) == []


def test_the_real_model_answers_a_recording_and_a_follow_up(visit, tmp_path):
    from mowe.assistant import load

    real = load("tiny-random", device="cpu", untrained=True)
    with serve(real, write_examples(tmp_path / "examples")) as url:
        page = visit(url=url)
        for question, count in (("What sound is this?", 1), ("And this?", 2)):
            record(page, 1.5)
            type_question(page, question)
            page.locator("#ask").click()
            expect(page.locator("#chat [data-testid=bot]")).to_have_count(count)
            wait_until_done(page)
            assert bar_traces(page) == len(real.encoder_names)
        expect(page.locator("#facts")).to_contain_text("preset tiny-random; greedy, seed 0")
        assert page.faults == []

"""Two visitors where there is room for one: the first is told, and goes on with the same file."""

import pytest
from browsing import visits
from fakes import FakeAssistant
from playwright.sync_api import expect
from serving import serve, write_examples, write_tone


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    examples = write_examples(tmp_path_factory.mktemp("examples"))
    with serve(FakeAssistant(step_seconds=0.0), examples, max_kept_bytes=3 * 32_000) as url:
        yield url


def ask(page, path, question):
    if path:
        page.locator("#audio input[type=file]").set_input_files(path)
        expect(page.locator("#audio .waveform-container, #audio audio").first).to_be_attached()
    page.locator("#question textarea").fill(question)
    expect(page.locator("#ask")).to_be_enabled()
    page.locator("#ask").click()


def wait_until_settled(page):
    """What an answer that is still being written holds cannot be let go."""
    expect(page.locator("#regenerate")).to_be_enabled()
    expect(page.locator("#stop")).to_be_disabled()


def test_who_was_idle_is_told_and_goes_on_with_the_same_file(browser, served, tmp_path):
    mine, other = (str(write_tone(tmp_path / name, 2.0)) for name in ("mine.wav", "other.wav"))
    replies = ".bot.message"
    with visits(browser, served) as visit:
        first, second = visit(), visit()
        ask(first, mine, "What sound is this?")
        expect(first.locator(replies)).to_contain_text("2.00 s")
        wait_until_settled(first)
        ask(second, other, "What sound is this?")
        expect(second.locator(replies)).to_contain_text("2.00 s")
        wait_until_settled(second)
        ask(first, None, "And why?")
        said = first.locator("[data-testid=toast-body]")
        expect(said).to_contain_text("mine.wav had to make room")
        expect(first.locator(replies)).to_have_count(1)
        ask(first, mine, "And why?")
        expect(first.locator(replies)).to_have_count(2)
        expect(first.locator(replies).last).to_contain_text("1 recording(s)")
        assert first.faults == []

"""The Experiments tab in a real browser."""

import re

import pytest
from browsing import DESKTOP, PHONE, open_tab, visits
from experimenting import comparison, drivers, result, write_results
from fakes import FakeAssistant
from playwright.sync_api import Page, expect
from serving import serve, write_examples

LONG = "in the manner of whoever has such a name, without amazon-queen"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("experiments")
    more = [comparison(LONG, "paper", -0.08, "worse"), comparison("dense", "paper", 0, "undecided")]
    files = {
        "worth": result(),
        "losses": result(experiment="losses", claim="Losses matter", comparisons=more),
        "damaged": "{",
    }
    results = write_results(folder / "results", **files)
    write_results(folder, drivers=drivers())
    examples = write_examples(folder / "examples")
    with serve(FakeAssistant(step_seconds=0.0), examples, results_folder=results) as url:
        yield url


@pytest.fixture
def visit(browser, served):
    """Opens the Experiments tab as a new visitor."""
    with visits(browser, served) as open_page:

        def open_experiments(*where) -> Page:
            page = open_page(*where)
            open_tab(page, "Experiments")
            # the first figure waits for Plotly's own script, 4.6 MB
            expect(plot(page, "forest")).to_contain_text("better")
            return page

        yield open_experiments


def plot(page: Page, name: str):
    return page.locator(f"#{name}-chart .js-plotly-plot")


def choose(page: Page, dropdown: str, name: str) -> None:
    page.locator(f"#{dropdown} input").click()
    page.get_by_role("option", name=name, exact=True).click()


@pytest.mark.parametrize(("viewport", "query"), [(DESKTOP, ""), (PHONE, "?__theme=dark")])
def test_claims_open_filled_and_another_one_takes_their_place(visit, viewport, query):
    page = visit(viewport, query)
    expect(page.locator("#experiments-notice")).to_contain_text("Left out: results/damaged.json")
    expect(page.locator("#experiments-overview tbody tr")).to_have_count(2)
    verdict = page.locator("#experiment-verdict")
    expect(verdict).to_contain_text("Holds at this scale: paper is better than base only, +0.060")
    expect(plot(page, "accuracy")).to_contain_text("72")
    expect(plot(page, "hearing")).to_contain_text("speaker")
    choose(page, "hearing-arm", "dense")
    expect(plot(page, "hearing")).to_contain_text("50")
    place = """() => document.querySelector('#experiment-choice').getBoundingClientRect().top
        + scrollY"""
    before = page.evaluate(place)
    choose(page, "experiment-choice", "fast: losses")
    expect(verdict).to_contain_text("Losses matter")
    expect(plot(page, "forest")).to_contain_text("undecided")
    expect(plot(page, "forest")).not_to_contain_text("better")
    assert page.evaluate(place) == before  # nothing jumps
    expect(page.locator("#driven-answer")).to_contain_text("paper: No.")
    choose(page, "driven-choice", "Which part of the spectrogram decides?")
    expect(plot(page, "driven")).to_contain_text("200-400 Hz")
    for table in page.get_by_role("button", name=re.compile("as a table")).all():
        if table.is_visible():
            table.click()
    expect(page.locator("#forest-table")).to_contain_text(LONG)
    expect(page.locator("#accuracy-table")).to_contain_text("0.72")
    page.get_by_role("button", name="How it was made").click()
    expect(page.locator("#experiment-made")).to_contain_text("mowe experiments run losses")
    page.wait_for_function(  # the tables are laid out
        "width => document.documentElement.scrollWidth <= width", arg=viewport["width"]
    )
    wide = """[...document.querySelectorAll(
        ':is(#experiments, #driven) :is(button, input, .js-plotly-plot, #experiments-overview td)')]
        .filter(one => one.offsetParent && !one.closest('.table-wrap, [role=grid]'))
        .map(one => [one.getBoundingClientRect().right, one.outerHTML.slice(0, 100)])
        .filter(([right]) => right > innerWidth + 1)"""
    assert page.evaluate(wide) == []
    assert page.evaluate("document.body.classList.contains('dark')") is query.endswith("dark")
    assert page.faults == []

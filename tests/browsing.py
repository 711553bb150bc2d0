"""A real browser for tests: a microphone that plays a tone, and visitors who leak nothing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright
from serving import write_tone

SWITCHES = [
    "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
    "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
]  # fmt: skip
PATIENCE = 90_000  # ms; machines that run tests are busy
expect.set_options(timeout=PATIENCE)
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}


@contextmanager
def open_browser(chromium: str, folder: Path) -> Iterator[Browser]:
    """Start Chromium.

    Args:
        chromium: Its path.
        folder: Where the sound of its microphone is written.
    """
    voice = write_tone(folder / "voice.wav", 3.0, rate=48_000)
    switches = [*SWITCHES, f"--use-file-for-fake-audio-capture={voice}"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=switches)
        yield browser
        browser.close()


@contextmanager
def visits(browser: Browser, served: str) -> Iterator[Callable[..., Page]]:
    """Opens pages as new visitors; no request may leave the machine, whatever a test does.

    A page has `faults`, every error of its scripts and its console.
    """
    contexts, strays = [], []

    def note_request(request):
        if not request.url.startswith(("http://127.0.0.1:", "data:", "blob:")):
            strays.append(request.url)

    def open_page(viewport=DESKTOP, query="", url=served) -> Page:
        context = browser.new_context(viewport=viewport, permissions=["microphone"])
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        context.on("request", note_request)
        page, faults = context.new_page(), []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda said: said.type == "error" and faults.append(said.text))
        page.goto(url + query)
        expect(page.locator("#ask")).to_be_visible()
        page.faults = faults
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert strays == []


# resolves when what a selector finds has kept its number, place and size for ten frames
_STILL = """selector => new Promise(done => {
    let before = "", frames = 0;
    const look = () => {
        const found = [...document.querySelectorAll(selector)];
        const now = JSON.stringify(found.map(one => one.getBoundingClientRect()));
        frames = now === before ? frames + 1 : 0;
        before = now;
        frames < 10 ? requestAnimationFrame(look) : done();
    };
    look();
})"""


def wait_until_still(page: Page, selector: str) -> None:
    """Wait until what is there has been drawn in its last place."""
    page.evaluate(_STILL, selector)


def open_tab(page: Page, name: str) -> None:
    """Open a tab, from the menu of those that do not fit where it is there."""
    tab = page.get_by_role("tab", name=name, exact=True)
    more = page.locator(".overflow-menu > button")
    expect(tab.or_(more).first).to_be_visible()
    wait_until_still(page, "[role=tab]")  # which of them fit is measured after they are drawn
    if tab.is_visible():
        tab.click()
    else:
        more.click()
        page.locator(".overflow-dropdown").get_by_text(name, exact=True).click()

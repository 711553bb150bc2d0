"""Takes the pictures of every tab in docs/images: `python docs/screenshots.py [--model mini]`.

Needs Chromium; `MOWE_CHROMIUM` names one that is not on the path.
"""

import argparse
import os
import shutil
import socket
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from playwright.sync_api import Browser, Page, sync_playwright  # noqa: E402

from mowe import ui  # noqa: E402
from mowe.assistant import DEFAULT_CHECKPOINT, load  # noqa: E402
from mowe.ui.shared.examples import FOLDER, read_examples  # noqa: E402

IMAGES = ROOT / "docs" / "images"
RECORDS = ROOT / "assets" / "map" / "records.parquet"
CLIPS = [FOLDER / name for name in ("rooster.ogg", "speech-game.flac", "digits.flac")]
VIEWS = (
    ("desktop", {"width": 1280, "height": 900}, "?__theme=light"),
    ("phone", {"width": 390, "height": 844}, "?__theme=light"),
    ("dark", {"width": 1280, "height": 900}, "?__theme=dark"),
)
PATIENCE = 180_000  # ms for one answer
SETTLE = 2_000  # ms for charts to be drawn
QUALITY = 72  # of the JPEG


def ask(page: Page) -> None:
    """Ask about the first example."""
    page.get_by_role("button", name=read_examples()[0].title, exact=True).click()
    page.locator("#ask:enabled").click()
    page.locator("#regenerate:enabled").wait_for()
    page.locator("#heard-picture .js-plotly-plot").wait_for()


def routing(page: Page) -> None:
    """Compare three clips."""
    page.locator("#clips input[type=file]").set_input_files([str(one) for one in CLIPS])
    page.locator("#show-routing:enabled").click()
    page.locator("#comparison-chart .js-plotly-plot").wait_for()


def plane(page: Page) -> None:
    """Place a clip on the map, and hear the recording nearest to it."""
    page.locator("#map canvas").first.wait_for()
    page.locator("#map-own input[type=file]").set_input_files(str(CLIPS[0]))
    page.locator("#map-place:enabled").click()
    page.locator("#map-list [role=gridcell]").first.click()
    page.locator("#map-picture .js-plotly-plot").wait_for()


def drivers(page: Page) -> None:
    """Look into one clip."""
    page.locator("#drivers-audio input[type=file]").set_input_files(str(CLIPS[0]))
    page.locator("#drivers-start").click()
    page.locator("#drivers-check .js-plotly-plot").wait_for()


def specialisation(page: Page) -> None:
    """Load the records of the map."""
    page.locator("#records-file input[type=file]").set_input_files(str(RECORDS))
    page.locator("#share-heatmap .js-plotly-plot").wait_for()


def experiments(page: Page) -> None:
    """Look at the first; without result files the tab says so, and that is the picture."""
    page.locator("#forest-chart .js-plotly-plot").or_(
        page.locator("#experiments-notice")
    ).wait_for()


def health(page: Page) -> None:
    """Load the records of the map."""
    page.locator("#health-records input[type=file]").set_input_files(str(RECORDS))
    page.locator("#collapse-chart .js-plotly-plot").wait_for()


TABS: dict[str, Callable[[Page], None]] = {
    "Ask": ask,
    "Routing": routing,
    "Map": plane,
    "Drivers": drivers,
    "Specialisation": specialisation,
    "Experiments": experiments,
    "Health": health,
}


def main() -> None:
    """Serve the page on a free port, use each tab in each view, save the pictures."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--model", default=DEFAULT_CHECKPOINT, help="preset, folder or repository")
    parser.add_argument("--tab", choices=TABS, action="append", help="only this one; repeatable")
    arguments = parser.parse_args()
    ui.use_private_temp_dir()
    assistant = load(arguments.model)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    app = ui.build_app(assistant)
    settings = ui.launch_settings(assistant.limits.max_bytes)
    app.launch(server_port=port, prevent_thread_lock=True, quiet=True, **settings)
    chromium = os.environ.get("MOWE_CHROMIUM") or shutil.which("chromium")
    IMAGES.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for tab in arguments.tab or TABS:
            for name, viewport, query in VIEWS:
                path = IMAGES / f"{tab.lower()}-{name}.jpg"
                take(browser, f"http://127.0.0.1:{port}/{query}", viewport, tab, path)
                print(path.relative_to(ROOT))
        browser.close()
    app.close(verbose=False)


def take(browser: Browser, url: str, viewport: dict[str, int], tab: str, path: Path) -> None:
    """Use a tab as a new visitor and save the whole page.

    Args:
        browser: A running Chromium.
        url: Of the page.
        viewport: Width and height, CSS pixels.
        tab: Its name.
        path: Where the picture goes.
    """
    context = browser.new_context(viewport=viewport)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(url)
    page.locator("#ask").wait_for()
    page.wait_for_timeout(500)  # which tabs fit is measured after they are drawn
    shown = page.get_by_role("tab", name=tab, exact=True)
    if not shown.is_visible():
        page.locator(".overflow-menu > button").click()
        shown = page.locator(".overflow-dropdown").get_by_text(tab, exact=True)
    shown.click()
    TABS[tab](page)
    page.wait_for_timeout(SETTLE)
    page.mouse.move(0, 0)
    page.screenshot(path=path, full_page=True, type="jpeg", quality=QUALITY)
    context.close()


if __name__ == "__main__":
    main()

"""Takes the pictures of the Ask page in docs/images: `python docs/screenshots.py [--model mini]`.

Needs Chromium; `MOWE_CHROMIUM` names one that is not on the path.
"""

import argparse
import os
import shutil
import socket
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from playwright.sync_api import Browser, sync_playwright  # noqa: E402

import ui  # noqa: E402
from mowe.assistant import DEFAULT_CHECKPOINT, load_assistant  # noqa: E402
from ui.examples import read_examples  # noqa: E402

IMAGES = ROOT / "docs" / "images"
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
VIEWS = (
    ("ask-desktop.png", DESKTOP, 1, "?__theme=light"),
    ("ask-phone.png", PHONE, 2, "?__theme=light"),
    ("ask-dark.png", DESKTOP, 1, "?__theme=dark"),
)
PATIENCE = 120_000  # ms for one answer
SETTLE = 1_500  # ms for charts to be drawn


def main() -> None:
    """Serve the page on a free port, ask about one example clip in each view, save the pictures."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--model", default=DEFAULT_CHECKPOINT, help="preset, folder or repository")
    parser.add_argument("--example", help="title of the clip to ask about; the first by default")
    arguments = parser.parse_args()
    ui.use_private_temp_dir()
    assistant = load_assistant(arguments.model)
    example = arguments.example or read_examples()[0].title
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    app = ui.build_app(assistant)
    settings = ui.launch_settings(assistant.limits.max_bytes)
    app.launch(server_port=port, prevent_thread_lock=True, quiet=True, **settings)
    chromium = os.environ.get("MOWE_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, viewport, scale, query in VIEWS:
            path = IMAGES / name
            take(browser, f"http://127.0.0.1:{port}/{query}", viewport, scale, example, path)
            print(path.relative_to(ROOT))
        browser.close()
    app.close(verbose=False)


def take(
    browser: Browser, url: str, viewport: dict[str, int], scale: int, example: str, path: Path
) -> None:
    """Ask about a clip as a new visitor and save the whole page.

    Args:
        browser: A running Chromium.
        url: Of the page.
        viewport: Width and height, CSS pixels.
        scale: Device pixels per CSS pixel.
        example: Title of the clip.
        path: Where the picture goes.
    """
    context = browser.new_context(viewport=viewport, device_scale_factor=scale)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(url)
    page.get_by_role("button", name=example, exact=True).click()
    page.locator("#ask:enabled").click()
    page.locator("#regenerate:enabled").wait_for()
    page.locator("#heard-picture .js-plotly-plot").wait_for()
    page.wait_for_timeout(SETTLE)
    path.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=path, full_page=True)
    context.close()


if __name__ == "__main__":
    main()

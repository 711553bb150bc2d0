"""Assembles the tabs, and the settings to serve them with."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from mowe.assistant import Assistant
from mowe.ui.ask.kept_audio import MAX_KEPT_BYTES, AudioBudget
from mowe.ui.ask.layout import build_ask_tab
from mowe.ui.drivers.layout import build_drivers_tab
from mowe.ui.experiments.layout import FOLDER as RESULTS_FOLDER
from mowe.ui.experiments.layout import build_experiments_tab
from mowe.ui.gate import Gate
from mowe.ui.health.layout import build_health_tab
from mowe.ui.map.layout import FOLDER as MAP_FOLDER
from mowe.ui.map.layout import build_map_tab
from mowe.ui.routing.layout import build_routing_tab
from mowe.ui.shared.examples import FOLDER
from mowe.ui.specialization.layout import build_specialization_tab
from mowe.ui.theme import STYLE_SHEET, build_theme

DELETE_CHECK_SECONDS, DELETE_AGE_SECONDS = 600, 3600  # visitors' files
MAX_WAITING = 24  # questions in the queue before new ones are refused
MAX_VISITORS = 500  # whose conversations are kept
HEADER = """<header class="masthead">
<svg viewBox="0 0 48 48" aria-hidden="true"><g stroke-width="5" stroke-linecap="round">
<path d="M6 20v8" stroke="#0072B2"/><path d="M15 12v24" stroke="#E69F00"/>
<path d="M24 5v38" stroke="#009E73"/><path d="M33 14v20" stroke="#D55E00"/>
<path d="M42 21v6" stroke="#CC79A7"/></g></svg>
<div><h1>MoWE-Audio</h1>
<p>Ask about a sound, and see which encoders listened to answer.</p></div></header>"""


def build_app(
    assistant: Assistant,
    examples_folder: Path = FOLDER,
    map_folder: Path = MAP_FOLDER,
    results_folder: Path = RESULTS_FOLDER,
    *,
    max_kept_bytes: int = MAX_KEPT_BYTES,
) -> gr.Blocks:
    """Assemble the tabs; loads nothing and launches nothing.

    Args:
        assistant: Answers for every visitor.
        examples_folder: Where the example clips and their list are.
        map_folder: Where a ready map is.
        results_folder: Where the result files of experiments are.
        max_kept_bytes: Bytes of audio, and of what was heard in it, that the conversations of all
            visitors keep together; above 115 MB, which is the audio that one visitor may keep.
    """
    budget = AudioBudget(max_kept_bytes)
    with gr.Blocks(
        title="MoWE-Audio",
        analytics_enabled=False,
        delete_cache=(DELETE_CHECK_SECONDS, DELETE_AGE_SECONDS),
    ) as app:
        gr.HTML(HEADER, apply_default_css=False)
        if assistant.notice:
            gr.Markdown(f"**Note:** {assistant.notice}.", elem_id="notice")
        with gr.Tab("Ask"):
            build_ask_tab(assistant, budget, examples_folder)
        with gr.Tab("Routing"):
            build_routing_tab(assistant)
        with gr.Tab("Map") as plane:
            build_map_tab(assistant, plane, map_folder)
        with gr.Tab("Drivers"):
            build_drivers_tab(assistant, examples_folder)
        with gr.Tab("Specialisation"):
            build_specialization_tab()
        with gr.Tab("Experiments") as experiments:
            build_experiments_tab(experiments, results_folder)
        with gr.Tab("Health") as health:
            build_health_tab(assistant, health)
    return app.queue(max_size=MAX_WAITING, default_concurrency_limit=2, api_open=False)


def launch_settings(max_file_bytes: int) -> dict[str, Any]:
    """Arguments of `launch`: nothing leaves the machine, and nothing is shown that need not be.

    Args:
        max_file_bytes: Largest upload.
    """
    return {
        "max_file_size": max_file_bytes,
        "state_session_capacity": MAX_VISITORS,
        "theme": build_theme(),
        "css_paths": [STYLE_SHEET],
        "footer_links": ["api", "settings"],
        "allowed_paths": [],
        "app_kwargs": {
            "openapi_url": None,
            "docs_url": None,
            "redoc_url": None,
            "middleware": [Middleware(Gate)],
        },
        "show_error": False,
        "enable_monitoring": False,
        "run_history": False,
        "strict_cors": True,
        "share": False,
        "ssr_mode": False,
        "pwa": False,
    }


def use_private_temp_dir() -> None:
    """Keep visitors' files in a folder only this user can read, removed when the program ends.

    Does nothing when `GRADIO_TEMP_DIR` already names one.
    """
    if not os.environ.get("GRADIO_TEMP_DIR"):
        folder = tempfile.mkdtemp(prefix="mowe-page-")  # made with mode 700
        os.environ["GRADIO_TEMP_DIR"] = folder
        atexit.register(shutil.rmtree, folder, ignore_errors=True)

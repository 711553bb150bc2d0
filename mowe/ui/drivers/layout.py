"""The Drivers tab: what in a recording drives the router, and what an encoder's share likes."""

from pathlib import Path
from typing import NamedTuple

import gradio as gr
from gradio.events import Dependency

from mowe.analysis.attribution import figures as drawn
from mowe.analysis.attribution.activation import MAX_STEPS, SECONDS
from mowe.analysis.attribution.gradients import MIN_TOLERANCE, TOLERANCE
from mowe.assistant import Assistant
from mowe.ui.drivers.handlers import (
    DriversEvents,
    Explained,
    Imagined,
    best_clips,
    listen,
    stopped,
)
from mowe.ui.shared.examples import FOLDER
from mowe.ui.shared.records import load_records
from mowe.ui.shared.tables import table_of
from mowe.ui.shared.wiring import BUSY, KEPT_SECONDS, MODEL_QUEUE, QUIET

NOTHING = "This mixture chooses among no weak encoders, so nothing drives a choice."
CHOSEN = ("The one that the router prefers", "")
INTRODUCTION = """### Which parts of a recording drive the router

Every cell of the log-mel that the base encoder reads gets a share of the decision: orange speaks
for the encoder, blue for its strongest rival. Then hear the strongest cells alone, and the rest."""
HOW_TO_READ = f"""**Attribution.** Integrated gradients along the straight path from silence (the
log-mel of zeros) to the recording. What is attributed is the margin: the encoder's logit minus that
of its strongest rival. The softmax ignores what lifts all logits alike, so the margin is what the
choice hangs on. The cells must add up to the margin's change from silence; a gap of up to
{TOLERANCE:.0%} of it (at least {MIN_TOLERANCE:g} logits) is accepted and always shown. Quiet cells
differ from digital silence too, so padding can carry some as well: it is drawn, behind the dotted
line.

**Sounds.** The kept cells pass, all others are muted, with the recording's own phase. The model
would not hear them quite so: its floor follows the loudest cell.

**Check.** Cells are set to silence and the router is asked again. A faithful attribution has its
solid lines away from the dotted ones of as many random cells (mean of three draws); the title names
the largest such distance, the table has all. Recordings with holes are unlike any training sound,
so take both together."""
WARNING = """### What an encoder's share likes

A random input is changed step by step until the router gives the encoder more. **What comes out is
an input that the router likes, not a recording**: it says what pushes the router, not what the
encoder is good at. Routers can be pushed by patterns that no microphone would pick up; the last
column of the table is what the router says when it hears the input as a sound."""
CLIPS_HINT = """Beside it, real sounds: load records (`python -m mowe route FOLDER --out
records.parquet`) to list the recordings that give this encoder most."""


class Choice(NamedTuple):
    """What a visitor picks for a recording."""

    audio: gr.Audio
    encoder: gr.Dropdown
    window: gr.Number
    start: gr.Button
    stop: gr.Button


def build_drivers_tab(assistant: Assistant, examples_folder: Path = FOLDER) -> None:
    """Build the tab inside the current page.

    Args:
        assistant: Its router is looked into.
        examples_folder: Clips that say what real sounds are like.
    """
    names = list(assistant.encoder_names)
    if not names:
        gr.Markdown(NOTHING, elem_id="drivers-nothing")
        return
    events = DriversEvents(assistant, examples_folder)
    _build_attribution(names, events)
    _build_activation(names, events)


def _build_attribution(names: list[str], events: DriversEvents) -> None:
    gr.Markdown(INTRODUCTION)
    choice, found = _build_choice(names), gr.State(None, time_to_live=KEPT_SECONDS)
    status = gr.Textbox(label="Progress", interactive=False, elem_id="drivers-status")
    with gr.Column(visible=False, elem_id="drivers-results") as results:
        figure = gr.Plot(label="Attribution", elem_id="drivers-figure")
        with gr.Accordion("Strongest regions as a table", open=False):
            table = table_of(drawn.REGION_COLUMNS, "Strongest regions", "drivers-regions")
        adds_up = gr.Textbox(
            label="Does it add up?", interactive=False, lines=3, elem_id="drivers-sum"
        )
        percent = gr.Slider(
            1, 100, 10, step=1, label="Strongest cells to keep (%)", elem_id="drivers-percent"
        )
        cells = gr.Textbox(label="What they carry", interactive=False, elem_id="drivers-cells")
        with gr.Row():
            kept = _player("Only the strongest cells", "drivers-kept")
            rest = _player("Everything else", "drivers-rest")
        chart = gr.Plot(label="Check", elem_id="drivers-check")
        with gr.Accordion("Check as a table", open=False):
            check = table_of(drawn.DELETION_COLUMNS, "Check", "drivers-check-table")
        with gr.Accordion("How to read this", open=False):
            gr.Markdown(HOW_TO_READ)
    parts = Explained(
        found, status, results, figure, table, adds_up, cells, kept, rest, chart, check
    )
    running = choice.start.click(
        events.explain,
        [choice.audio, choice.encoder, choice.window, percent],
        [*parts],
        **MODEL_QUEUE,
        **QUIET,
    )
    _wire_stop(choice.stop, running, status)
    percent.release(
        listen, [found, percent], [cells, kept, rest], trigger_mode="always_last", **BUSY
    )


def _build_choice(names: list[str]) -> Choice:
    with gr.Row():
        audio = gr.Audio(
            label="Recording to look into", sources=["upload", "microphone"], type="filepath",
            elem_id="drivers-audio", min_width=300, buttons=[],
            waveform_options=gr.WaveformOptions(
                sample_rate=16_000, waveform_color="#9aa5b8", waveform_progress_color="#5a6ff0"
            ),
        )  # fmt: skip
        with gr.Column(min_width=300):
            encoder = gr.Dropdown(
                [CHOSEN, *names], value="", label="For which encoder", elem_id="drivers-encoder"
            )
            window = gr.Number(
                1, label="Window (the first 30 s are 1)", precision=0, minimum=1,
                elem_id="drivers-window",
            )  # fmt: skip
            with gr.Row():
                start = gr.Button("Show what drives it", variant="primary", elem_id="drivers-start")
                stop = gr.Button("Stop", elem_id="drivers-stop")
    return Choice(audio, encoder, window, start, stop)


def _build_activation(names: list[str], events: DriversEvents) -> None:
    gr.Markdown(WARNING)
    with gr.Row():
        with gr.Column(min_width=300):
            encoder = gr.Dropdown(
                names, value=names[0], label="Encoder to please", elem_id="liked-encoder"
            )
            steps = gr.Slider(5, MAX_STEPS, 100, step=5, label="Steps", elem_id="liked-steps")
            seed = gr.Number(0, label="Seed of the random start", precision=0, elem_id="liked-seed")
            with gr.Row():
                start = gr.Button("Make an input up", variant="primary", elem_id="liked-start")
                stop = gr.Button("Stop", elem_id="liked-stop")
            status = gr.Textbox(label="Progress", interactive=False, elem_id="liked-status")
            with gr.Column(visible=False, elem_id="liked-results") as results:
                figure = gr.Plot(label="Made-up log-mel", elem_id="liked-figure")
                with gr.Accordion("Probabilities as a table", open=False):
                    table = table_of(drawn.ACTIVATION_COLUMNS, "Probabilities", "liked-table")
                sound = _player(f"{SECONDS:g} s made up, not a recording", "liked-sound")
        with gr.Column(min_width=300):
            gr.Markdown(CLIPS_HINT)
            records = gr.File(
                label="Records of real sounds", file_types=[".parquet"], type="filepath",
                height=120, elem_id="liked-records",
            )  # fmt: skip
            clips = table_of(drawn.CLIP_COLUMNS, "Recordings that give it most", "liked-clips")
            clips.visible = False
    parts = Imagined(status, results, figure, table, sound)
    running = start.click(events.imagine, [encoder, steps, seed], [*parts], **MODEL_QUEUE, **QUIET)
    _wire_stop(stop, running, status)
    _wire_records(records, encoder, clips)


def _wire_stop(stop: gr.Button, running: Dependency, status: gr.Textbox) -> None:
    """Say so only after the end, or the last progress would overwrite it."""
    ended = stop.click(None, cancels=running, queue=False, **QUIET)
    ended.then(stopped, outputs=status, **QUIET)


def _wire_records(records: gr.File, encoder: gr.Dropdown, clips: gr.Dataframe) -> None:
    loaded = gr.State(None, time_to_live=KEPT_SECONDS)
    listed = (best_clips, [loaded, encoder], clips)
    records.upload(load_records, records, loaded, **BUSY).success(*listed, **QUIET)
    records.clear(lambda: None, outputs=loaded, **QUIET).success(*listed, **QUIET)
    encoder.input(*listed, **QUIET)


def _player(label: str, elem_id: str) -> gr.Audio:
    """Plays what was made; the page offers it for download, too."""
    return gr.Audio(
        label=label, interactive=False, format="wav", buttons=["download"], elem_id=elem_id,
        min_width=300,
    )  # fmt: skip

"""The Ask tab: its layout, and which handler each control calls."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
from gradio import utils

from mowe.assistant import Assistant, Sampling
from ui.ask_events import AskEvents, Buttons, Inputs
from ui.conversation import MAX_SECONDS, Conversation
from ui.examples import FOLDER, Example, copy_examples, read_examples
from ui.panel import Panel, build_panel
from ui.routing_control import LEARNED, routing_choices

MODEL = "model"  # every call of the model waits in this one queue
SUGGESTIONS = (
    "Transcribe the speech.",
    "What sound is this?",
    "What language is spoken?",
    "Is the speaker a man or a woman?",
    "Describe the audio.",
)
WELCOME = "Record or upload a sound, ask a question, and see which encoders listened."
QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}


class Settings(NamedTuple):
    """The controls of one answer, in the order in which handlers take them."""

    max_new_tokens: gr.Slider
    temperature: gr.Slider
    top_p: gr.Slider
    seed: gr.Number
    routing: gr.Dropdown


class States(NamedTuple):
    """What the server keeps for a visitor; a new page starts afresh."""

    conversation: gr.State
    busy: gr.State
    pending: gr.State


class Page(NamedTuple):
    """Every component that an event reads or writes."""

    states: States
    chat: gr.Chatbot
    inputs: Inputs
    attach: gr.Button
    clear: gr.Button
    buttons: Buttons
    settings: Settings
    panel: Panel


def build_ask_tab(assistant: Assistant, examples_folder: Path = FOLDER) -> None:
    """Build the tab inside the current page.

    Args:
        assistant: Answers; shared by all visitors, keeps nothing about them.
        examples_folder: Where the example clips and their list are.
    """
    events = AskEvents(assistant)
    states = States(
        gr.State(Conversation(), time_to_live=MAX_SECONDS),
        gr.State(False),
        gr.State((), time_to_live=MAX_SECONDS),
    )
    examples = read_examples(examples_folder)
    with gr.Row(elem_id="ask-columns"):
        with gr.Column(scale=3, min_width=320):
            clips = _build_examples(examples)
            chat = _build_chat()
            inputs, attach = _build_inputs(states.pending, assistant)
            buttons, clear = _build_buttons()
            settings = _build_settings(assistant)
            _build_sources(examples)
        with gr.Column(scale=2, min_width=320, elem_id="what-ran"):
            panel = build_panel(events.idle_facts)
    page = Page(states, chat, inputs, attach, clear, buttons, settings, panel)
    _wire_answers(page, events)
    _wire_inputs(page, events)
    _wire_examples(page, clips, examples, examples_folder)
    _add_endpoint(page, events)


def _build_chat() -> gr.Chatbot:
    return gr.Chatbot(
        label="Conversation",
        height=400,
        elem_id="chat",
        buttons=["copy", "copy_all"],  # no share button: it would publish the conversation
        placeholder=WELCOME,
        render_markdown=False,  # what the model writes and visitors type is text, nothing else
        latex_delimiters=[],
        feedback_options=None,
    )


def _build_inputs(pending: gr.State, assistant: Assistant) -> tuple[Inputs, gr.Button]:
    limits = assistant.limits
    allowed = f"up to {limits.max_seconds / 60:g} min or {limits.max_bytes / 1e6:g} MB"
    with gr.Row(elem_id="inputs"):
        with gr.Column(min_width=300):
            audio = gr.Audio(
                sources=["upload", "microphone"],
                type="filepath",
                label=f"Recording, {allowed}",
                buttons=["download"],
                waveform_options=gr.WaveformOptions(
                    sample_rate=16000, waveform_color="#9aa5b8", waveform_progress_color="#5a6ff0"
                ),
                elem_id="audio",
            )
            attached = gr.CheckboxGroup(
                [], label="Also part of this question", visible=False, elem_id="attached"
            )
            attach = gr.Button(
                "Add another recording", size="sm", interactive=False, elem_id="attach"
            )
        with gr.Column(min_width=300):
            question = gr.Textbox(
                label="Question",
                placeholder="Ask about the recording, or pick a task below",
                lines=2,
                max_lines=6,
                submit_btn=False,
                elem_id="question",
            )
            with gr.Row(elem_classes="chips", elem_id="suggestions"):
                for suggestion in SUGGESTIONS:
                    chip = gr.Button(suggestion, size="sm", min_width=80)
                    chip.click(
                        None, outputs=question, js=f"() => {json.dumps(suggestion)}", **QUIET
                    )
    return Inputs(audio, pending, attached, question), attach


def _build_buttons() -> tuple[Buttons, gr.Button]:
    with gr.Row(elem_id="actions"):
        ask = gr.Button("Ask", variant="primary", interactive=False, min_width=96, elem_id="ask")
        stop = gr.Button("Stop", variant="stop", interactive=False, min_width=96, elem_id="stop")
        regenerate = gr.Button("Regenerate", interactive=False, min_width=96, elem_id="regenerate")
        clear = gr.Button("Clear", min_width=96, elem_id="clear")
        download = gr.DownloadButton(
            "Download JSON", interactive=False, min_width=96, elem_id="download"
        )
    return Buttons(ask, stop, regenerate, download), clear


def _build_examples(examples: list[Example]) -> list[gr.Button]:
    with gr.Row(elem_classes="chips", elem_id="examples", visible=bool(examples)):
        return [gr.Button(example.title, size="sm", min_width=80) for example in examples]


def _build_sources(examples: list[Example]) -> None:
    """What the clips are, for people and for their licences."""
    if not examples:
        return
    rows = [[one.title, one.expected, one.licence, one.attribution] for one in examples]
    with gr.Accordion("Where the example clips come from", open=False):
        gr.Dataframe(
            rows, headers=["Clip", "What is in it", "Licence", "Source"], interactive=False,
            label="Example clips", show_label=False, wrap=True, buttons=[],
        )  # fmt: skip


def _build_settings(assistant: Assistant) -> Settings:
    default = Sampling()
    choices = routing_choices(assistant.encoder_names)
    with gr.Accordion("Sampling and routing", open=False, elem_id="settings"):
        return Settings(
            max_new_tokens=gr.Slider(
                1, 1000, value=default.max_new_tokens, step=1, label="Longest reply (tokens)"
            ),
            temperature=gr.Slider(
                0, 2, value=default.temperature, step=0.05, label="Temperature",
                info="0 always picks the likeliest word, so Regenerate then repeats the answer",
            ),
            top_p=gr.Slider(
                0.01, 1, value=default.top_p, step=0.01, label="Top-p",
                info="share of the probability that words are picked from; needs a temperature",
            ),
            seed=gr.Number(
                value=default.seed, precision=0, minimum=0, maximum=2**32 - 1, label="Seed"
            ),
            routing=gr.Dropdown(
                choices, value=LEARNED, label="Routing", interactive=True, elem_id="routing",
                info="force one weak encoder, or leave them all out, and compare the answers",
            ),
        )  # fmt: skip


def _wire_answers(page: Page, events: AskEvents) -> None:
    """Ask, Regenerate, Stop and Clear; the two that answer end in `settle` whatever happens."""
    states, inputs, buttons, settings = page.states, page.inputs, page.buttons, page.settings
    started = [states.conversation, states.busy, page.chat, *buttons[:3]]
    begin = gr.on(
        [buttons.ask.click, inputs.question.submit],
        events.begin,
        [states.conversation, states.busy, *inputs],
        started,
        concurrency_limit=2,
        **QUIET,
    )
    retract = buttons.regenerate.click(
        events.retract,
        [states.conversation, states.busy, settings.temperature, settings.seed],
        [*started, settings.seed],
        **QUIET,
    )
    settled = [
        states.conversation, states.busy, page.chat, inputs.audio, inputs.question, *buttons,
    ]  # fmt: skip
    answering = []
    for start in (begin, retract):
        answer = start.success(
            events.answer,
            [states.conversation, *settings],
            [states.conversation, page.chat, *inputs, *page.panel],
            concurrency_id=MODEL,
            concurrency_limit=1,
            api_visibility="private",
            show_progress="hidden",
        )
        answer.then(events.settle, [states.conversation, *inputs], settled, queue=False, **QUIET)
        answering.append(answer)
    buttons.stop.click(
        events.settle,
        [states.conversation, *inputs],
        settled,
        cancels=answering,
        queue=False,
        **QUIET,
    )
    gr.on(
        [page.clear.click, page.chat.clear],
        events.clear,
        None,
        [states.conversation, states.busy, page.chat, *inputs, *buttons, *page.panel],
        cancels=answering,
        queue=False,
        **QUIET,
    )


def _wire_inputs(page: Page, events: AskEvents) -> None:
    inputs = page.inputs
    gr.on(
        [inputs.audio.change, inputs.attached.change, inputs.question.change],
        events.ready,
        [page.states.busy, *inputs],
        [page.buttons.ask, page.attach],
        queue=False,
        trigger_mode="always_last",
        **QUIET,
    )
    page.attach.click(
        events.attach, [inputs.audio, inputs.pending, inputs.attached], [*inputs], queue=False,
        **QUIET,
    )  # fmt: skip
    page.panel.recording.input(
        events.show,
        [page.states.conversation, page.panel.recording],
        [*page.panel.views],
        **QUIET,
    )


def _wire_examples(
    page: Page, clips: list[gr.Button], examples: list[Example], folder: Path
) -> None:
    """A click fills in the clip and its question; nothing is asked yet."""
    paths = copy_examples(examples, folder, Path(utils.get_upload_folder()) / "examples")
    for clip, example, path in zip(clips, examples, paths, strict=True):
        pair = (str(path), example.question)
        clip.click(
            lambda pair=pair: pair,
            outputs=[page.inputs.audio, page.inputs.question],
            queue=False,
            **QUIET,
        )


def _add_endpoint(page: Page, events: AskEvents) -> None:
    """The public API: one question about one recording, without a conversation."""
    text = gr.Textbox(label="text", visible=False)
    details = gr.JSON(label="details", visible=False)
    gr.Button(visible=False).click(
        events.ask,
        [page.inputs.audio, page.inputs.question, *page.settings],
        [text, details],
        api_name="ask",
        concurrency_id=MODEL,
        concurrency_limit=1,
    )

"""The Ask tab: its layout, and which handler each control calls."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
from gradio import utils
from gradio.events import Dependency

from mowe.assistant import Assistant
from mowe.ui.ask.conversation import Conversation
from mowe.ui.ask.handlers import AskEvents, Buttons, Inputs
from mowe.ui.ask.kept_audio import AudioBudget
from mowe.ui.ask.panel import Panel, build_panel
from mowe.ui.ask.parts import (
    AnswerSettings,
    build_buttons,
    build_chat,
    build_examples,
    build_inputs,
    build_knowledge,
    build_settings,
    build_sources,
)
from mowe.ui.shared.examples import FOLDER, ExampleClip, copy_examples, read_examples
from mowe.ui.shared.wiring import KEPT_SECONDS, MODEL_QUEUE, QUIET

# Whether Ask and Add another recording can be pressed. The browser decides, by what it shows now:
# of two answers of a server, the one that read the page first could come last.
READY = """(busy, audio, attached, question) => {
  const button = interactive => ({__type__: "update", interactive});
  const something = audio || attached?.length || question?.trim();
  return [button(Boolean(something) && !busy), button(Boolean(audio))];
}"""


class AskStates(NamedTuple):
    """What is kept for a visitor; a new page starts afresh."""

    conversation: gr.State
    number: gr.State  # of the conversation; written by Clear alone
    busy: gr.Checkbox  # kept by the browser
    pending: gr.State


class Page(NamedTuple):
    """Every component that an event reads or writes."""

    states: AskStates
    chat: gr.Chatbot
    inputs: Inputs
    attach: gr.Button
    clear: gr.Button
    buttons: Buttons
    settings: AnswerSettings
    panel: Panel


def build_ask_tab(
    assistant: Assistant, budget: AudioBudget, examples_folder: Path = FOLDER
) -> None:
    """Build the tab inside the current page.

    Args:
        assistant: Answers; shared by all visitors, keeps nothing about them.
        budget: Of the audio that all visitors' conversations keep.
        examples_folder: Where the example clips and their list are.
    """
    events = AskEvents(assistant, budget)
    states = AskStates(
        gr.State(Conversation(), time_to_live=KEPT_SECONDS),
        gr.State(0),
        gr.Checkbox(False, visible=False),
        gr.State((), time_to_live=KEPT_SECONDS),
    )
    examples = read_examples(examples_folder)
    with gr.Row(elem_id="ask-columns"):
        with gr.Column(scale=3, min_width=320):
            clips = build_examples(examples)
            chat = build_chat(assistant.limits)
            inputs, attach = build_inputs(states.pending)
            buttons, clear = build_buttons()
            settings = build_settings(assistant)
            build_knowledge(assistant.card)
            build_sources(examples)
        with gr.Column(scale=2, min_width=320, elem_id="what-ran"):
            panel = build_panel(events.idle_facts)
    page = Page(states, chat, inputs, attach, clear, buttons, settings, panel)
    _wire_answers(page, events)
    _wire_inputs(page, events)
    _wire_examples(page, clips, examples, examples_folder)
    _add_endpoint(page, events)


def _wire_answers(page: Page, events: AskEvents) -> None:
    """Ask and Regenerate: a quick start, then the answer, then `settle` whatever happened."""
    states, panel = page.states, page.panel
    started = [states.conversation, states.busy, page.chat, *page.buttons[:3]]
    begin = gr.on(
        [page.buttons.ask.click, page.inputs.question.submit],
        events.begin,
        [*states[:3], *page.inputs],
        started,
        concurrency_limit=2,
        **QUIET,
    )
    heard = begin.success(
        events.heard,
        states.conversation,
        [panel.results, panel.recording, *panel.picture],
        concurrency_limit=2,
        **QUIET,
    )
    retract = page.buttons.regenerate.click(
        events.retract,
        [*states[:3], page.settings.temperature, page.settings.seed],
        [*started, page.settings.seed],
        **QUIET,
    )
    answers = [_wire_answer(page, events, start) for start in (begin, retract)]
    _settle(page, events, page.buttons.stop.click, cancels=answers)
    gr.on(
        [page.clear.click, page.chat.clear],
        events.clear,
        [states.conversation, states.number],
        [
            *states[:3], page.chat, *page.inputs, *page.buttons,
            panel.facts, panel.results,
        ],
        cancels=[*answers, heard],
        queue=False,
        **QUIET,
    )  # fmt: skip


def _wire_answer(page: Page, events: AskEvents, start: Dependency) -> Dependency:
    panel = page.panel
    answer = start.success(
        events.answer,
        [page.states.conversation, page.states.number, *page.settings],
        [
            page.states.conversation, page.chat, *page.inputs,
            panel.facts, *panel.routing, *panel.picture,
        ],
        **MODEL_QUEUE,
        **QUIET,
    )  # fmt: skip
    _settle(page, events, answer.success)  # `then` alone is not called after a failure
    _settle(page, events, answer.failure)
    return answer


def _settle(page: Page, events: AskEvents, listen: Callable[..., Any], **settings: Any) -> None:
    states, inputs = page.states, page.inputs
    settled = listen(
        events.settle,
        [states.conversation, states.number, *inputs],
        [
            states.conversation, states.busy, page.chat, inputs.audio, inputs.question,
            *page.buttons[1:],
        ],
        queue=False,
        **QUIET,
        **settings,
    )  # fmt: skip
    _check_ready(page, settled.then)


def _check_ready(page: Page, listen: Callable[..., Any]) -> None:
    inputs = page.inputs
    listen(
        None,
        [page.states.busy, inputs.audio, inputs.attached, inputs.question],
        [page.buttons.ask, page.attach],
        js=READY,
        **QUIET,
    )


def _wire_inputs(page: Page, events: AskEvents) -> None:
    inputs = page.inputs
    filled = [inputs.audio.change, inputs.attached.change, inputs.question.change]
    _check_ready(page, partial(gr.on, filled))
    page.attach.click(
        events.attach, [inputs.audio, inputs.pending, inputs.attached], [*inputs], queue=False,
        **QUIET,
    )  # fmt: skip
    page.panel.recording.input(
        events.show,
        [page.states.conversation, page.panel.recording],
        [*page.panel.routing, *page.panel.picture],
        **QUIET,
    )


def _wire_examples(
    page: Page, clips: list[gr.Button], examples: list[ExampleClip], folder: Path
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
    """The public API: a question about a recording, or its transcript; no conversation."""
    text = gr.Textbox(label="text", visible=False)
    details = gr.JSON(label="details", visible=False)
    gr.Button(visible=False).click(
        events.ask,
        [page.inputs.audio, page.inputs.question, *page.settings],
        [text, details],
        api_name="ask",
        **MODEL_QUEUE,
    )
    language = gr.Textbox(label="language", visible=False)
    translate = gr.Checkbox(label="translate", visible=False)
    gr.Button(visible=False).click(
        events.transcribe,
        [page.inputs.audio, language, translate],
        [text, details],
        api_name="transcribe",
        **MODEL_QUEUE,
    )

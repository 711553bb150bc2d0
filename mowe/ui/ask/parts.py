"""The pieces of the Ask tab, without what they do."""

import json
import re
from typing import NamedTuple

import gradio as gr

from mowe.assistant import Assistant, Sampling
from mowe.audio import AudioLimits
from mowe.hints.emotion import EMOTION
from mowe.ui.ask.handlers import Buttons, Inputs
from mowe.ui.ask.routing_control import LEARNED, routing_choices
from mowe.ui.shared.examples import ExampleClip
from mowe.ui.shared.wiring import QUIET

SUGGESTIONS = (
    "Transcribe the speech.",
    "What sound is this?",
    "What emotion does the speaker express?",
    "What language is spoken?",
    "Is the speaker a man or a woman?",
    "Describe the audio.",
)
EXAMPLES_SHOWN = 9  # the others are folded away
FORMATS = "wav, flac, mp3, ogg, opus, m4a or webm"
KNOWLEDGE = ("Trained on", "What it cannot do")  # sections of a model card that visitors see


TOLD = {
    "transcript": "what is said",
    "events": "what sounds",
    "voice": "whose voice",
    EMOTION: "how the voice feels",
}
EMOTION_TERMS = (
    "feelings are guessed by a part that learnt from actors (RAVDESS, CC BY-NC-SA 4.0): not for "
    "commercial use, and nothing to decide about people by"
)


class AnswerSettings(NamedTuple):
    """The controls of one answer, in the order in which handlers take them."""

    max_new_tokens: gr.Slider
    temperature: gr.Slider
    top_p: gr.Slider
    seed: gr.Number
    routing: gr.Dropdown
    hints: gr.CheckboxGroup


def build_chat(limits: AudioLimits) -> gr.Chatbot:
    """The conversation, with what may be recorded as its invitation."""
    allowed = f"up to {limits.max_seconds / 60:g} minutes and {limits.max_bytes / 1e6:g} MB"
    return gr.Chatbot(
        label="Conversation",
        show_label=False,  # it would lie over the first words
        height=400,
        elem_id="chat",
        buttons=["copy", "copy_all"],  # no share button: it would publish the conversation
        placeholder=f"Record a sound or upload one ({FORMATS}, {allowed}), then ask.",
        render_markdown=False,  # what the model writes and visitors type is text, nothing else
        latex_delimiters=[],
        feedback_options=None,
    )


def build_inputs(pending: gr.State) -> tuple[Inputs, gr.Button]:
    """Recording and question side by side; the button makes room for one more recording."""
    with gr.Row(elem_id="inputs"):
        with gr.Column(min_width=300):
            audio = gr.Audio(
                sources=["upload", "microphone"],
                type="filepath",
                label="Recording",
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
                placeholder="Type one, or pick a task",
                lines=1,  # so that Enter asks
                max_lines=6,
                elem_id="question",
            )
            with gr.Row(elem_classes="chips", elem_id="suggestions"):
                for suggestion in SUGGESTIONS:
                    chip = gr.Button(suggestion, size="sm", min_width=80)
                    chip.click(
                        None, outputs=question, js=f"() => {json.dumps(suggestion)}", **QUIET
                    )
    return Inputs(audio, pending, attached, question), attach


def build_buttons() -> tuple[Buttons, gr.Button]:
    """What can be done with an answer; Clear, which is always enabled, comes apart."""
    with gr.Row(elem_id="actions"):
        ask = gr.Button("Ask", variant="primary", interactive=False, min_width=96, elem_id="ask")
        stop = gr.Button("Stop", variant="stop", interactive=False, min_width=96, elem_id="stop")
        regenerate = gr.Button("Regenerate", interactive=False, min_width=96, elem_id="regenerate")
        clear = gr.Button("Clear", min_width=96, elem_id="clear")
        download = gr.DownloadButton(
            "Download JSON", interactive=False, min_width=96, elem_id="download"
        )
    return Buttons(ask, stop, regenerate, download), clear


def build_examples(examples: list[ExampleClip]) -> list[gr.Button]:
    """One small button per example; all but the first few are folded away."""
    with gr.Row(elem_classes="chips", elem_id="examples", visible=bool(examples)):
        buttons = [_chip(example) for example in examples[:EXAMPLES_SHOWN]]
    if len(examples) > EXAMPLES_SHOWN:
        with gr.Accordion("More examples", open=False), gr.Row(elem_classes="chips"):
            buttons += [_chip(example) for example in examples[EXAMPLES_SHOWN:]]
    return buttons


def _chip(example: ExampleClip) -> gr.Button:
    return gr.Button(example.title, size="sm", min_width=80)


def build_sources(examples: list[ExampleClip]) -> None:
    """What the clips are, for people and for their licences."""
    if not examples:
        return
    rows = [
        [one.title, one.question, one.expected, one.licence, one.attribution] for one in examples
    ]
    with gr.Accordion("Where the example clips come from", open=False):
        gr.Dataframe(
            rows, headers=["Clip", "Question", "What is right", "Licence", "Source"],
            interactive=False, label="Example clips", show_label=False, wrap=True, buttons=[],
        )  # fmt: skip


def build_knowledge(card: str) -> None:
    """What the model was trained on and cannot do, from its card."""
    parts = [part for title in KNOWLEDGE if (part := card_section(card, title))]
    if parts:
        with gr.Accordion("What the model knows, and from where", open=False, elem_id="knowledge"):
            gr.Markdown("\n\n".join(parts))


def card_section(card: str, title: str) -> str:
    """The section of a Markdown card under `## title`, links to files beside it as plain text."""
    _, found, rest = card.partition(f"\n## {title}\n")
    body = rest.split("\n## ", 1)[0].strip()
    body = re.sub(r"\[([^\]]+)\]\((?!https?:)[^)]+\)", r"\1", body)
    return f"**{title}**\n\n{body}" if found and body else ""


def build_settings(assistant: Assistant) -> AnswerSettings:
    """Sampling, routing and hints, folded away."""
    default = Sampling()
    choices = routing_choices(assistant.encoder_names)
    with gr.Accordion("Sampling and routing", open=False, elem_id="settings"):
        return AnswerSettings(
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
            hints=gr.CheckboxGroup(
                [(TOLD[name], name) for name in assistant.hints],
                value=[name for name in assistant.hints if name != EMOTION],
                label="Told in text", elem_id="hints",
                info="what the language model reads beside the sound itself"
                + (f"; {EMOTION_TERMS}" if EMOTION in assistant.hints else ""),
            ),
        )  # fmt: skip

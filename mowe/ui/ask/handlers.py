"""What happens on the Ask page, as plain functions of values; `layout` wires them to components."""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from mowe.assistant import Answer, Assistant, HeardMemory, Sampling, Turn
from mowe.audio import Recording
from mowe.hints import FORMATS, Transcript, as_dict
from mowe.model.control import RoutingControl
from mowe.ui.ask.conversation import Conversation, KeptTurn, Reply
from mowe.ui.ask.facts import answer_facts, idle_facts
from mowe.ui.ask.kept_audio import AudioBudget, require
from mowe.ui.ask.panel import Picture, RouterChart, picture_values, recording_choice, routing_values
from mowe.ui.ask.routing_control import routing_control, routing_words
from mowe.ui.ask.uploads import Uploads
from mowe.ui.shared.errors import plain_errors
from mowe.ui.shared.gpu import on_gpu, transcript_seconds
from mowe.ui.shared.values import downloadable, unchanged

MIN_UPDATE_SECONDS = 0.05  # between two updates of the page while words stream in
EXPORT_NAME = "mowe-conversation.json"


class Inputs(NamedTuple):
    """What a visitor fills in: components when building, their values in handlers."""

    audio: Any
    pending: Any  # state: paths of further recordings of the same question
    attached: Any  # which of them are ticked
    question: Any


class Buttons(NamedTuple):
    """The buttons that are not always enabled."""

    ask: Any
    stop: Any
    regenerate: Any
    download: Any


class AskEvents:
    """The handlers of one page around one assistant. Between calls only the budget remembers."""

    def __init__(self, assistant: Assistant, budget: AudioBudget | None = None) -> None:
        """Hold on to what all visitors share.

        Args:
            assistant: Answers.
            budget: Of the audio that conversations keep; without one, the default.
        """
        self.assistant = assistant
        self.budget = budget or AudioBudget()
        self.uploads = Uploads(assistant.limits, self.budget)
        self.idle_facts = idle_facts(assistant.preset, assistant.device, assistant.encoder_names)
        self.stream = on_gpu(self._stream)
        self.write_down = on_gpu(self._write_down, transcript_seconds)

    def _stream(
        self,
        turns: Sequence[Turn],
        sampling: Sampling,
        control: RoutingControl | None,
        memory: HeardMemory,
        hints: Sequence[str] | None,
    ) -> Iterator[Answer]:
        with plain_errors():  # here, since a lent GPU's process passes on no other error
            yield from self.assistant.stream(
                turns, sampling=sampling, control=control, memory=memory, hints=hints
            )

    def begin(
        self, conversation: Conversation, number: int, busy: bool, *inputs: Any
    ) -> tuple[Conversation, bool, list[dict[str, Any]], gr.Button, gr.Button, gr.Button]:
        """Read the recordings and put the question into the conversation."""
        if busy:
            raise gr.Error("An answer is being written; press Stop first.", print_exception=False)
        given = Inputs(*inputs)
        ticked = [path for n, path in enumerate(given.pending) if str(n) in given.attached]
        paths = [*ticked, given.audio] if given.audio else ticked
        conversation = conversation.current(number)
        with plain_errors():
            recordings = self.uploads.keep(conversation, paths)
            conversation = conversation.asked(given.question or "", recordings)
        return conversation, True, conversation.messages(), *_running()

    def retract(
        self,
        conversation: Conversation,
        number: int,
        busy: bool,
        temperature: float,
        seed: float,
    ) -> tuple[Any, ...]:
        """Take the last reply back to get another one, with the next seed where it matters."""
        conversation = conversation.current(number)
        if busy or not conversation.replies or conversation.waiting:
            raise gr.Error("There is no finished answer to replace.", print_exception=False)
        with plain_errors():
            require(conversation.recordings)
        conversation = conversation.retracted()
        next_seed = int(seed) + 1 if temperature else int(seed)
        return conversation, True, conversation.messages(), *_running(), next_seed

    def answer(
        self,
        conversation: Conversation,
        number: int,
        max_new_tokens: float,
        temperature: float,
        top_p: float,
        seed: float,
        routing: str,
        hints: Sequence[str],
    ) -> Iterator[tuple[Any, ...]]:
        """Stream the reply: conversation, chat, the emptied inputs, facts, routing, picture.

        Nothing more comes once Clear was pressed, even where it came too early to cancel this.
        """
        conversation = conversation.current(number)
        if not conversation.waiting:
            return
        with plain_errors():
            sampling = _sampling(max_new_tokens, temperature, top_p, seed)
            turns = self.uploads.turns(conversation)
        words = routing_words(routing, self.assistant.encoder_names)
        words += f"; told in text: {', '.join(hints) or 'nothing'}"
        newest = len(conversation.recordings) - 1
        shown, first = 0.0, True
        control, memory = routing_control(routing), conversation.memory
        answers = self.stream(turns, sampling, control, memory, tuple(hints))
        # a closed page or a Stop ends the decoding now, not at collection
        with self.budget.answering(conversation.kept), closing(answers):
            for answer in answers:
                if conversation.cleared.happened:
                    return
                now = time.monotonic()
                if not (first or answer.finished) and now - shown < MIN_UPDATE_SECONDS:
                    continue
                reply = Reply(answer, sampling, routing, tuple(hints))
                conversation = conversation.answered(reply)
                inputs = empty_inputs() if first else unchanged(Inputs)
                charts = routing_values(conversation, newest) if first else unchanged(RouterChart)
                timeline = answer.finished and len(answer.windows) > 1
                picture = self._picture(conversation, newest) if timeline else unchanged(Picture)
                facts = answer_facts(answer, sampling, words)
                yield conversation, conversation.messages(), *inputs, facts, *charts, *picture
                shown, first = now, False

    def heard(self, conversation: Conversation) -> tuple[Any, ...]:
        """Show what the model is about to hear, while it listens."""
        newest = len(conversation.recordings) - 1
        results = gr.Column(visible=newest >= 0)
        picture = self._picture(Conversation(conversation.turns), newest)
        return results, recording_choice(conversation), *picture

    def settle(self, conversation: Conversation, number: int, *inputs: Any) -> tuple[Any, ...]:
        """After an answer, a failure or a Stop: the page is free again.

        A question without any reply goes back to the question box, where it can be changed.
        """
        given = Inputs(*inputs)
        conversation = conversation.current(number)
        settled = conversation.settled()
        lost = conversation.turns[len(settled.turns) :]
        question = lost[0].text if lost and not given.question else gr.skip()
        audio = gr.skip() if given.audio else _first_path(lost) or gr.skip()
        export = _export(settled) if settled.replies else None
        return (
            settled, False, settled.messages(), audio, question,
            gr.Button(interactive=False),
            gr.Button(interactive=bool(settled.replies)),
            gr.DownloadButton(value=export, interactive=export is not None),
        )  # fmt: skip

    def clear(self, conversation: Conversation, number: int) -> tuple[Any, ...]:
        """Everything as on a fresh page, except the settings."""
        conversation.cleared.happened = True
        off = gr.Button(interactive=False)
        download = gr.DownloadButton(value=None, interactive=False)
        hidden = gr.Column(visible=False)
        start = Conversation(number=number + 1)
        buttons = Buttons(off, off, off, download)
        emptied = empty_inputs()
        return start, start.number, False, [], *emptied, *buttons, self.idle_facts, hidden

    def attach(self, audio: str | None, pending: tuple[str, ...], attached: list[str]) -> Inputs:
        """Keep the current recording for the question and make room for another."""
        if not audio:
            raise gr.Error("Record or upload a sound first.", print_exception=False)
        pending = (*pending, audio)
        choices = [(_label(n, path), str(n)) for n, path in enumerate(pending)]
        ticked = [*attached, choices[-1][1]]
        boxes = gr.CheckboxGroup(choices=choices, value=ticked, visible=True)
        return Inputs(None, pending, boxes, gr.skip())

    def show(self, conversation: Conversation, recording: int | None) -> tuple[Any, ...]:
        """Charts and tables of another recording of the conversation."""
        number = -1 if recording is None else recording
        self.budget.use(conversation.kept)
        return *routing_values(conversation, number), *self._picture(conversation, number)

    def _picture(self, conversation: Conversation, number: int) -> Picture:
        audio = self.uploads.audio(conversation, number)
        return picture_values(conversation, number, audio)

    def ask(
        self,
        audio: str | None,
        question: str,
        max_new_tokens: float = 200,
        temperature: float = 0.0,
        top_p: float = 0.9,
        seed: float = 0,
        routing: str = "learned",
        hints: Sequence[str] | None = None,
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Ask one question about one recording.

        Args:
            audio: A recording: wav, flac, mp3, ogg, opus, m4a or webm. None asks without one.
            question: What to ask, for instance "Transcribe the speech."
            max_new_tokens: Longest reply, 1 to 1000 tokens.
            temperature: 0 always picks the likeliest word; up to 2 varies more.
            top_p: Probability mass that words are picked from, above 0 to 1.
            seed: Equal seeds give equal replies.
            routing: "learned", "force:ENCODER", "none" (no weak encoder) or "dense" (all of them).
            hints: What the language model is told in text beside the sound: some of "transcript",
                "events", "voice"; an empty list tells nothing.

        Returns:
            The reply so far, and everything known about it: routing per window, what was done to
            the audio, timings, seed, versions.
        """
        with plain_errors():
            sampling = _sampling(max_new_tokens, temperature, top_p, seed)
            recordings = (self.uploads.load(audio),) if audio else ()
        turns = [Turn("user", question or "", recordings)]
        file = recordings[0].name if recordings else None
        told = None if hints is None else tuple(hints)
        answers = self.stream(turns, sampling, routing_control(routing), HeardMemory(), told)
        try:
            for answer in answers:
                yield answer.text, {"file": file, **answer.to_dict()}
        finally:
            answers.close()

    def transcribe(
        self, audio: str | None, language: str = "", translate: bool = False
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Write down the speech of a recording, without the language model.

        Args:
            audio: A recording: wav, flac, mp3, ogg, opus, m4a or webm.
            language: Such as French; empty takes the one that is heard first.
            translate: Into English.

        Returns:
            The text so far, and its language, its segments with their times, and the whole as txt,
            srt and vtt.
        """
        if not audio:
            raise gr.Error("A recording is needed.", print_exception=False)
        with plain_errors():
            recording = self.uploads.load(audio)
        for said in self.write_down(recording, (language or "").strip().title(), translate):
            formats = {name: form(said) for name, form in FORMATS.items()}
            yield said.text, {"file": recording.name, **as_dict(said), **formats}

    def _write_down(
        self, recording: Recording, language: str, translate: bool
    ) -> Iterator[Transcript]:
        with plain_errors():
            yield from self.assistant.stream_transcript(
                recording, language=language, translate=translate, memory=HeardMemory()
            )


def empty_inputs() -> Inputs:
    """Nothing filled in."""
    return Inputs(None, (), gr.CheckboxGroup(choices=[], value=[], visible=False), "")


def _export(conversation: Conversation) -> str:
    text = json.dumps(conversation.to_dict(), ensure_ascii=False, indent=1)
    return downloadable(text.encode(), EXPORT_NAME)


def _running() -> tuple[gr.Button, gr.Button, gr.Button]:
    """Ask, Stop and Regenerate while an answer is written."""
    return (
        gr.Button(interactive=False), gr.Button(interactive=True), gr.Button(interactive=False),
    )  # fmt: skip


def _sampling(max_new_tokens: float, temperature: float, top_p: float, seed: float) -> Sampling:
    return Sampling(
        max_new_tokens=int(max_new_tokens),
        temperature=float(temperature),
        top_p=float(top_p),
        seed=int(seed or 0),
    )


def _first_path(turns: Sequence[KeptTurn]) -> str | None:
    paths = [one.path for turn in turns for one in turn.recordings if one.path is not None]
    return str(paths[0]) if paths else None


def _label(number: int, path: str) -> str:
    return f"{number + 1}. {Path(path).name}"

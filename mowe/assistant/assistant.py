"""Recordings and a conversation in, a stream of answers with their routing out.

The one seam that page, command line, API, evaluation and analysis use. Nothing is cut silently: a
long recording becomes windows, and the answer says how they were used (decision 0008).
"""

import threading
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch

from mowe.assistant.answer import UNTRAINED, Answer, Sampling, Turn, versions
from mowe.assistant.listening import Listener
from mowe.assistant.memory import HeardMemory
from mowe.assistant.prompts import (
    APART,
    TOGETHER,
    Asked,
    Told,
    Window,
    asked_prompts,
    embedding,
    mean_vector,
    with_tokens_of,
)
from mowe.assistant.routed import RoutedWindow, route_windows
from mowe.assistant.stopwatch import Stopwatch
from mowe.audio import AudioLimits, Recording
from mowe.checkpoint import MoWE
from mowe.config import HINTS
from mowe.errors import QuestionError
from mowe.hints import Transcript, as_dict
from mowe.hints.emotion import EMOTION
from mowe.hints.heads import UtteranceHeads
from mowe.hints.told import TRANSCRIPT
from mowe.model.control import RoutingControl
from mowe.model.language_model import Prompt

MAX_AUDIO_TOKENS = 800  # in one prompt; about four minutes


class Assistant:
    """Answers questions about recordings with a MoWE model."""

    def __init__(
        self,
        model: MoWE,
        *,
        limits: AudioLimits | None = None,
        max_question_chars: int = 2000,
        max_audio_tokens: int = MAX_AUDIO_TOKENS,
        card: str = "",
        emotion: UtteranceHeads | None = None,
    ) -> None:
        """Take a loaded model; LoRA is folded into its weights, so it can no longer be trained.

        Args:
            model: The mixture.
            limits: Which recordings are accepted.
            max_question_chars: Longest instruction.
            max_audio_tokens: Audio tokens in one prompt; beyond it, windows are answered apart.
            card: The checkpoint's model card in Markdown, empty where there is none.
            emotion: The part that guesses feelings; with it they are told by default.
        """
        self.model = model.eval()
        self.model.language_model.fold()
        self.listener = Listener(self.model, emotion)
        # what the language model can be told in text
        self.hints = (*model.config.hints.given, *(() if emotion is None else (EMOTION,)))
        self.memory = HeardMemory()
        self.limits = limits or AudioLimits(kept_rate=max(model.sample_rates))
        self.max_question_chars = max_question_chars
        self.max_audio_tokens = max_audio_tokens
        self.card = card

    @property
    def encoder_names(self) -> tuple[str, ...]:
        """Names of the weak encoders."""
        return self.model.encoder_names

    @property
    def preset(self) -> str:
        """Name of the mixture's preset."""
        return self.model.config.preset

    @property
    def notice(self) -> str:
        """What must be known of its answers: that the mixture was never trained, or nothing."""
        return "" if self.model.trained else UNTRAINED

    @property
    def window_seconds(self) -> float:
        """Longest window that is heard in one piece, s."""
        return self.model.config.window_seconds

    @property
    def device(self) -> str:
        """Where the model lies."""
        return str(self.model.device)

    def stream(
        self,
        conversation: Sequence[Turn],
        *,
        sampling: Sampling | None = None,
        control: RoutingControl | None = None,
        stop: threading.Event | None = None,
        memory: HeardMemory | None = None,
        hints: Collection[str] | None = None,
        tokens: bool = True,
    ) -> Iterator[Answer]:
        """Answer the last turn; every item holds the text so far, the last one is `finished`.

        The first item comes with the routing and no text, as soon as the recordings were heard; the
        next ones with what is said in them.
        Closing the iterator or setting `stop` ends the decoding within one token, and the listening
        at the end of a window.

        Args:
            conversation: Turns, oldest first; the last one is the user's.
            sampling: How to decode.
            control: Routing overrides for every recording of the conversation.
            stop: Set it to end early.
            memory: Where this person's recordings are remembered, so that no question hears them
                again; without one, the assistant's own, which fits a program with one user.
            hints: What the language model is told in text, some of `self.hints`; by default all of
                them that the mixture has.
            tokens: Give it the audio tokens, the paper's path; without them it has the hints alone.

        Raises:
            QuestionError: If the instruction is empty or too long, or there is no such hint.
            AudioError: If a recording cannot be used.
            ValueError: If `control` names an unknown encoder.
        """
        question = self._question(conversation)
        sampling, stop = sampling or Sampling(), stop or threading.Event()
        watch = Stopwatch()
        memory, told = memory or self.memory, self._told(hints)
        recordings = [one for turn in conversation for one in turn.recordings]
        windows = self.listener.windows(recordings, control, memory, stop)
        watch.lap("encoders")
        seconds = self.window_seconds
        answer = self._answer(question, conversation, windows, "", sampling.seed, seconds)
        yield replace(answer, timings=watch.read())
        said = self._said(recordings, memory, told, stop)
        watch.lap("transcript")
        given = windows if tokens else with_tokens_of(windows, [])
        prompts, mode = asked_prompts(conversation, given, said, self.max_audio_tokens, told)
        lines = tuple("\n".join(some) for prompt in prompts for some in prompt.told)
        answer = replace(answer, mode=mode, transcripts=self._written(said, told), hints=lines)
        text = ""
        for prompt in prompts:
            text = f"{text.strip()} {prompt.heading}".lstrip()
            for piece in self._decode(prompt, sampling, stop):
                watch.piece()
                text += piece
                yield replace(answer, text=text.strip(), timings=watch.read())
            if stop.is_set():
                break
        yield replace(answer, text=text.strip(), timings=watch.read(), finished=True)

    def ask(self, recordings: Sequence[Recording], question: str, **settings: Any) -> Answer:
        """Answer one question about some recordings; see `stream` for settings and errors."""
        return self._last(self.stream([Turn("user", question, tuple(recordings))], **settings))

    def stream_transcript(
        self,
        recording: Recording,
        *,
        language: str = "",
        translate: bool = False,
        stop: threading.Event | None = None,
        memory: HeardMemory | None = None,
    ) -> Iterator[Transcript]:
        """Write down the speech by the base encoder's own decoder, without the language model.

        Every item holds what is written so far; the last one is all of it. Where text turns out to
        be made up for what is no speech, it is taken back.

        Args:
            recording: Of any length.
            language: English name; empty takes the one that is heard first.
            translate: Into English.
            stop: Set it to end early.
            memory: As in `stream`.

        Raises:
            QuestionError: If this mixture writes down no speech, or not in this language.
        """
        return self.listener.speech(
            recording, memory or self.memory, language=language, translate=translate, stop=stop
        )

    def transcribe(self, recording: Recording, **settings: Any) -> Transcript:
        """The whole transcript; see `stream_transcript` for settings and errors."""
        *_, transcript = self.stream_transcript(recording, **settings)
        return transcript

    def route(self, recording: Recording, *, control: RoutingControl | None = None) -> Answer:
        """Only the routing and the base embedding, without the rest of the model.

        Raises:
            ValueError: If `control` names an unknown encoder.
        """
        return self.route_all([recording], control=control)[0]

    def route_all(
        self,
        recordings: Sequence[Recording],
        *,
        control: RoutingControl | None = None,
        window_seconds: float | None = None,
        fused: bool = False,
    ) -> list[Answer]:
        """The routing of many recordings, batched by length; see `route`.

        Args:
            recordings: In any order and length.
            control: Routing overrides for all of them.
            window_seconds: Length of a window, above 0.5 s and at most that of answers.
            fused: Run the chosen weak encoders too, for the answer's `fused`.

        Raises:
            ValueError: If `control` names an unknown encoder, or the window's length is outside.
        """
        watch = Stopwatch()
        window_seconds = window_seconds or self.window_seconds
        routed = route_windows(self.model, recordings, control, window_seconds, fused=fused)
        watch.lap("encoders")
        nothing = torch.zeros(0)
        answers = []
        for recording, found in zip(recordings, routed, strict=True):
            windows = [
                Window(
                    recording=0,
                    start=one.routing.start,
                    end=one.routing.end,
                    whole=len(found) == 1,
                    tokens=nothing,
                    routing=replace(one.routing, recording=0),
                    pooled=one.pooled,
                )
                for one in found
            ]
            conversation = [Turn("user", "", (recording,))]
            answer = self._answer("", conversation, windows, TOGETHER, 0, window_seconds)
            both = _mean_fused(found) if fused else None
            answers.append(replace(answer, fused=both, timings=watch.read(), finished=True))
        return answers

    @torch.inference_mode()
    def log_likelihood(
        self,
        recordings: Sequence[Recording],
        question: str,
        text: str,
        *,
        control: RoutingControl | None = None,
        memory: HeardMemory | None = None,
        hints: Collection[str] | None = None,
        tokens_of: Recording | None = None,
    ) -> float:
        """Log-probability that the reply to `ask` begins with these words, in nats.

        The token that would end the reply is left out of it. For a greedy answer under the same
        `control` this is the sum of the log-probabilities of its tokens, as `encode` cuts them.
        Where `tokens_of` is given, the audio tokens of that recording stand in the place of their
        own, behind which the hints are still about `recordings`.

        Raises:
            QuestionError: If the instruction is empty or too long, all of it does not fit, or `ask`
                would answer window by window, where no single prompt leads to the reply.
            ValueError: If `control` names an unknown encoder.
        """
        conversation = [Turn("user", question, tuple(recordings))]
        self._question(conversation)
        memory, told = memory or self.memory, self._told(hints)
        windows = self.listener.windows(recordings, control, memory)
        said = self._said(recordings, memory, told)
        if tokens_of is not None:
            others = self.listener.windows([tokens_of], control, memory)
            windows = with_tokens_of(windows, others)
        prompts, mode = asked_prompts(conversation, windows, said, self.max_audio_tokens, told)
        if mode == APART:
            raise QuestionError(
                f"this is answered in {len(prompts)} windows, each on its own; the likelihood of a"
                " reply needs a recording that is answered in one piece"
            )
        language_model = self.model.language_model
        asked, audio = self._built(prompts[0], len(language_model.encode(text)))
        answered = language_model.with_reply(asked, text)
        return float(language_model.log_likelihoods([answered], [audio])[0])

    @staticmethod
    def _last(answers: Iterator[Answer]) -> Answer:
        *_, last = answers
        return last

    def _told(self, hints: Collection[str] | None) -> Told:
        known = {*HINTS, *self.hints}
        if unknown := sorted({*(hints or ())} - known):
            raise QuestionError(
                f"there is no hint {', '.join(unknown)}; there are {', '.join(sorted(known))}"
            )
        emotion = self.listener.emotion
        sets = {**self.model.config.hints.labels, **(emotion.sets if emotion is not None else {})}
        return Told(self.hints if hints is None else tuple(hints), sets)

    def _said(
        self,
        recordings: Sequence[Recording],
        memory: HeardMemory,
        told: Told,
        stop: threading.Event | None = None,
    ) -> list[Transcript]:
        if TRANSCRIPT not in told.hints:
            return [Transcript() for _ in recordings]
        return self.listener.transcripts(recordings, memory, stop)

    def _written(self, said: Sequence[Transcript], told: Told) -> tuple[dict[str, Any], ...]:
        heard = self.model.hints.transcriber is not None and TRANSCRIPT in told.hints
        return tuple(map(as_dict, said)) if heard else ()

    def _question(self, conversation: Sequence[Turn]) -> str:
        if not conversation or conversation[-1].role != "user":
            raise QuestionError("the conversation must end with a user turn")
        question = conversation[-1].text.strip()
        if not question:
            raise QuestionError("the question is empty; type one or pick a suggestion")
        if len(question) > self.max_question_chars:
            raise QuestionError(
                f"the question has {len(question)} characters, "
                f"at most {self.max_question_chars} are allowed"
            )
        return question

    def _decode(self, prompt: Asked, sampling: Sampling, stop: threading.Event) -> Iterator[str]:
        built, audio = self._built(prompt, sampling.max_new_tokens)
        return self.model.language_model.stream(built, audio, stop=stop, **asdict(sampling))

    def _built(self, prompt: Asked, reply_tokens: int) -> tuple[Prompt, torch.Tensor]:
        """The prompt in tokens, up to where the reply begins, and its audio tokens."""
        language_model = self.model.language_model
        lengths = list(map(len, prompt.audio))
        built = language_model.prompt(prompt.messages, lengths, reply=True, told=prompt.told)
        room = max(0, language_model.context - reply_tokens)
        if len(built.ids) > room:
            raise QuestionError(
                f"the conversation has {len(built.ids)} tokens, {room} fit; clear it and start over"
            )
        silent = torch.zeros(0, language_model.dim, device=self.model.device)
        return built, torch.cat([silent, *prompt.audio])

    def _answer(
        self,
        question: str,
        conversation: Sequence[Turn],
        windows: list[Window],
        mode: str,
        seed: int,
        window_seconds: float,
    ) -> Answer:
        recordings = [one for turn in conversation for one in turn.recordings]
        audio = []
        for number, recording in enumerate(recordings):
            count = sum(window.recording == number for window in windows)
            account = recording.treatment
            audio.append(
                {
                    "name": recording.name,
                    **account.to_dict(),
                    "windowed": count > 1,
                    "sentence": account.sentence(count, window_seconds),
                }
            )
        nothing = np.zeros(self.model.base_encoder.dim, dtype=np.float32)
        return Answer(
            text="",
            question=question,
            preset=self.preset,
            seed=seed,
            windows=tuple(window.routing for window in windows),
            embedding=embedding(windows) if windows else nothing,
            audio=tuple(audio),
            timings={},
            mode=mode,
            versions=versions(),
            finished=False,
            notice=self.notice,
        )


def _mean_fused(windows: Sequence[RoutedWindow]) -> np.ndarray:
    seconds = [one.routing.end - one.routing.start for one in windows]
    return mean_vector([one.fused for one in windows if one.fused is not None], seconds)

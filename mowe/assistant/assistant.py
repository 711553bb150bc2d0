"""Recordings and a conversation in, a stream of answers with their routing out.

The one seam that page, command line, API, evaluation and analysis use. Nothing is cut silently: a
long recording becomes windows, and the answer says how they were used (decision 0008).
"""

import re
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mowe.assistant.answer import Answer, Sampling, Turn, WindowRouting, describe_routing, versions
from mowe.assistant.routed import route_windows
from mowe.audio import AudioLimits, Recording
from mowe.checkpoint import MoWE
from mowe.errors import QuestionError
from mowe.language_model import AUDIO_MARK, Message
from mowe.model import Heard, make_batch
from mowe.presets import PRESETS
from mowe.routing import RoutingControl

DEFAULT_CHECKPOINT = "mini"
SHIPPED = {"mini": Path(__file__).parents[2] / "assets" / "mowe-mini"}
TRANSCRIBE = "Transcribe the speech."
MAX_AUDIO_TOKENS = 800  # in one prompt; about two minutes of speech
TOGETHER, APART, SILENT = "all windows together", "window by window", "no audio"
_ASKS_TRANSCRIPT = re.compile(r"\b(transcri\w+|verbatim|word for word|dictat\w+)\b", re.IGNORECASE)


@dataclass(frozen=True)
class _Window:
    recording: int
    start: float
    end: float
    whole: bool  # the recording's only window
    tokens: torch.Tensor  # (audio_tokens, llm_dim)
    routing: WindowRouting
    pooled: np.ndarray  # (base_dim,)


@dataclass(frozen=True)
class _Prompt:
    heading: str  # before the reply; a time range where windows are answered apart
    messages: list[Message]
    audio: list[torch.Tensor]  # one (audio_tokens, llm_dim) per mark


@dataclass
class _Stopwatch:
    """Timings of one answer, filled as it goes."""

    started: float = field(default_factory=time.perf_counter)
    seconds: dict[str, float] = field(default_factory=dict)
    pieces: int = 0
    first: float | None = None

    def piece(self) -> None:
        self.pieces += 1
        if self.first is None:
            self.first = time.perf_counter()

    def read(self) -> dict[str, float]:
        now = time.perf_counter()
        timings = {"decode": 0.0, "encoders": 0.0, "prefill": 0.0} | self.seconds
        if self.first is not None:
            timings["first_token"] = self.first - self.started
            timings["prefill"] = timings["first_token"] - timings["encoders"]
            if self.pieces > 1:
                timings["tokens_per_second"] = (self.pieces - 1) / (now - self.first)
        return timings | {"total": now - self.started}


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
    ) -> None:
        """Take a loaded model; LoRA is folded into its weights, so it can no longer be trained.

        Args:
            model: The mixture.
            limits: Which recordings are accepted.
            max_question_chars: Longest instruction.
            max_audio_tokens: Audio tokens in one prompt; beyond it, windows are answered apart.
            card: The checkpoint's model card in Markdown, empty where there is none.
        """
        self.model = model.eval()
        self.model.language_model.fold()
        self.limits = limits or AudioLimits()
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
    ) -> Iterator[Answer]:
        """Answer the last turn; every item holds the text so far, the last one is `finished`.

        The first item comes with the routing and no text, as soon as the encoders ran. Closing the
        iterator or setting `stop` ends the decoding within one token.

        Args:
            conversation: Turns, oldest first; the last one is the user's.
            sampling: How to decode.
            control: Routing overrides for every recording of the conversation.
            stop: Set it to end early.

        Raises:
            QuestionError: If the instruction is empty or too long.
            AudioError: If a recording cannot be used.
            ValueError: If `control` names an unknown encoder.
        """
        question = self._question(conversation)
        sampling, stop = sampling or Sampling(), stop or threading.Event()
        watch = _Stopwatch()
        windows = self._listen(conversation, control)
        watch.seconds["encoders"] = time.perf_counter() - watch.started
        prompts, mode = self._prompts(conversation, windows)
        answer = self._answer(question, conversation, windows, mode, sampling.seed)
        yield replace(answer, timings=watch.read())
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

    def transcribe(self, recording: Recording, **settings: Any) -> Answer:
        """Write down the speech, window by window; see `stream` for settings and errors."""
        return self.ask([recording], TRANSCRIBE, **settings)

    def route(self, recording: Recording, *, control: RoutingControl | None = None) -> Answer:
        """Only the routing and the base embedding, without the rest of the model.

        Raises:
            ValueError: If `control` names an unknown encoder.
        """
        return self.route_all([recording], control=control)[0]

    def route_all(
        self, recordings: Sequence[Recording], *, control: RoutingControl | None = None
    ) -> list[Answer]:
        """The routing of many recordings, batched by length; see `route`."""
        watch = _Stopwatch()
        routed = route_windows(self.model, recordings, control)
        watch.seconds["encoders"] = time.perf_counter() - watch.started
        nothing = torch.zeros(0)
        answers = []
        for recording, found in zip(recordings, routed, strict=True):
            windows = [
                _Window(
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
            answer = self._answer("", conversation, windows, TOGETHER, 0)
            answers.append(replace(answer, timings=watch.read(), finished=True))
        return answers

    @staticmethod
    def _last(answers: Iterator[Answer]) -> Answer:
        *_, last = answers
        return last

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

    @torch.inference_mode()
    def _listen(
        self, conversation: Sequence[Turn], control: RoutingControl | None
    ) -> list[_Window]:
        recordings = [one for turn in conversation for one in turn.recordings]
        windows = []
        for number, recording in enumerate(recordings):
            spans = recording.windows(self.model.config.window_seconds)
            for start, end in spans:
                heard = self._hear(recording.window(start, end), control)
                windows.append(
                    _Window(
                        recording=number,
                        start=start,
                        end=end,
                        whole=len(spans) == 1,
                        tokens=heard.audio_tokens()[0],
                        routing=self._window_routing(number, start, end, heard),
                        pooled=heard.pooled[0].cpu().numpy(),
                    )
                )
        return windows

    def _hear(self, recording: Recording, control: RoutingControl | None) -> Heard:
        rates = self.model.sample_rates
        batch = make_batch([{rate: torch.from_numpy(recording.at(rate)) for rate in rates}])
        device = self.model.device
        return self.model.listen(
            batch._replace(
                waveforms={rate: one.to(device) for rate, one in batch.waveforms.items()},
                lengths={rate: one.to(device) for rate, one in batch.lengths.items()},
            ),
            control,
        )

    def _window_routing(self, number: int, start: float, end: float, heard: Heard) -> WindowRouting:
        routing = describe_routing(heard.routing, self.encoder_names)
        return WindowRouting(number, round(start, 3), round(end, 3), **routing)

    def _prompts(
        self, conversation: Sequence[Turn], windows: list[_Window]
    ) -> tuple[list[_Prompt], str]:
        """What the language model is asked, and how the windows were used."""
        if not windows:
            return [_Prompt("", _messages(conversation), [])], SILENT
        last = windows[-1].recording
        fresh = [window for window in windows if window.recording == last]
        question = conversation[-1].text
        transcript = bool(_ASKS_TRANSCRIPT.search(question))
        total = sum(len(window.tokens) for window in windows)
        if not transcript and total <= self.max_audio_tokens:
            return [_Prompt("", _messages(conversation), _by_recording(windows))], TOGETHER
        # Windows of the last recording, each alone: no window hears another, none is left out.
        asked = [Message("user", AUDIO_MARK + question)]
        prompts = [_Prompt(_heading(one, transcript), asked, [one.tokens]) for one in fresh]
        return prompts, TOGETHER if len(fresh) == 1 else APART

    def _decode(self, prompt: _Prompt, sampling: Sampling, stop: threading.Event) -> Iterator[str]:
        language_model = self.model.language_model
        built = language_model.prompt(prompt.messages, list(map(len, prompt.audio)), reply=True)
        room = language_model.context - sampling.max_new_tokens
        if len(built.ids) > room:
            raise QuestionError(
                f"the conversation has {len(built.ids)} tokens, {room} fit; clear it and start over"
            )
        silent = torch.zeros(0, language_model.dim, device=self.model.device)
        audio = torch.cat([silent, *prompt.audio])
        return language_model.stream(built, audio, stop=stop, **asdict(sampling))

    def _answer(
        self,
        question: str,
        conversation: Sequence[Turn],
        windows: list[_Window],
        mode: str,
        seed: int,
    ) -> Answer:
        recordings = [one for turn in conversation for one in turn.recordings]
        seconds = self.model.config.window_seconds
        audio = []
        for number, recording in enumerate(recordings):
            count = sum(window.recording == number for window in windows)
            account = recording.treatment
            audio.append(
                {
                    "name": recording.name,
                    **account.to_dict(),
                    "windowed": count > 1,
                    "sentence": account.sentence(count, seconds),
                }
            )
        nothing = np.zeros(self.model.base_encoder.dim, dtype=np.float32)
        return Answer(
            text="",
            question=question,
            preset=self.preset,
            seed=seed,
            windows=tuple(window.routing for window in windows),
            embedding=_embedding(windows) if windows else nothing,
            audio=tuple(audio),
            timings={},
            mode=mode,
            versions=versions(),
            finished=False,
        )


def load_assistant(name: str = DEFAULT_CHECKPOINT, *, device: str | None = None) -> Assistant:
    """Load a checkpoint or preset and answer with it.

    Args:
        name: `mini` (the shipped checkpoint), another preset, a checkpoint folder, or a hub repo.
        device: `cpu`, `cuda`, ...; None takes a GPU where there is one.

    Raises:
        CheckpointError: If the checkpoint is incomplete or its components changed.
        WeightsError: If a component cannot be fetched or verified.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    shipped = SHIPPED.get(name)
    if shipped is not None and shipped.is_dir():
        card = (shipped / "README.md").read_text(encoding="utf-8")
        return Assistant(MoWE.from_pretrained(shipped, device=device), card=card)
    if name in PRESETS:
        return Assistant(MoWE.from_preset(name, device=device))
    return Assistant(MoWE.from_pretrained(name, device=device))


def _messages(conversation: Sequence[Turn]) -> list[Message]:
    return [
        Message(turn.role, AUDIO_MARK * len(turn.recordings) + turn.text) for turn in conversation
    ]


def _by_recording(windows: list[_Window]) -> list[torch.Tensor]:
    numbers = sorted({window.recording for window in windows})
    return [
        torch.cat([one.tokens for one in windows if one.recording == number]) for number in numbers
    ]


def _heading(window: _Window, transcript: bool) -> str:
    if transcript or window.start == 0 and window.whole:
        return ""
    return f"[{_clock(window.start)}–{_clock(window.end)}] "


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def _embedding(windows: list[_Window]) -> np.ndarray:
    """Mean of the last recording's windows, weighed by their length, `(base_dim,)`."""
    last = [window for window in windows if window.recording == windows[-1].recording]
    lengths = [window.end - window.start for window in last]
    mean = np.average([window.pooled for window in last], axis=0, weights=lengths)
    return mean.astype(np.float32)

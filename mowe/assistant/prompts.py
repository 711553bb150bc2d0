"""What the language model is asked about the windows of a conversation (decision 0008)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
import torch

from mowe.assistant.answer import Turn, WindowRouting
from mowe.hints import Transcript
from mowe.hints.told import HeardSounds, joined, told_of
from mowe.model.language_model import AUDIO_MARK, Message

TOGETHER, APART, SILENT = "all windows together", "window by window", "no audio"


@dataclass(frozen=True)
class Window:
    """One window of one recording, as the model heard it."""

    recording: int  # counted through the conversation, from 0
    start: float  # seconds
    end: float  # seconds
    whole: bool  # the recording's only window
    tokens: torch.Tensor  # (audio_tokens, llm_dim)
    routing: WindowRouting
    pooled: np.ndarray  # (base_dim,)
    sounds: HeardSounds | None = None  # of a mixture with heads


@dataclass(frozen=True)
class Told:
    """How recordings are told of in text."""

    hints: Collection[str]  # some of `HINTS`
    sets: Mapping[str, Sequence[str]]  # labels that heads tell apart, by set

    def of(self, windows: Sequence[Window], said: Transcript, seconds: float) -> tuple[str, ...]:
        """Lines about windows of one recording, times from the beginning of the first."""
        start = windows[0].start
        heard = [
            (one.start - start, one.end - start, one.sounds)
            for one in windows
            if one.sounds is not None
        ]
        return told_of(seconds, said, joined(heard) if heard else None, self.sets, self.hints)


@dataclass(frozen=True)
class Asked:
    """One prompt, its audio still apart."""

    heading: str  # before the reply; a time range where windows are answered apart
    messages: list[Message]
    audio: list[torch.Tensor]  # one (audio_tokens, llm_dim) per mark
    told: list[tuple[str, ...]]  # lines about each mark


def asked_prompts(
    conversation: Sequence[Turn],
    windows: list[Window],
    transcripts: Sequence[Transcript],
    max_audio_tokens: int,
    told: Told,
) -> tuple[list[Asked], str]:
    """What the language model is asked, and how the windows were used.

    Args:
        conversation: Turns, oldest first.
        windows: Every window of every recording in it.
        transcripts: What is said in each recording.
        max_audio_tokens: Of one prompt; beyond it, windows are answered apart.
        told: How recordings are told of in text.
    """
    if not windows:
        return [Asked("", _messages(conversation), [], [])], SILENT
    if sum(len(window.tokens) for window in windows) <= max_audio_tokens:
        groups = [list(some) for _, some in groupby(windows, lambda one: one.recording)]
        lines = [told.of(some, transcripts[some[0].recording], some[-1].end) for some in groups]
        return [Asked("", _messages(conversation), _by_recording(windows), lines)], TOGETHER
    # Windows of the last recording, each alone: no window hears another, none is left out.
    fresh = [window for window in windows if window.recording == windows[-1].recording]
    asked = [Message("user", AUDIO_MARK + conversation[-1].text)]
    said = transcripts[windows[-1].recording]
    prompts = [
        Asked(_heading(one), asked, [one.tokens], [_of_window(told, one, said)]) for one in fresh
    ]
    return prompts, TOGETHER if len(fresh) == 1 else APART


def _of_window(told: Told, window: Window, said: Transcript) -> tuple[str, ...]:
    return told.of([window], said.part(window.start, window.end), window.end - window.start)


def _messages(conversation: Sequence[Turn]) -> list[Message]:
    return [
        Message(turn.role, AUDIO_MARK * len(turn.recordings) + turn.text) for turn in conversation
    ]


def _by_recording(windows: list[Window]) -> list[torch.Tensor]:
    numbers = sorted({window.recording for window in windows})
    return [
        torch.cat([one.tokens for one in windows if one.recording == number]) for number in numbers
    ]


def with_tokens_of(windows: Sequence[Window], others: Sequence[Window]) -> list[Window]:
    """The windows with the audio tokens of other ones, which all stand where the first one's did.

    Args:
        windows: Of a conversation, in their order.
        others: Whose tokens they get; none leaves them without any.
    """
    silent = [replace(one, tokens=one.tokens[:0]) for one in windows]
    if not silent or not others:
        return silent
    return [replace(silent[0], tokens=torch.cat([one.tokens for one in others])), *silent[1:]]


def _heading(window: Window) -> str:
    if window.whole:
        return ""
    return f"[{_clock(window.start)}–{_clock(window.end)}] "


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def embedding(windows: list[Window]) -> np.ndarray:
    """Mean of the last recording's windows, weighed by their length, `(base_dim,)`."""
    last = [window for window in windows if window.recording == windows[-1].recording]
    return mean_vector([one.pooled for one in last], [one.end - one.start for one in last])


def mean_vector(vectors: Sequence[np.ndarray], seconds: Sequence[float]) -> np.ndarray:
    """Mean of windows' vectors, weighed by their length, `(dim,)` float32."""
    return np.average(vectors, axis=0, weights=seconds).astype(np.float32)

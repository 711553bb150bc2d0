"""What the language model is asked about the windows of a conversation (decision 0008)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mowe.assistant.answer import Turn, WindowRouting
from mowe.hints import Transcript, spelled
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
) -> tuple[list[Asked], str]:
    """What the language model is asked, and how the windows were used.

    Args:
        conversation: Turns, oldest first.
        windows: Every window of every recording in it.
        transcripts: What is said in each recording.
        max_audio_tokens: Of one prompt; beyond it, windows are answered apart.
    """
    if not windows:
        return [Asked("", _messages(conversation), [], [])], SILENT
    if sum(len(window.tokens) for window in windows) <= max_audio_tokens:
        told = [(spelled(transcript.text),) for transcript in transcripts]
        return [Asked("", _messages(conversation), _by_recording(windows), told)], TOGETHER
    # Windows of the last recording, each alone: no window hears another, none is left out.
    fresh = [window for window in windows if window.recording == windows[-1].recording]
    asked = [Message("user", AUDIO_MARK + conversation[-1].text)]
    said = transcripts[windows[-1].recording]
    prompts = [
        Asked(_heading(one), asked, [one.tokens], [(spelled(said.between(one.start, one.end)),)])
        for one in fresh
    ]
    return prompts, TOGETHER if len(fresh) == 1 else APART


def _messages(conversation: Sequence[Turn]) -> list[Message]:
    return [
        Message(turn.role, AUDIO_MARK * len(turn.recordings) + turn.text) for turn in conversation
    ]


def _by_recording(windows: list[Window]) -> list[torch.Tensor]:
    numbers = sorted({window.recording for window in windows})
    return [
        torch.cat([one.tokens for one in windows if one.recording == number]) for number in numbers
    ]


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

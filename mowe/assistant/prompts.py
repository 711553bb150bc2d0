"""What the language model is asked about the windows of a conversation (decision 0008)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mowe.assistant.answer import Turn, WindowRouting
from mowe.language_model import AUDIO_MARK, Message

TOGETHER, APART, SILENT = "all windows together", "window by window", "no audio"
_ASKS_TRANSCRIPT = re.compile(r"\b(transcri\w+|verbatim|word for word|dictat\w+)\b", re.IGNORECASE)
_WHOM = r"(the (speaker|person|voice|man|woman)|he|she|they|people)"
_SOUND = r"(the|this|that|my)( (speech|audio|recording|clip|file|voice|sound|words))?"
# Questions that ask for what is said and for nothing else, as a whole.
_IS_TRANSCRIPT = re.compile(
    rf"((please )?transcribe( (it|{_SOUND}))?( verbatim| word for word)?"
    r"|(please )?(write down|give me) (what|the words that)"
    r" (is|was|are|were) (being )?(said|spoken)"
    rf"|what(('s| is| was)( being)? said| (does|do|did) {_WHOM} say| (is|are) {_WHOM} saying)"
    rf"( in {_SOUND})?)( please)?[.?! ]*",
    re.IGNORECASE,
)


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
    read: str = ""  # in lower case without punctuation, by adapters that read


@dataclass(frozen=True)
class Asked:
    """One prompt, its audio still apart."""

    heading: str  # before the reply; a time range where windows are answered apart
    messages: list[Message]
    audio: list[torch.Tensor]  # one (audio_tokens, llm_dim) per mark
    read: str = ""  # what the reply keeps to, if it is to be a transcript and no more


def asked_prompts(
    conversation: Sequence[Turn], windows: list[Window], max_audio_tokens: int
) -> tuple[list[Asked], str]:
    """What the language model is asked, and how the windows were used.

    Args:
        conversation: Turns, oldest first.
        windows: Every window of every recording in it.
        max_audio_tokens: Of one prompt; beyond it, windows are answered apart.
    """
    if not windows:
        return [Asked("", _messages(conversation), [])], SILENT
    last = windows[-1].recording
    fresh = [window for window in windows if window.recording == last]
    question = conversation[-1].text
    transcript = bool(_ASKS_TRANSCRIPT.search(question))
    keeps = is_transcript(question)
    total = sum(len(window.tokens) for window in windows)
    if not transcript and total <= max_audio_tokens:
        read = " ".join(window.read for window in fresh) if keeps else ""
        return [Asked("", _messages(conversation), _by_recording(windows), read)], TOGETHER
    # Windows of the last recording, each alone: no window hears another, none is left out.
    asked = [Message("user", AUDIO_MARK + question)]
    prompts = [
        Asked(_heading(one, transcript), asked, [one.tokens], one.read if keeps else "")
        for one in fresh
    ]
    return prompts, TOGETHER if len(fresh) == 1 else APART


def is_transcript(question: str) -> bool:
    """Whether a question asks for what is said and for nothing else (decision 0017)."""
    return _IS_TRANSCRIPT.fullmatch(question.strip().replace(",", "")) is not None


def _messages(conversation: Sequence[Turn]) -> list[Message]:
    return [
        Message(turn.role, AUDIO_MARK * len(turn.recordings) + turn.text) for turn in conversation
    ]


def _by_recording(windows: list[Window]) -> list[torch.Tensor]:
    numbers = sorted({window.recording for window in windows})
    return [
        torch.cat([one.tokens for one in windows if one.recording == number]) for number in numbers
    ]


def _heading(window: Window, transcript: bool) -> str:
    if transcript or window.start == 0 and window.whole:
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

"""A slice of a shared GPU for a call of the model, where a Space that lends one serves the page."""

from collections.abc import Callable, Sequence
from typing import Any

import spaces  # before anything touches CUDA

from mowe.assistant import HeardMemory, Sampling, Turn
from mowe.audio import Recording
from mowe.model.control import RoutingControl

START_SECONDS = 15.0  # moving the weights and the first token
SECONDS_PER_AUDIO_SECOND = 0.05
SECONDS_PER_TOKEN = 0.05
MAX_SECONDS = 120.0


def gpu_seconds(
    turns: Sequence[Turn],
    sampling: Sampling,
    control: RoutingControl | None = None,
    memory: HeardMemory | None = None,
) -> int:
    """How long one answer may need a GPU, s; asking for little keeps a visitor's quota.

    Args:
        turns: The conversation; every recording in it is listened to.
        sampling: Its `max_new_tokens` bounds the decoding.
        control: Changes nothing; here because the arguments are those of the answering function.
        memory: Likewise.
    """
    audio = sum(recording.seconds for turn in turns for recording in turn.recordings)
    needed = SECONDS_PER_AUDIO_SECOND * audio + SECONDS_PER_TOKEN * sampling.max_new_tokens
    return round(min(MAX_SECONDS, START_SECONDS + needed))


def transcript_seconds(recording: Recording, language: str, translate: bool) -> int:
    """How long one transcript may need a GPU, s; the arguments are those of the function."""
    return round(min(MAX_SECONDS, START_SECONDS + SECONDS_PER_AUDIO_SECOND * recording.seconds))


def on_gpu(
    function: Callable[..., Any], seconds: int | Callable[..., int] = gpu_seconds
) -> Callable[..., Any]:
    """The function on a lent GPU; the function itself everywhere else.

    There its arguments are pickled, so it takes plain data: no locks, no events.

    Args:
        function: What needs the model.
        seconds: How long one call may take, or a function of its arguments that says so.
    """
    wrapped: Callable[..., Any] = spaces.GPU(duration=seconds)(function)
    return wrapped

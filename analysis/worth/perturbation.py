"""Small changes of one recording, and what they do to its routing and its answer."""

import dataclasses
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import rel_entr

from mowe.analysis.records import NONE
from mowe.assistant import Answer, Assistant, HeardMemory, Sampling, WindowRouting
from mowe.audio import Recording
from mowe.audio.recording import hash_samples
from mowe.audio.signals import resample
from mowe.data.augment import (
    TELEPHONE,
    add_noise,
    band_limit,
    code,
    crush,
    reverberate,
    within_range,
)
from mowe.errors import ConfigError

UNCHANGED = "unchanged"
CLIP_SECONDS = 30.0  # compared at most, from the start
ANSWER_TOKENS = 60  # of each compared answer at most
SHIFT_SECONDS = 0.05
ROOM_DECAY = 0.3  # s until echoes fall by 60 dB
ROOM_DIRECT = 10.0  # dB that the direct sound is above all echoes
HALL_DECAY, HALL_DIRECT = 0.8, 0.0  # s and dB, as above

Change = Callable[[np.ndarray, int, np.random.Generator], np.ndarray]


def gain(
    samples: np.ndarray, rate: int, draw: np.random.Generator, *, decibels: float
) -> np.ndarray:
    """Louder or softer; may pass 1."""
    return samples * np.float32(10 ** (decibels / 20))


def noise(
    samples: np.ndarray, rate: int, draw: np.random.Generator, *, kind: str, snr: float
) -> np.ndarray:
    """`white`, `pink` or `babble` noise `snr` dB below the mean power of the sound."""
    return add_noise(samples, rate, snr, kind, draw)


def round_trip(
    samples: np.ndarray, rate: int, draw: np.random.Generator, *, hertz: int
) -> np.ndarray:
    """To another sample rate and back; only what both rates can hold is left."""
    return resample(resample(samples, rate, hertz), hertz, rate)


def shift(samples: np.ndarray, rate: int, draw: np.random.Generator) -> np.ndarray:
    """50 ms of silence first; as much is lost at the end."""
    return np.pad(samples, (round(SHIFT_SECONDS * rate), 0))


def room(
    samples: np.ndarray,
    rate: int,
    draw: np.random.Generator,
    *,
    decay: float = ROOM_DECAY,
    direct: float = ROOM_DIRECT,
) -> np.ndarray:
    """In a room, a small one by default: echoes of exponentially decaying noise."""
    return reverberate(samples, rate, decay, direct, draw)


def telephone(samples: np.ndarray, rate: int, draw: np.random.Generator) -> np.ndarray:
    """Only the band of a telephone."""
    return band_limit(samples, rate, *TELEPHONE)


def coded(
    samples: np.ndarray, rate: int, draw: np.random.Generator, *, codec: str, bits: float
) -> np.ndarray:
    """Through a lossy codec of so many bits a second."""
    return code(within_range(samples), rate, codec, bits)


def old(samples: np.ndarray, rate: int, draw: np.random.Generator) -> np.ndarray:
    """As an old sound card plays it."""
    return crush(samples, rate)


CHANGES: Mapping[str, Change] = {
    "12 dB softer": partial(gain, decibels=-12),
    "6 dB softer": partial(gain, decibels=-6),
    "6 dB louder": partial(gain, decibels=6),
    **{
        f"{kind} noise, {snr} dB": partial(noise, kind=kind, snr=snr)
        for kind in ("white", "pink")
        for snr in (30, 20, 10)
    },
    "to 8 kHz and back": partial(round_trip, hertz=8_000),
    "to 22.05 kHz and back": partial(round_trip, hertz=22_050),
    "50 ms later": shift,
    "in a small room": room,
}
# the same content otherwise recorded or sent: larger than a small change, and all understandable
CHANNELS: Mapping[str, Change] = {
    "telephone band": telephone,
    "8 bits at 11 kHz": old,
    "MP3, 16 kbit/s": partial(coded, codec="mp3", bits=16_000),
    "Opus, 8 kbit/s": partial(coded, codec="opus", bits=8_000),
    "in a hall": partial(room, decay=HALL_DECAY, direct=HALL_DIRECT),
    "babble, 10 dB": partial(noise, kind="babble", snr=10),
}
_KNOWN = {**CHANGES, **CHANNELS}


@dataclass(frozen=True)
class Compared:
    """A changed recording beside the unchanged one."""

    change: str
    choice: str  # likeliest encoder of the data-dependent router, window after window
    probabilities: dict[str, float]  # by encoder, mean over the windows
    divergence: float  # nats, Jensen-Shannon, mean over the windows; 0 to log 2
    same_choice: bool  # in every window
    scaled: float = 0.0  # dB taken off the whole so that nothing clips
    answer: str | None = None  # where a question was asked
    same_answer: bool | None = None  # the same words, whatever their case and punctuation


def perturb(recording: Recording, name: str, *, seed: int = 0) -> tuple[Recording, float]:
    """One of `CHANGES` or `CHANNELS`, at the recording's own rate and of the same length.

    Args:
        recording: What is changed; it stays as it is.
        name: Of the change.
        seed: Of noise and echoes; the same seed gives the same samples.

    Returns:
        The changed recording, and the decibels by which the whole had to be softened for its peak
        to stay within full scale.

    Raises:
        ValueError: If there is no such change.
    """
    if name not in _KNOWN:
        raise ValueError(f"no change {name!r}; there are {list(_KNOWN)}")
    samples, rate = recording.samples, recording.sample_rate
    draw = np.random.default_rng([seed, zlib.crc32(name.encode())])
    changed = _KNOWN[name](samples, rate, draw)
    missing = max(0, len(samples) - len(changed))
    changed = np.pad(changed, (0, missing))[: len(samples)].astype(np.float32, copy=False)
    peak = float(np.abs(changed).max(initial=0.0))
    changed = within_range(changed)
    made = dataclasses.replace(
        recording,
        stored=changed,
        step=1.0,
        content_hash=hash_samples(changed, rate),
        treatment=dataclasses.replace(recording.treatment, peak=min(peak, 1.0)),
        path=None,
    )
    return made, 20 * float(np.log10(max(peak, 1.0)))


def divergence(one: npt.ArrayLike, other: npt.ArrayLike) -> np.ndarray:
    """Jensen-Shannon divergence of distributions, in nats: 0 for equal ones, log 2 at most.

    Args:
        one: `(..., encoders)`, each summing to 1.
        other: The same, or what broadcasts to it.

    Returns:
        `(...)`.
    """
    p, q = np.asarray(one, dtype=float), np.asarray(other, dtype=float)
    middle = (p + q) / 2
    total = rel_entr(p, middle).sum(axis=-1) + rel_entr(q, middle).sum(axis=-1)
    # rounding can make the sum of two equal ones a little negative
    found: np.ndarray = np.maximum(0.0, total / 2)
    return found


def compare(
    assistant: Assistant,
    recording: Recording,
    *,
    changes: Sequence[str] = tuple(CHANGES),
    question: str = "",
    seed: int = 0,
) -> Iterator[Compared]:
    """Route the recording, then each change of it, and yield what came out as it comes.

    Args:
        assistant: Listens, and answers if there is a question.
        recording: Its first 30 s are compared.
        changes: Names from `CHANGES`.
        question: Asked about every version, greedily; without one nothing is asked.
        seed: Of noise and echoes.

    Raises:
        ConfigError: If the mixture has no data-dependent router, which alone could change its mind.
        QuestionError: If the question is too long.
    """
    clip = recording.window(0.0, CLIP_SECONDS)
    first = _heard(assistant, clip, question)
    if not first.windows or not first.windows[0].dependent:
        raise ConfigError(
            f"{assistant.preset} has no data-dependent router, so no change can alter its choice"
        )
    yield _compared(UNCHANGED, first, first, 0.0, question)
    for name in changes:
        changed, scaled = perturb(clip, name, seed=seed)
        yield _compared(name, first, _heard(assistant, changed, question), scaled, question)


def consistency(assistant: Assistant, recording: Recording, **settings: Any) -> list[Compared]:
    """All of `compare` at once, the unchanged recording first; see there."""
    return list(compare(assistant, recording, **settings))


def _heard(assistant: Assistant, recording: Recording, question: str) -> Answer:
    if not question.strip():
        return assistant.route_all([recording])[0]
    sampling = Sampling(max_new_tokens=ANSWER_TOKENS)
    return assistant.ask([recording], question, sampling=sampling, memory=HeardMemory())


def _compared(name: str, first: Answer, answer: Answer, scaled: float, question: str) -> Compared:
    pairs = list(zip(first.windows, answer.windows, strict=True))  # as long, so cut alike
    lengths = [window.end - window.start for window in answer.windows]
    rows = np.array([list(window.dependent.values()) for window in answer.windows])
    moved = [
        divergence(list(one.dependent.values()), list(other.dependent.values()))
        for one, other in pairs
    ]
    asked = bool(question.strip())
    return Compared(
        change=name,
        choice=", ".join(_choice(window) for window in answer.windows),
        probabilities=dict(
            zip(
                answer.windows[0].dependent,
                np.average(rows, axis=0, weights=lengths).tolist(),
                strict=True,
            )
        ),
        divergence=float(np.average(moved, weights=lengths)),
        same_choice=all(_choice(one) == _choice(other) for one, other in pairs),
        scaled=scaled,
        answer=answer.text if asked else None,
        same_answer=_words(answer.text) == _words(first.text) if asked else None,
    )


def _choice(window: WindowRouting) -> str:
    return max(window.dependent, key=window.dependent.__getitem__) if window.dependent else NONE


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())

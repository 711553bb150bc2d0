"""Free Spoken Digit Dataset: single digits by six men, alone and in strings of three to seven."""

import functools
import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from corpus.clips import SPEECH_RATE, Ask, Clip, Materials, Source, Waveform
from corpus.download import CorpusError
from corpus.sound import convert, join, read_sound
from corpus.splits import split_of
from corpus.text import DIGITS, sentence_case

SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
STRINGS = {"train": 150, "dev": 40}  # a speaker
LENGTHS = (3, 7)  # digits in a string, both included
GAPS = (0.05, 0.35)  # s between digits
ALONE = 10  # recordings of each digit, of a speaker, that stand alone


def digit_files(folder: Path) -> Mapping[str, Mapping[int, list[Path]]]:
    """Files by speaker and digit; the release names them `DIGIT_SPEAKER_INDEX.wav`.

    Raises:
        CorpusError: If there is none.
    """
    found: dict[str, dict[int, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for path in sorted(folder.rglob("?_*_*.*")):
        digit, speaker, _ = path.stem.split("_", 2)
        if digit.isdigit() and speaker in SPEAKERS:
            found[speaker][int(digit)].append(path)
    if not found:
        raise CorpusError(f"{folder} holds no DIGIT_SPEAKER_INDEX recording")
    return found


def speak_digits(paths: Sequence[Path], seed: str) -> Waveform:
    """Digits in a row with natural gaps, `(samples,)` at 16 kHz."""
    rng = random.Random(seed)
    pieces = [convert(read_sound(path), SPEECH_RATE) for path in paths]
    gaps = [rng.uniform(*GAPS) for _ in pieces[1:]]
    noise = np.random.default_rng(len(seed)).standard_normal
    row = join(pieces, gaps, SPEECH_RATE)
    return row + 1e-4 * noise(len(row)).astype(np.float32), SPEECH_RATE


def _read(materials: Materials) -> Iterator[Clip]:
    for speaker, by_digit in digit_files(materials.folder("fsdd")).items():
        split = split_of("spoken-digits", speaker)
        rng = random.Random(f"digits of {speaker}")
        for number in range(STRINGS[split]):
            digits = [rng.choice(sorted(by_digit)) for _ in range(rng.randint(*LENGTHS))]
            name = f"{speaker}-{number:03d}"
            paths = [rng.choice(by_digit[digit]) for digit in digits]
            yield Clip(
                name=name,
                load=functools.partial(speak_digits, paths, name),
                split=split,
                tasks=("transcribe", "gender"),
                recording=f"fsdd-{speaker}",
                speaker=f"fsdd-{speaker}",
                gender="man",
                language="English",
                text=sentence_case(" ".join(DIGITS[digit] for digit in digits)),
                notes={"digits": "".join(map(str, digits))},
            )
        yield from _alone(speaker, by_digit)


def _alone(speaker: str, by_digit: Mapping[int, Sequence[Path]]) -> Iterator[Clip]:
    """Single digits, asked for by a task of their own."""
    rng = random.Random(f"single digits of {speaker}")
    for digit, paths in sorted(by_digit.items()):
        asked = Ask(
            task="digit",
            turns=(("Which digit is spoken?", f"{DIGITS[digit].capitalize()}."),),
            label=DIGITS[digit],
            options=tuple(DIGITS),
            accept=(f"{digit}.",),
        )
        for path in rng.sample(paths, min(ALONE, len(paths))):
            name = f"{speaker}-alone-{path.stem.split('_', 2)[2]}-{digit}"
            yield Clip(
                name=name,
                load=functools.partial(speak_digits, [path], name),
                split=split_of("spoken-digits", speaker),
                tasks=(),
                recording=f"fsdd-{speaker}",
                speaker=f"fsdd-{speaker}",
                gender="man",
                language="English",
                asks=(asked,),
            )


SOURCE = Source(
    name="spoken-digits",
    title="Free Spoken Digit Dataset, strings of digits",
    licence="CC BY-SA 4.0",
    attribution="Zohar Jackson and contributors, Free Spoken Digit Dataset",
    read=_read,
)

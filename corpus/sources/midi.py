"""General MIDI instruments playing made-up phrases, and questions about what they play."""

import functools
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from corpus.clips import SOUND_RATE, Ask, Clip, Materials, Source
from corpus.download import CorpusError, Package
from corpus.effects import within_size
from corpus.score import Note, play, synthesiser
from corpus.sounds import SOUNDS
from corpus.splits import split_of

_FONTS = (
    Package(
        "debian",
        "timgm6mb-soundfont",
        "1.3-5",
        "034abdfb296d9353433513dad5dbdcab46425ee6008fc02fe7039b46e75edc54",
    ),
    Package(
        "debian",
        "fluidr3mono-gm-soundfont",
        "2.315-7",
        "4098301bf29f4253c2f5799a844f42dd4aa733d91a210071ad16d7757dea51d6",
    ),
)
PACKAGES = {split_of("midi", font.name): font for font in _FONTS}


@dataclass(frozen=True)
class Instrument:
    """An instrument of General MIDI."""

    program: int  # from 0
    low: int  # lowest key of its phrases
    high: int
    family: str  # instruments of two families are told apart easily


INSTRUMENTS: Mapping[str, Instrument] = {
    "piano": Instrument(0, 45, 88, "piano"),
    "harpsichord": Instrument(6, 48, 81, "plucked"),
    "glockenspiel": Instrument(9, 77, 105, "struck"),
    "xylophone": Instrument(13, 65, 96, "struck"),
    "bell": Instrument(14, 60, 84, "struck"),
    "pipe organ": Instrument(19, 43, 84, "organ"),
    "accordion": Instrument(21, 53, 84, "reed"),
    "harmonica": Instrument(22, 60, 88, "reed"),
    "acoustic guitar": Instrument(24, 45, 76, "plucked"),
    "electric guitar": Instrument(30, 45, 76, "electric"),
    "bass guitar": Instrument(33, 28, 52, "bass"),
    "violin": Instrument(40, 57, 91, "bowed"),
    "cello": Instrument(42, 38, 67, "bowed"),
    "harp": Instrument(46, 45, 86, "plucked"),
    "choir": Instrument(52, 50, 77, "voice"),
    "trumpet": Instrument(56, 58, 82, "brass"),
    "trombone": Instrument(57, 43, 68, "brass"),
    "tuba": Instrument(58, 31, 55, "brass"),
    "French horn": Instrument(60, 46, 72, "brass"),
    "saxophone": Instrument(65, 50, 77, "woodwind"),
    "oboe": Instrument(68, 60, 86, "woodwind"),
    "bassoon": Instrument(70, 36, 65, "woodwind"),
    "clarinet": Instrument(71, 52, 84, "woodwind"),
    "flute": Instrument(73, 62, 93, "woodwind"),
    "sitar": Instrument(104, 50, 76, "sitar"),
    "banjo": Instrument(105, 52, 79, "plucked"),
    "bagpipe": Instrument(109, 58, 79, "bagpipe"),
    "steel drum": Instrument(114, 58, 82, "struck"),
}
PHRASES = {"train": 30, "dev": 4}  # an instrument
COUNTS = {"train": 5, "dev": 2}  # an instrument
PAIRS = {"train": 180, "dev": 48}
SCALES = (
    (0, 2, 4, 5, 7, 9, 11),  # major
    (0, 2, 3, 5, 7, 8, 10),  # minor
    (0, 2, 4, 7, 9),  # pentatonic
    (0, 3, 5, 6, 7, 10),  # blues
)
PACES = {"fast": (0.11, 0.17), "slow": (0.6, 0.9)}  # s a note; between them nobody is asked
CHORDS = frozenset({"piano", "pipe organ", "accordion", "acoustic guitar", "harp", "harpsichord"})
DIRECTION = (
    "Is the melody going up or down?",
    "Do the notes go up or down?",
    "Does the pitch rise or fall: up or down?",
)
PACE = (
    "Is the tempo fast or slow?",
    "Is the music fast or slow?",
    "Are the notes played at a fast or a slow pace?",
)
COUNT = (
    "How many notes are played?",
    "How many notes do you hear?",
    "Count the notes.",
)
ORDER = {
    0: "Which instrument plays first, the {} or the {}?",
    1: "Which instrument plays second, the {} or the {}?",
}
NUMBERS = ("one", "two", "three", "four", "five")


def keys_of(instrument: Instrument, rng: random.Random) -> list[int]:
    """The keys of a random scale within the instrument's range, from low to high."""
    root, scale = rng.randrange(12), rng.choice(SCALES)
    return [k for k in range(instrument.low, instrument.high + 1) if (k - root) % 12 in scale]


def wander(keys: Sequence[int], count: int, rng: random.Random) -> list[int]:
    """A melody that moves by small steps and turns now and then."""
    at, found = rng.randrange(len(keys)), []
    for _ in range(count):
        found.append(keys[at])
        at = min(max(at + rng.choice((-3, -2, -1, -1, 1, 1, 2, 3)), 0), len(keys) - 1)
    return found


def line(keys: Sequence[int], rng: random.Random, direction: str) -> list[int]:
    """Five to eight notes, each higher than the one before; or lower."""
    count = min(rng.randint(5, 8), len(keys))
    start = rng.randint(0, len(keys) - count)
    rising = list(keys[start : start + count])
    return rising if direction == "up" else rising[::-1]


def in_time(
    keys: Sequence[int], lengths: Sequence[float], program: int, rng: random.Random
) -> list[Note]:
    """Notes one after the other, nearly bound, with lively strength."""
    notes, now = [], 0.0
    for key, length in zip(keys, lengths, strict=True):
        strength = rng.randint(75, 110)
        one = Note(start=now, seconds=0.92 * length, key=key, program=program, velocity=strength)
        notes.append(one)
        now += length
    return notes


def _either(task: str, questions: Sequence[str], label: str, other: str, seed: str) -> Ask:
    rng = random.Random(f"question of {seed}")
    accept = {"up": "It is going up.", "down": "It is going down."}.get(label, f"It is {label}.")
    return Ask(
        task=task,
        turns=((rng.choice(questions), f"{label.capitalize()}."),),
        label=label,
        accept=(accept,),
        options=tuple(sorted((label, other))),
    )


def phrase(
    label: str, number: int, seed: str, among: Mapping[str, Instrument] = INSTRUMENTS
) -> tuple[list[Note], tuple[Ask, ...]]:
    """A phrase of two to five seconds: a line, one with a clear pace or a free one, by number."""
    instrument, rng = among[label], random.Random(seed)
    keys = keys_of(instrument, rng)
    second = (number // 3 + list(among).index(label)) % 2  # each half of the time
    if number % 3 == 0:
        pitches = line(keys, rng, ("up", "down")[second])
        lengths = [rng.uniform(0.28, 0.5)] * len(pitches)
        ask = _either("compare", DIRECTION, *(("up", "down"), ("down", "up"))[second], seed)
        return in_time(pitches, lengths, instrument.program, rng), (ask,)
    if number % 3 == 1:
        pace = ("fast", "slow")[second]
        length = rng.uniform(*PACES[pace])
        count = round(rng.uniform(2.4, 4.0) / length)
        notes = in_time(wander(keys, count, rng), [length] * count, instrument.program, rng)
        ask = _either("compare", PACE, *(("fast", "slow"), ("slow", "fast"))[second], seed)
        return notes, (ask,)
    beat = rng.uniform(0.2, 0.3)
    lengths = [beat * rng.choice((1, 1, 2, 2, 3)) for _ in range(rng.randint(6, 9))]
    notes = in_time(wander(keys, len(lengths), rng), lengths, instrument.program, rng)
    return [*notes, *(_thirds(notes, keys) if label in CHORDS else [])], ()


def _thirds(notes: Sequence[Note], keys: Sequence[int]) -> Iterator[Note]:
    """The third and fifth step above every other note, as far as the keys go."""
    for note in notes[::2]:
        at = keys.index(note.key)
        for key in keys[at + 2 : at + 5 : 2]:
            yield replace(note, key=key)


def separate(label: str, count: int, seed: str) -> tuple[list[Note], tuple[Ask, ...]]:
    """So many notes with a clear pause after each, and the question how many."""
    instrument, rng = INSTRUMENTS[label], random.Random(seed)
    keys, step = keys_of(instrument, rng), rng.uniform(0.7, 1.0)
    notes = [
        Note(start=step * at, seconds=0.5 * step, key=rng.choice(keys), program=instrument.program)
        for at in range(count)
    ]
    word, number = NUMBERS[count - 1], str(count)
    plural = "note" if count == 1 else "notes"
    ask = Ask(
        task="count",
        turns=((rng.choice(COUNT), f"{word.capitalize()}."),),
        label=number,
        accept=(f"{number}.", f"{word.capitalize()} {plural}."),
        options=tuple(str(one) for one in range(1, 6)),
    )
    return notes, (ask,)


def pair(seed: str) -> tuple[list[Note], tuple[Ask, ...]]:
    """Two instruments of different families in a row, and the question which is first or second."""
    rng = random.Random(seed)
    labels = rng.sample(sorted(INSTRUMENTS), 2)
    while len({INSTRUMENTS[label].family for label in labels}) < 2:
        labels = rng.sample(sorted(INSTRUMENTS), 2)
    notes: list[Note] = []
    now = 0.0
    for label in labels:
        instrument = INSTRUMENTS[label]
        lengths = [rng.uniform(0.25, 0.45)] * rng.randint(4, 5)
        keys = wander(keys_of(instrument, rng), len(lengths), rng)
        played = in_time(keys, lengths, instrument.program, rng)
        notes += [replace(note, start=note.start + now) for note in played]
        now += sum(lengths) + 0.4
    place = rng.randrange(2)
    label = labels[place]
    question = ORDER[place].format(*rng.sample(labels, 2))
    accept = (SOUNDS[label].answer, f"The {label} plays {('first', 'second')[place]}.")
    return notes, (
        Ask(
            task="order",
            turns=((question, f"The {label}."),),
            label=label,
            accept=accept,
            options=tuple(sorted(labels)),
        ),
    )


def _scores(split: str) -> Iterator[tuple[str, str, tuple[str, ...], list[Note], tuple[Ask, ...]]]:
    """Name, label, tasks, notes and questions of every clip of a split."""
    for at, label in enumerate(INSTRUMENTS):
        stem = f"{split}-{label.lower().replace(' ', '-')}"
        for number in range(PHRASES[split]):
            name = f"{stem}-{number:02d}"
            yield name, label, ("sound", "caption"), *phrase(label, number, name)
        for number in range(COUNTS[split]):
            name = f"{stem}-count-{number}"
            count = 1 + (COUNTS[split] * at + number) % 5
            yield name, label, ("sound",), *separate(label, count, name)
    for number in range(PAIRS[split]):
        name = f"{split}-pair-{number:03d}"
        yield name, "", (), *pair(name)


def font_in(folder: Path) -> Path:
    """The sound font in a folder.

    Raises:
        CorpusError: If there is none.
    """
    found = sorted(folder.rglob("*.sf[23]"))
    if not found:
        raise CorpusError(f"{folder} holds no sound font")
    return found[0]


def _read(materials: Materials) -> list[Clip]:
    command = synthesiser(materials.settings.fluidsynth)
    clips = []
    for split, package in PACKAGES.items():
        font = font_in(materials.unpacked(package))
        for name, label, tasks, notes, asks in _scores(split):
            clips.append(
                Clip(
                    name=name,
                    load=functools.partial(play, notes, font, command),
                    split=split,
                    tasks=tasks,
                    recording=f"{package.name}-{name}",
                    label=label,
                    sample_rate=SOUND_RATE,
                    asks=asks,
                )
            )
    return within_size(clips, materials)


SOURCE = Source(
    name="midi",
    title="General MIDI instruments playing made-up phrases (a sound font for each split)",
    licence="TimGM6mb: GPL-2; FluidR3Mono: MIT",
    attribution=(
        "TimGM6mb, Tim Brechbill; FluidR3Mono, Frank Wen and Michael Cowgill; FluidSynth plays them"
    ),
    read=_read,
    packages=tuple(PACKAGES.values()),
    seconds=(0.5, 12.0),
)

"""Further instruments of General MIDI; and notes of a third library, on which all are tested.

The test's notes are samples of Freepats, a file an instrument or drum (GF1 patches), played at the
pitch they were recorded at.
"""

import functools
import random
import re
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from corpus.clips import SOUND_RATE, Clip, Materials, Source, Waveform
from corpus.download import CorpusError, Package
from corpus.effects import within_size
from corpus.score import DRUMS, Note, play, synthesiser
from corpus.sources import midi
from corpus.sources.midi import Instrument
from corpus.splits import split_of

FREEPATS = Package(
    "debian",
    "freepats",
    "20060219-4",
    "1282628c7ec015f0d39a8b1ee58a2d942220bbad38173d005bbfbaaf36e1d6f1",
)
INSTRUMENTS = {
    "electric piano": Instrument(4, 45, 88, "piano"),
    "clavinet": Instrument(7, 45, 84, "piano"),
    "celesta": Instrument(8, 60, 96, "struck"),
    "music box": Instrument(10, 65, 96, "struck"),
    "vibraphone": Instrument(11, 53, 89, "struck"),
    "marimba": Instrument(12, 48, 84, "struck"),
    "dulcimer": Instrument(15, 55, 84, "struck"),
    "Hammond organ": Instrument(16, 43, 84, "organ"),
    "viola": Instrument(41, 48, 79, "bowed"),
    "double bass": Instrument(43, 28, 52, "bowed"),
    "timpani": Instrument(47, 38, 57, "drum"),
    "muted trumpet": Instrument(59, 58, 82, "brass"),
    "English horn": Instrument(69, 52, 79, "woodwind"),
    "piccolo": Instrument(72, 74, 98, "woodwind"),
    "recorder": Instrument(74, 60, 86, "woodwind"),
    "pan flute": Instrument(75, 60, 88, "woodwind"),
    "shakuhachi": Instrument(77, 57, 84, "woodwind"),
    "ocarina": Instrument(79, 60, 84, "woodwind"),
    "shamisen": Instrument(106, 50, 79, "plucked"),
    "koto": Instrument(107, 53, 84, "plucked"),
    "kalimba": Instrument(108, 60, 84, "plucked"),
    "fiddle": Instrument(110, 57, 88, "bowed"),
    "taiko drum": Instrument(116, 45, 65, "drum"),
}
# keys of the drums' channel
STRUCK = {
    "hand clap": (39,), "tambourine": (54,), "cowbell": (56,), "vibraslap": (58,),
    "bongo": (60, 61), "conga": (62, 63, 64), "timbale": (65, 66), "agogo bell": (67, 68),
    "cabasa": (69,), "maracas": (70,), "guiro": (73, 74), "claves": (75,), "wood block": (76, 77),
    "cuica": (78, 79), "triangle": (80, 81), "jingle bell": (83,), "castanets": (85,),
}  # fmt: skip
DRUM_KEYS = {"drum": (35, 36, 38, 40, 41, 43, 45, 47, 48, 50), "cymbal": (49, 51, 55, 57, 59)}
PHRASES = {"train": 18, "dev": 4}  # an instrument
RHYTHMS = {"train": 12, "dev": 4}
NOTE_SECONDS = 1.5  # a sample that can be looped is held so long
_LABELS = {
    **{("Tone", one.program): label for label, one in {**midi.INSTRUMENTS, **INSTRUMENTS}.items()},
    **{("Drum", key): label for label, keys in {**STRUCK, **DRUM_KEYS}.items() for key in keys},
}
# heads of a GF1 patch: of the file, the instrument and the layer; then of each sample
_HEADS, _SAMPLE = 129 + 63 + 47, struct.Struct("<7sB3IH3IHB18sB40s")
_SIXTEEN_BITS, _UNSIGNED, _LOOPED = 1, 2, 4


def rhythm(label: str, seed: str) -> list[Note]:
    """Two to six strokes at an even pace, some of them left out."""
    rng = random.Random(seed)
    beat, count = rng.uniform(0.18, 0.45), rng.randint(2, 6)
    played = [at for at in range(count) if not at or rng.random() < 0.8]
    return [
        Note(
            start=at * beat,
            seconds=0.15,
            key=rng.choice(STRUCK[label]),
            program=DRUMS,
            velocity=rng.randint(80, 115),
        )
        for at in played
    ]


def patch_notes(data: bytes) -> list[Waveform]:
    """The samples of a GF1 patch as notes, each `(samples,)` and its rate in Hz.

    Raises:
        CorpusError: If it is no such patch.
    """
    if data[:8] != b"GF1PATCH":
        raise CorpusError(f"a patch should begin with GF1PATCH, found {data[:8]!r}")
    notes, at = [], _HEADS
    for _ in range(data[_HEADS - 41]):
        _, _, size, start, end, rate, *_, modes, _ = _SAMPLE.unpack_from(data, at)
        at += _SAMPLE.size
        kind = ("u" if modes & _UNSIGNED else "i") + ("2" if modes & _SIXTEEN_BITS else "1")
        whole = np.frombuffer(data[at : at + size], f"<{kind}").astype(np.float32)
        at += size
        half = 32768.0 if modes & _SIXTEEN_BITS else 128.0
        whole = (whole - half if modes & _UNSIGNED else whole) / half
        width = 2 if modes & _SIXTEEN_BITS else 1
        loop = whole[start // width : end // width] if modes & _LOOPED else whole[:0]
        notes.append((_held(whole[: end // width] if len(loop) else whole, loop, rate), rate))
    return notes


def _held(attack: np.ndarray, loop: np.ndarray, rate: int) -> np.ndarray:
    """A note that sounds for `NOTE_SECONDS` where it has a loop, and fades."""
    wanted = round(NOTE_SECONDS * rate)
    if len(loop) and len(attack) < wanted:
        attack = np.concatenate([attack, np.tile(loop, (wanted - len(attack)) // len(loop) + 1)])
    row = attack[:wanted].copy()
    fade = min(round(0.3 * rate), len(row))
    row[len(row) - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
    return row


def _played(materials: Materials) -> Iterator[Clip]:
    command = synthesiser(materials.settings.fluidsynth)
    for package in midi.PACKAGES.values():
        split = split_of("more-instruments", package.name)
        font = midi.font_in(materials.unpacked(package))
        scores = [
            (label, f"{split}-{label.lower().replace(' ', '-')}-{number:02d}")
            for table, count in ((INSTRUMENTS, PHRASES), (STRUCK, RHYTHMS))
            for label in table
            for number in range(count[split])
        ]
        for label, name in scores:
            notes = rhythm(label, name) if label in STRUCK else _phrase(label, name)
            yield Clip(
                name=name,
                load=functools.partial(play, notes, font, command),
                split=split,
                tasks=("sound", "caption"),
                recording=f"{package.name}-{name}",
                label=label,
                sample_rate=SOUND_RATE,
            )


def _phrase(label: str, name: str) -> list[Note]:
    return midi.phrase(label, int(name[-2:]), name, INSTRUMENTS)[0]


def _load(path: Path, number: int) -> Waveform:
    return patch_notes(path.read_bytes())[number]


def _notes(folder: Path) -> Iterator[Clip]:
    for path in sorted(folder.rglob("*.pat")):
        name = re.fullmatch(r"(\d{3})_(.*)", path.stem)
        label = _LABELS.get((path.parent.name[:4], int(name[1]))) if name else None
        if not label:
            continue
        for number in range(len(patch_notes(path.read_bytes()))):
            stem = f"freepats-{path.parent.name[:4].lower()}-{path.stem.lower()}-{number}"
            yield Clip(
                name=stem,
                load=functools.partial(_load, path, number),
                split=split_of("more-instruments", FREEPATS.name),
                tasks=("sound", "caption"),
                recording=stem,
                label=label,
                sample_rate=SOUND_RATE,
            )


def _read(materials: Materials) -> list[Clip]:
    clips = [*_played(materials), *_notes(materials.unpacked(FREEPATS))]
    return within_size(clips, materials)


SOURCE = Source(
    name="more-instruments",
    title="Further General MIDI instruments, and single notes of Freepats",
    licence="TimGM6mb: GPL-2; FluidR3Mono: MIT; Freepats: GPL-2+ with an exception for music",
    attribution=(
        "TimGM6mb, Tim Brechbill; FluidR3Mono, Frank Wen and Michael Cowgill; FluidSynth plays "
        "them; the Freepats project"
    ),
    read=_read,
    packages=(*midi.PACKAGES.values(), FREEPATS),
    seconds=(0.1, 12.0),
)

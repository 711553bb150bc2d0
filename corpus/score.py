"""A few notes as a standard MIDI file, and the file played by FluidSynth."""

import shutil
import struct
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from corpus.clips import SOUND_RATE, Waveform
from corpus.download import CorpusError
from corpus.sound import read_sound

DRUMS = 128  # in place of a program
_DRUM_CHANNEL = 9
TICKS = 960  # in a second: 480 a quarter note, two of which last a second
TAIL = 0.8  # s after the last note, in which it fades
GAIN = 2.0  # of the synthesiser; some chords exceed 1, which float samples can hold


@dataclass(frozen=True, kw_only=True)
class Note:
    """One note of one instrument."""

    start: float  # s
    seconds: float
    key: int  # 60 is middle C
    program: int = 0  # of General MIDI, from 0; or DRUMS, where a key is a drum
    velocity: int = 90  # 1 to 127


def seconds_of(notes: Sequence[Note]) -> float:
    """How long the notes and the fading of the last one take."""
    return max(note.start + note.seconds for note in notes) + TAIL


def midi_bytes(notes: Sequence[Note]) -> bytes:
    """The notes as a MIDI file of one track; every program has a channel of its own.

    Raises:
        ValueError: If there are more than nine programs, for channel ten is the drums'.
    """
    programs = sorted({note.program for note in notes} - {DRUMS})
    channels = {program: at for at, program in enumerate(programs)}
    if len(channels) > 9:
        raise ValueError(f"at most 9 programs, found {len(channels)}")
    events = [(0, 0, bytes([0xC0 | at, program])) for program, at in channels.items()]
    channels[DRUMS] = _DRUM_CHANNEL
    for note in notes:
        at, end = channels[note.program], note.start + note.seconds
        # at one tick a note ends before the next begins
        events.append((round(note.start * TICKS), 2, bytes([0x90 | at, note.key, note.velocity])))
        events.append((round(end * TICKS), 1, bytes([0x80 | at, note.key, 0])))
    events.append((round(seconds_of(notes) * TICKS), 3, b"\xff\x2f\x00"))
    track, now = b"\x00\xff\x51\x03" + (500_000).to_bytes(3, "big"), 0  # microseconds a quarter
    for tick, _, message in sorted(events):
        track += _variable(tick - now) + message
        now = tick
    header = struct.pack(">4sIHHH", b"MThd", 6, 0, 1, TICKS // 2)
    return header + struct.pack(">4sI", b"MTrk", len(track)) + track


def _variable(number: int) -> bytes:
    """A number in groups of seven bits; all but the last have the eighth bit set."""
    groups = [number & 0x7F]
    while number := number >> 7:
        groups.insert(0, 0x80 | number & 0x7F)
    return bytes(groups)


def synthesiser(command: str) -> str:
    """Full name of the FluidSynth command.

    Raises:
        CorpusError: If it is not there.
    """
    found = shutil.which(command)
    if found is None:
        raise CorpusError(
            f"the synthesiser fluidsynth was not found as {command!r}; "
            "install it or name it with --fluidsynth COMMAND"
        )
    return found


def play(notes: Sequence[Note], font: Path, command: str) -> Waveform:
    """The notes as sound, `(samples, 2)` at 44.1 kHz.

    Args:
        notes: What is played.
        font: A sound font, `.sf2` or `.sf3`.
        command: FluidSynth.

    Raises:
        CorpusError: If the synthesiser fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        score, sound = Path(folder, "score.mid"), Path(folder, "sound.wav")
        score.write_bytes(midi_bytes(notes))
        arguments = [command, "-ni", "-q", "-g", str(GAIN), "-r", str(SOUND_RATE)]
        arguments += ["-o", "synth.dynamic-sample-loading=1"]  # a font whole takes a second
        arguments += ["-O", "float", "-F", str(sound), str(font), str(score)]
        result = subprocess.run(arguments, capture_output=True, text=True, check=False)
        if result.returncode != 0 or not sound.exists():
            said = result.stderr.strip().splitlines() or ["it said nothing"]
            raise CorpusError(f"fluidsynth stopped: {said[-1]}")
        samples, rate = read_sound(sound)
    return samples[: round(seconds_of(notes) * rate)], rate  # the rest is silence

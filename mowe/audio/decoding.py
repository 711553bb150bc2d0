"""A file to mono samples, within limits: what the worker processes run.

A file is known by its content, never by its name's ending. Limits are checked on the header before
anything is decoded, and again on every block: a header can lie, and a small file can hold days.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO, NamedTuple

import av
import soundfile

from mowe.audio.formats import HEAD_BYTES, refusal
from mowe.audio.headers import Ending, ending, ogg_streams, read_at
from mowe.audio.limits import AudioLimits, duration
from mowe.audio.mixing import Mixer
from mowe.audio.reading import Read, read_with_pyav, read_with_soundfile
from mowe.errors import AudioError

MIN_MISSING = 0.1  # s; less than this between header and content is encoder padding
MIN_MISSING_SHARE = 0.02
MP3_MARKS = (b"ID3", b"\xff")

Reader = Callable[[BinaryIO, Mixer], Read]


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """The account of what was decoded; plain JSON types only."""

    kept_rate: int  # Hz, of the samples that were written
    source_rate: int  # Hz
    channels: int
    seconds: float  # s, as recorded
    peak: float  # largest absolute sample of the mono sound before resampling
    broken: int  # samples that are not finite
    samples: int  # as recorded, of one channel
    downmixed: bool  # the mean of the channels
    content_hash: str
    notes: tuple[str, ...] = ()  # what is damaged or missing, and what else should be known


class _Attempt(NamedTuple):
    reader: Reader
    mixer: Mixer
    read: Read


def decode(file: BinaryIO, out: BinaryIO, name: str, limits: AudioLimits) -> Decoded:
    """Decode a whole file that may be damaged.

    Args:
        file: Unbuffered, with a position.
        out: Gets the samples, float32 in the machine's byte order; empty.
        name: What to call the file in errors.
        limits: What is allowed.

    Returns:
        What the reader that got furthest found; it may have no samples.

    Raises:
        AudioError: If it is over a limit, or no reader understands it.
    """
    end = ending(file)
    attempts = _attempts(file, out, name, limits, end)
    if not attempts:
        raise AudioError(refusal(name, read_at(file, 0, HEAD_BYTES)))
    best = max(attempts, key=lambda one: one.mixer.seconds)
    channel = best.mixer.levels.lone_channel()
    mixer = best.mixer
    if best is not attempts[0] or channel is not None:
        mixer = Mixer(name, limits, _overwrite(out), channel)
        best.reader(file, mixer)
    declared = max(one.read.declared_seconds for one in attempts)
    return account(
        mixer,
        [
            *_damage(best, attempts),
            *best.read.remarks,
            *_early_end(mixer.seconds, declared),
            *_end_notes(mixer, end),
            *channel_notes(best.mixer, channel),
        ],
    )


def _attempts(
    file: BinaryIO, out: BinaryIO, name: str, limits: AudioLimits, end: Ending
) -> list[_Attempt]:
    """What each reader made of the file, up to the first that found it whole."""
    attempts: list[_Attempt] = []
    for reader in _readers(file, end):
        # a second reader only measures: two results would take twice the memory
        mixer = Mixer(name, limits, None if attempts else _overwrite(out))
        try:
            attempts.append(_Attempt(reader, mixer, reader(file, mixer)))
        except (soundfile.LibsndfileError, av.FFmpegError) as error:
            if isinstance(error, MemoryError):
                raise
            continue
        except AudioError:
            if not attempts or not attempts[0].mixer.seconds:
                raise
        if _is_whole(attempts[-1]):
            break
    return attempts


def account(mixer: Mixer, notes: Sequence[str]) -> Decoded:
    """What a mixer was given, with notes."""
    return Decoded(
        kept_rate=mixer.kept_rate,
        source_rate=mixer.source_rate,
        channels=mixer.channels,
        seconds=mixer.seconds,
        peak=mixer.levels.peak,
        broken=mixer.levels.broken,
        samples=mixer.levels.frames,
        downmixed=mixer.channels > 1 and mixer.channel is None,
        content_hash=mixer.content_hash,
        notes=tuple(notes),
    )


def channel_notes(measured: Mixer, channel: int | None) -> list[str]:
    """Why one channel is used alone, where it is."""
    if channel is None:
        return []
    lost = measured.levels.lost_decibels()
    left = f"{lost:.0f} dB quieter" if lost < 100 else "silence"
    which = f"channel {channel + 1} of {measured.channels}"
    return [f"{which} is used alone, as all of them mixed would be {left}"]


def _readers(file: BinaryIO, end: Ending) -> list[Reader]:
    if end.left_over_seconds:
        return [partial(read_with_pyav, ignore_length=True), read_with_soundfile]
    head = read_at(file, 0, 4)
    # of these soundfile reads only the beginning: MP3 without its length, and chained Ogg
    if head.startswith(MP3_MARKS) or (head == b"OggS" and ogg_streams(file) > 1):
        return [read_with_pyav, partial(read_with_soundfile, exact=False)]
    return [read_with_soundfile, read_with_pyav]


def _overwrite(out: BinaryIO) -> Callable[[object], object]:
    out.seek(0)
    out.truncate()
    return out.write  # type: ignore[return-value]


def _is_whole(one: _Attempt) -> bool:
    seconds, read = one.mixer.seconds, one.read
    early = _early_end(seconds, read.declared_seconds)
    return seconds > 0 and read.exact and not read.damage and not early


def _damage(best: _Attempt, attempts: list[_Attempt]) -> list[str]:
    """What the best reader could not read, or else another one that noticed more."""
    if _is_whole(best):
        return []
    return next((one.read.damage for one in (best, *attempts) if one.read.damage), [])


def _early_end(seconds: float, declared: float) -> list[str]:
    if declared - seconds < max(MIN_MISSING, MIN_MISSING_SHARE * declared):
        return []
    return [f"it ends after {duration(seconds)} though its header says {duration(declared)}"]


def _end_notes(mixer: Mixer, end: Ending) -> list[str]:
    if more := end.left_over_seconds:
        said = duration(mixer.seconds - more)
        return [f"its header says {said}, the {duration(more)} behind that are used too"]
    return ["the file is cut short"] if end.cut else []

"""The one chain every clip goes through: decode, mix to mono, resample, store as 16-bit FLAC."""

import io
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import soundfile

from corpus.clips import Waveform
from corpus.download import CorpusError
from mowe.audio.signals import resample

PEAK = 0.95  # louder clips are scaled down to this, so that 16 bits never clip
G722_RATE = 16_000  # Hz


def read_sound(source: Path | bytes) -> Waveform:
    """Decode a file libsndfile knows (wav, flac, ogg, opus, mp3).

    Returns:
        Samples `(samples, channels)` float32 and their rate in Hz.

    Raises:
        CorpusError: If it cannot be decoded or is empty.
    """
    handle = io.BytesIO(source) if isinstance(source, bytes) else str(source)
    try:
        samples, rate = soundfile.read(handle, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise CorpusError(f"the sound cannot be decoded: {error}") from error
    if not len(samples):
        raise CorpusError("the sound is empty")
    return samples, rate


def read_g722(path: Path) -> Waveform:
    """Decode headerless G.722, the telephone codec for 16 kHz speech.

    Returns:
        Samples `(samples,)` float32 and 16,000 Hz.
    """
    with av.open(str(path), format="g722") as container:
        frames = [frame.to_ndarray() for frame in container.decode(audio=0)]
    samples = np.concatenate(frames, axis=1)[0]
    return samples.astype(np.float32) / 32768, G722_RATE


def read_unsigned_8_bit(data: bytes, rate: int) -> Waveform:
    """Headerless unsigned 8-bit samples, as old games keep them."""
    return (np.frombuffer(data, np.uint8).astype(np.float32) - 128) / 128, rate


def join(pieces: Sequence[np.ndarray], gaps: Sequence[float], rate: int) -> np.ndarray:
    """Put pieces in a row with silence between them.

    Args:
        pieces: Sounds, each `(samples,)`.
        gaps: Silence after each piece but the last, in seconds.
        rate: Rate of all pieces, in Hz.

    Returns:
        The row, `(samples,)`.
    """
    row = [pieces[0]]
    for gap, piece in zip(gaps, pieces[1:], strict=True):
        row += [np.zeros(round(gap * rate), np.float32), piece]
    return np.concatenate(row)


def convert(waveform: Waveform, rate: int) -> np.ndarray:
    """Mono at the wanted rate, within [-PEAK, PEAK].

    Returns:
        `(samples,)` float32.
    """
    samples, source_rate = waveform
    mono = samples.mean(axis=1) if samples.ndim == 2 else samples
    mono = resample(np.ascontiguousarray(mono), source_rate, rate)
    peak = float(np.abs(mono).max(initial=0.0))
    return mono * (PEAK / peak) if peak > PEAK else mono


def seconds_of(path: Path) -> float:
    """Length of a stored clip in seconds."""
    information = soundfile.info(str(path))
    return information.frames / information.samplerate

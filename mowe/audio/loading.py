"""The door of the room: a path, bytes or an array in, a checked recording out."""

from pathlib import Path
from typing import BinaryIO

import numpy as np

from mowe.audio.decoding import Decoded, account, channel_notes
from mowe.audio.files import open_recording, printable
from mowe.audio.limits import AudioLimits
from mowe.audio.mixing import BLOCK_FRAMES, Mixer
from mowe.audio.pool import DecodingPool, scratch_file, shared_pool
from mowe.audio.recording import Recording, Treatment, pad_short
from mowe.audio.signals import SAMPLE_RATE
from mowe.errors import AudioError

SILENCE = 1e-4  # peak, -80 dB of full scale: below the noise of any recording

AudioSource = str | Path | bytes | tuple[np.ndarray, int]


def load_audio(
    source: AudioSource,
    *,
    start: float = 0.0,
    end: float | None = None,
    name: str | None = None,
    limits: AudioLimits | None = None,
    pool: DecodingPool | None = None,
) -> Recording:
    """Decode a recording in a process of its own, check it, and mix it to mono.

    Args:
        source: A path, a file's bytes, or an array with its rate in Hz: `(samples,)` or
            `(samples, channels)` of float, int16, int32 or uint8.
        start: Where the part that is wanted begins, s.
        end: Where it ends, s; None is the end of the recording.
        name: What to call it; a path's own file name by default.
        limits: What is allowed, and the highest rate that is kept; `AudioLimits()` by default.
        pool: Decodes files and bytes; that of this process by default.

    Returns:
        The recording or its part, at least one second long, with an account of what was done to it.

    Raises:
        AudioError: If it is missing, unreadable, empty, not finite or over a limit, if it has no
            such part, or if its decoder crashes, hangs or takes too much memory; one sentence that
            names the file without its folder.
    """
    limits = limits or AudioLimits()
    path = Path(source) if isinstance(source, str | Path) else None
    shown = printable(name or (path.name if path else "") or "recording")
    if isinstance(source, tuple):
        decoded, samples = _from_array(*source, shown, limits)
    else:
        with _open(source, shown, limits) as file:
            decoded, samples = (pool or shared_pool()).decode(file, shown, limits)
    recording = _finish(decoded, samples, shown, path)
    return recording if not start and end is None else _part(recording, start, end)


def _part(recording: Recording, start: float, end: float | None) -> Recording:
    try:
        return recording.window(start, recording.seconds if end is None else end)
    except ValueError:
        wanted = f"from {start:g} s on" if end is None else f"from {start:g} to {end:g} s"
        raise AudioError(
            f"{recording.name} lasts {recording.seconds:g} s and has no part {wanted}."
        ) from None


def _open(source: str | Path | bytes, name: str, limits: AudioLimits) -> BinaryIO:
    if not isinstance(source, bytes):
        return open_recording(Path(source), name=name, limits=limits)
    limits.check_size(name, len(source))
    file = scratch_file()
    file.write(source)
    file.flush()
    return file


def _from_array(
    array: np.ndarray, sample_rate: int, name: str, limits: AudioLimits
) -> tuple[Decoded, np.ndarray]:
    samples = np.asarray(array)
    if samples.ndim not in (1, 2):
        raise AudioError(
            f"{name} is an array of shape {samples.shape};"
            " (samples,) and (samples, channels) are allowed."
        )
    block = samples[:, None] if samples.ndim == 1 else samples
    pieces: list[np.ndarray] = []
    mixer = _mixed(block, int(sample_rate), Mixer(name, limits, pieces.append))
    measured, channel = mixer, mixer.levels.lone_channel()
    if channel is not None:
        pieces.clear()
        mixer = _mixed(block, int(sample_rate), Mixer(name, limits, pieces.append, channel))
    together = np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
    return account(mixer, channel_notes(measured, channel)), together


def _mixed(array: np.ndarray, sample_rate: int, mixer: Mixer) -> Mixer:
    mixer.check_header(sample_rate, array.shape[1], len(array) / max(sample_rate, 1))
    for start in range(0, len(array), BLOCK_FRAMES):
        mixer.add(array[start : start + BLOCK_FRAMES], sample_rate)
    mixer.finish()
    return mixer


def _finish(decoded: Decoded, samples: np.ndarray, name: str, path: Path | None) -> Recording:
    """Check the samples, bring them into [-1, 1], pad them, and write down what was done."""
    if not len(samples):
        reason = f" ({'; '.join(decoded.notes)})" if decoded.notes else ""
        raise AudioError(f"{name} holds no samples{reason}; a recording with sound is needed.")
    if decoded.broken:
        raise AudioError(
            f"{name} holds samples that are not finite numbers (NaN or infinity, {decoded.broken}"
            f" of {decoded.samples}); none is allowed."
        )
    if decoded.peak > 1.0:
        samples /= decoded.peak
    np.clip(samples, -1.0, 1.0, out=samples)  # resampling may overshoot a little
    padded, padded_seconds = pad_short(samples, decoded.kept_rate)
    return Recording(
        name=name,
        stored=padded,
        sample_rate=decoded.kept_rate,
        content_hash=decoded.content_hash,
        treatment=Treatment(
            source_rate=decoded.source_rate,
            source_channels=decoded.channels,
            source_seconds=decoded.seconds,
            resampled=decoded.source_rate != SAMPLE_RATE,
            downmixed=decoded.downmixed,
            padded_seconds=padded_seconds,
            peak=decoded.peak,
            notes=(*decoded.notes, *_level_notes(decoded.peak)),
        ),
        path=path,
    )


def _level_notes(peak: float) -> list[str]:
    if peak > 1.0:
        return [f"scaled down from a peak of {peak:.3g} to 1"]
    if peak >= SILENCE:
        return []
    return ["it is silent" if peak == 0 else "it is nearly silent"]

"""The door of the room: a path, bytes or an array in, a checked recording out."""

import stat
from pathlib import Path

import numpy as np

from mowe.audio.decoding import Decoded, Mono, decode
from mowe.audio.limits import AudioLimits
from mowe.audio.recording import Recording, Treatment, hash_samples, pad_short
from mowe.audio.signals import SAMPLE_RATE
from mowe.errors import AudioError

# Only for walking folders; a file that is named is tried whatever its ending.
AUDIO_SUFFIXES = frozenset(
    {".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".m4a", ".mp4", ".aac", ".webm"}
    | {".aif", ".aiff", ".aifc", ".caf", ".wma", ".mka", ".w64"}
)
SILENCE = 1e-4  # peak, -80 dB of full scale: below the noise of any recording
MAX_NAME_CHARS = 120

Source = str | Path | bytes | tuple[np.ndarray, int]


def load_audio(
    source: Source, *, name: str | None = None, limits: AudioLimits | None = None
) -> Recording:
    """Decode a recording, check it, and mix it to mono at its own rate.

    Args:
        source: A path, a file's bytes, or an array with its rate in Hz: `(samples,)` or
            `(samples, channels)` of float, int16, int32 or uint8.
        name: What to call it; a path's own file name by default.
        limits: What is allowed; `AudioLimits()` by default.

    Returns:
        The recording, at least one second long, with an account of what was done to it.

    Raises:
        AudioError: If it is missing, unreadable, empty, not finite or over a limit; one sentence
            that names the file without its folder.
    """
    limits = limits or AudioLimits()
    path = Path(source) if isinstance(source, str | Path) else None
    shown = _printable(name or (path.name if path else "") or "recording")
    if isinstance(source, tuple):
        array, sample_rate = source
        return _finish(_from_array(array, sample_rate, shown, limits), shown, path)
    data = source if isinstance(source, bytes) else _read(Path(source), shown, limits)
    limits.check_size(shown, len(data))
    return _finish(decode(data, shown, limits), shown, path)


def _printable(name: str) -> str:
    """A name that is safe to show: file names may hold terminal codes and lone surrogates."""
    return "".join(letter if letter.isprintable() else "?" for letter in name[:MAX_NAME_CHARS])


def _read(path: Path, name: str, limits: AudioLimits) -> bytes:
    try:
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            raise AudioError(f"{name} is a folder; a single audio file is needed.")
        if not stat.S_ISREG(found.st_mode):
            raise AudioError(f"{name} is not a regular file; a single audio file is needed.")
        limits.check_size(name, found.st_size)
        with path.open("rb") as file:
            data = file.read(limits.max_bytes + 1)  # the file may have grown since
    except FileNotFoundError:
        raise AudioError(f"{name} does not exist; the path of an audio file is needed.") from None
    except PermissionError:
        raise AudioError(f"{name} may not be read; its permissions do not allow it.") from None
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        reason = getattr(error, "strerror", None) or "not a valid path"
        raise AudioError(f"{name} cannot be read: {reason}.") from None
    return data


def _from_array(array: np.ndarray, sample_rate: int, name: str, limits: AudioLimits) -> Decoded:
    samples = np.asarray(array)
    if samples.ndim not in (1, 2):
        raise AudioError(
            f"{name} is an array of shape {samples.shape};"
            " (samples,) and (samples, channels) are allowed."
        )
    block = samples[:, None] if samples.ndim == 1 else samples
    mono = Mono(name, int(sample_rate), block.shape[1], limits)
    mono.add(block)
    return mono.finish(notes=())


def _finish(decoded: Decoded, name: str, path: Path | None) -> Recording:
    """Check the samples, bring them into [-1, 1], pad them, and write down what was done."""
    if not len(decoded.samples):
        reason = f" ({'; '.join(decoded.notes)})" if decoded.notes else ""
        raise AudioError(f"{name} holds no samples{reason}; a recording with sound is needed.")
    broken = int(np.count_nonzero(~np.isfinite(decoded.samples)))
    if broken:
        raise AudioError(
            f"{name} holds samples that are not finite numbers (NaN or infinity, {broken} of"
            f" {len(decoded.samples)}); none is allowed."
        )
    peak = max(float(decoded.samples.max()), -float(decoded.samples.min()))
    in_range = decoded.samples if peak <= 1.0 else decoded.samples / peak
    samples, padded_seconds = pad_short(in_range, decoded.sample_rate)
    return Recording(
        name=name,
        stored=samples,
        sample_rate=decoded.sample_rate,
        content_hash=hash_samples(samples, decoded.sample_rate),
        treatment=Treatment(
            source_rate=decoded.sample_rate,
            source_channels=decoded.channels,
            source_seconds=decoded.seconds,
            resampled=decoded.sample_rate != SAMPLE_RATE,
            downmixed=decoded.channels > 1,
            padded_seconds=padded_seconds,
            peak=peak,
            notes=(*decoded.notes, *_level_notes(peak, decoded.channel_peak)),
        ),
        path=path,
    )


def _level_notes(peak: float, channel_peak: float) -> list[str]:
    if peak > 1.0:
        return [f"scaled down from a peak of {peak:.3g} to 1"]
    if peak >= SILENCE:
        return []
    if channel_peak >= 10 * SILENCE:
        return ["the channels cancel each other when mixed, what is left is silence"]
    return ["it is silent" if peak == 0 else "it is nearly silent"]

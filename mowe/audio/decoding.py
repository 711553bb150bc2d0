"""Encoded bytes to mono samples, within limits: soundfile first, PyAV for what it cannot finish.

A file is known by its content, never by its name's ending. Limits are checked on the header before
anything is decoded, and again on every block: a header can lie, and a small file can hold days.
"""

import contextlib
import io
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import av
import numpy as np
import soundfile

from mowe.audio.limits import AudioLimits, duration
from mowe.errors import AudioError

BLOCK_FRAMES = 65_536
UNKNOWN_FRAMES = 2**62  # libsndfile reports about 2**63 where the header does not say
# FFmpeg also opens playlists and session descriptions, which name other files and hosts.
CONTAINERS = "aac,ac3,aiff,amr,asf,caf,flac,matroska,mov,mp3,mpegts,ogg,w64,wav"
READABLE = "WAV, FLAC, MP3, Ogg, Opus, M4A, AAC and WebM"
MARKS = {  # bytes that begin a file, where they stand, and what it is
    b"RIFF": (0, "WAV"),
    b"fLaC": (0, "FLAC"),
    b"OggS": (0, "Ogg"),
    b"ID3": (0, "MP3"),
    b"\x1aE\xdf\xa3": (0, "WebM"),
    b"ftyp": (4, "M4A"),
}
NO_HEADER_LENGTH = ("aac", "ac3", "amr", "mp3", "mpegts")  # FFmpeg guesses these from the bit rate
MIN_MISSING = 0.1  # s; less than this between header and content is encoder padding
MIN_MISSING_SHARE = 0.02


class Decoded(NamedTuple):
    """What one reader got out of a file."""

    samples: np.ndarray  # (samples,) float32, mean of the channels
    sample_rate: int  # Hz
    channels: int
    channel_peak: float  # largest absolute sample of any channel
    declared_seconds: float  # s, from the header; 0 where it does not say
    notes: tuple[str, ...] = ()  # what is damaged or missing

    @property
    def seconds(self) -> float:
        """Length, s."""
        return len(self.samples) / self.sample_rate


class ForwardReader(soundfile.SoundFile):
    """Reads block after block without the seek that soundfile adds behind each.

    The seek goes nowhere new, yet it restarts libsndfile's MP3 decoder, which garbles what follows.
    """

    def seekable(self) -> bool:
        """Never, so that `read` does not seek."""
        return False


class Mono:
    """Collects blocks of any number of channels as their mean, and stops at the limit."""

    def __init__(self, name: str, sample_rate: int, channels: int, limits: AudioLimits) -> None:
        limits.check_format(name, sample_rate, channels)
        self.name, self.limits = name, limits
        self.sample_rate, self.channels = sample_rate, channels
        self.length = 0  # samples so far
        self._blocks: list[np.ndarray] = []
        self._peak = 0.0

    @property
    def seconds(self) -> float:
        """Length so far, s."""
        return self.length / self.sample_rate

    def add(self, block: np.ndarray) -> None:
        """Append a block.

        Args:
            block: `(frames, channels)`, any type `to_float` takes.

        Raises:
            AudioError: If the recording is now longer than allowed.
        """
        self.length += len(block)
        self.limits.check_length(self.name, self.seconds, so_far=True)
        sound = to_float(block)
        self._peak = max(self._peak, float(np.abs(sound).max(initial=0.0)))
        with np.errstate(over="ignore", invalid="ignore"):  # not finite: refused later, by name
            self._blocks.append(sound.mean(axis=1) if sound.shape[1] > 1 else sound[:, 0])

    def finish(self, declared_seconds: float = 0.0, notes: Sequence[str] = ()) -> Decoded:
        """Everything so far, as one array."""
        samples = np.concatenate(self._blocks) if self._blocks else np.zeros(0, np.float32)
        return Decoded(
            samples, self.sample_rate, self.channels, self._peak, declared_seconds, tuple(notes)
        )


def decode(data: bytes, name: str, limits: AudioLimits) -> Decoded:
    """Decode a whole file that may be damaged.

    Args:
        data: The file's bytes.
        name: What to call it in errors.
        limits: What is allowed.

    Returns:
        What the reader that got furthest found, with notes on what is missing; it may have no
        samples.

    Raises:
        AudioError: If it is over a limit, or no reader understands it.
    """
    found: list[Decoded] = []
    for reader in (_read_with_soundfile, _read_with_pyav):
        with contextlib.suppress(soundfile.LibsndfileError, av.FFmpegError):
            one = reader(data, name, limits)
            found += [] if one is None else [one]
            if one is not None and _is_whole(one):
                break
    if not found:
        raise AudioError(f"{name} holds {_looks_like(data)}; {READABLE} can be read.")
    best = max(found, key=lambda one: one.seconds)
    declared = max(one.declared_seconds for one in found)
    return best._replace(
        notes=(*best.notes, *_early_end(best.seconds, declared), *_cut_container(data))
    )


def to_float(samples: np.ndarray) -> np.ndarray:
    """Samples of any usual type as float32, where integers' full scale becomes 1.

    Raises:
        AudioError: If the type is none of float, int16, int32 and uint8.
    """
    if samples.dtype.kind == "f":
        with np.errstate(over="ignore"):  # too large for float32 becomes infinite, refused later
            return samples.astype(np.float32, copy=False)
    if samples.dtype == np.uint8:
        return (samples.astype(np.float32) - 128.0) / 128.0
    if samples.dtype in (np.int16, np.int32):
        return samples.astype(np.float32) / -float(np.iinfo(samples.dtype).min)
    raise AudioError(f"The samples are {samples.dtype}; float, int16, int32 and uint8 are allowed.")


def _read_with_soundfile(data: bytes, name: str, limits: AudioLimits) -> Decoded:
    with ForwardReader(io.BytesIO(data)) as sound:
        mono = Mono(name, sound.samplerate, sound.channels, limits)
        declared = sound.frames / sound.samplerate if sound.frames < UNKNOWN_FRAMES else 0.0
        limits.check_length(name, declared)
        notes = []
        try:
            while len(block := sound.read(BLOCK_FRAMES, dtype="float32", always_2d=True)):
                mono.add(block)
        except soundfile.LibsndfileError:
            notes.append("the end cannot be decoded")
    return mono.finish(declared, notes)


def _read_with_pyav(data: bytes, name: str, limits: AudioLimits) -> Decoded | None:
    options = {"format_whitelist": CONTAINERS}
    file = io.BytesIO(data)
    with av.open(file, mode="r", options=options, metadata_errors="replace") as container:
        if not container.streams.audio:
            raise AudioError(f"{name} holds no audio track; a recording with sound is needed.")
        declared = _declared_seconds(container)
        limits.check_length(name, declared)
        mono: Mono | None = None
        notes: list[str] = []
        for frame in _frames(container, notes):
            if mono is None:  # the decoder knows rate and channels better than the header
                mono = Mono(name, frame.sample_rate, frame.layout.nb_channels, limits)
            if frame.sample_rate != mono.sample_rate:
                notes.append(f"used up to {duration(mono.seconds)}, where its sample rate changes")
                break
            mono.add(_frame_samples(frame, name))
    return mono.finish(declared, notes) if mono else None


def _frames(container: av.container.InputContainer, notes: list[str]) -> Iterator[av.AudioFrame]:
    """Every frame that decodes; what does not is told in `notes`."""
    broken = 0
    try:
        for packet in container.demux(container.streams.audio[0]):
            try:
                frames = packet.decode()
            except av.FFmpegError:
                broken += 1
                continue
            yield from frames
    except av.FFmpegError:
        notes.append("the end cannot be decoded")
    if broken:
        notes.append(f"{broken} damaged {'packet' if broken == 1 else 'packets'} left out")


def _frame_samples(frame: av.AudioFrame, name: str) -> np.ndarray:
    """A frame as `(frames, channels)`."""
    try:
        samples: np.ndarray = frame.to_ndarray()  # planar (channels, frames), packed (1, all)
    except ValueError:
        raise AudioError(
            f"{name} holds {frame.format.name} samples;"
            " float and integers of 8, 16 and 32 bits are allowed."
        ) from None
    return samples.T if frame.format.is_planar else samples.reshape(-1, frame.layout.nb_channels)


def _declared_seconds(container: av.container.InputContainer) -> float:
    if container.duration is None or container.format.name in NO_HEADER_LENGTH:
        return 0.0
    return container.duration / av.time_base


def _is_whole(found: Decoded) -> bool:
    early = _early_end(found.seconds, found.declared_seconds)
    return bool(len(found.samples)) and not found.notes and not early


def _early_end(seconds: float, declared: float) -> list[str]:
    if declared - seconds < max(MIN_MISSING, MIN_MISSING_SHARE * declared):
        return []
    return [f"it ends after {duration(seconds)} though its header says {duration(declared)}"]


def _cut_container(data: bytes) -> list[str]:
    """A note where a RIFF, AIFF or Ogg container shows that its end is missing."""
    if data[:4] in (b"RIFF", b"FORM"):
        declared = int.from_bytes(data[4:8], "little" if data[:4] == b"RIFF" else "big")
        # writers that cannot seek leave all ones; a few bytes off is bad bookkeeping, not a cut
        cut = declared != 0xFFFFFFFF and declared > len(data) + 64
    elif data[:4] == b"OggS":
        page = data.rfind(b"OggS")
        cut = len(data) > page + 5 and not data[page + 5] & 0x04  # flag of the last page
    else:
        cut = False
    return ["the file is cut short"] if cut else []


def _looks_like(data: bytes) -> str:
    for mark, (start, kind) in MARKS.items():
        if data[start : start + len(mark)] == mark:
            return f"a damaged or incomplete {kind} recording"
    head = data[:512].decode("utf-8", errors="replace").rstrip("\ufffd")  # cut inside a letter
    readable = all(letter.isprintable() or letter.isspace() for letter in head)
    return "text" if readable and "\ufffd" not in head and head else "something that is not audio"

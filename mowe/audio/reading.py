"""The two readers of audio files, soundfile and PyAV: blocks of samples into a mixer."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

import av
import soundfile
from av.stream import Disposition

from mowe.audio.formats import DEMUXERS
from mowe.audio.headers import asf_is_broadcast, mp3_seconds
from mowe.audio.limits import duration
from mowe.audio.mixing import BLOCK_FRAMES, Mixer
from mowe.errors import AudioError

UNKNOWN_FRAMES = 2**62  # libsndfile reports about 2**63 where the header does not say
ESTIMATED = ("MP3", "MPEG")  # libsndfile's names of what it may read only the beginning of
# FFmpeg guesses these from the bit rate, or takes the last page of Ogg for the end of the whole
NO_HEADER_LENGTH = ("aac", "ac3", "eac3", "amr", "mpegts", "ogg")
TIMED = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi", "asf", "mpegts")  # have time stamps
FROM_ZERO = TIMED[:3]  # their time begins at 0, not at the first sample
MIN_HOLE = 0.1  # s between the time stamps of neighbours; less is rounding


@dataclass
class Read:
    """What a reader says of a file beside its samples."""

    declared_seconds: float = 0.0  # s, from the header; 0 where it does not say
    exact: bool = True  # whether the reader knows where the file ends
    damage: list[str] = field(default_factory=list)  # what is missing
    remarks: list[str] = field(default_factory=list)  # what else a listener should know


class ForwardReader(soundfile.SoundFile):
    """Reads block after block without the seek that soundfile adds behind each.

    The seek goes nowhere new, yet it restarts libsndfile's MP3 decoder, which garbles what follows.
    """

    def seekable(self) -> bool:
        """Never, so that `read` does not seek."""
        return False


def read_with_soundfile(file: BinaryIO, mixer: Mixer, *, exact: bool = True) -> Read:
    """Read with libsndfile.

    Args:
        file: Of any format that it knows.
        mixer: Gets the samples.
        exact: Whether it will find the end.

    Raises:
        AudioError: If it is over a limit.
        soundfile.LibsndfileError: If libsndfile does not understand it.
    """
    file.seek(0)
    with ForwardReader(file) as sound:
        read = Read(exact=exact and sound.format not in ESTIMATED)
        if read.exact and sound.frames < UNKNOWN_FRAMES:
            read.declared_seconds = sound.frames / sound.samplerate
        mixer.check_header(sound.samplerate, sound.channels, read.declared_seconds)
        try:
            while len(block := sound.read(BLOCK_FRAMES, dtype="float32", always_2d=True)):
                mixer.add(block, sound.samplerate)
        except soundfile.LibsndfileError:
            read.damage.append("the end cannot be decoded")
    mixer.finish()
    return read


def read_with_pyav(file: BinaryIO, mixer: Mixer, *, ignore_length: bool = False) -> Read:
    """Read with FFmpeg.

    Args:
        file: Of any format in the table.
        mixer: Gets the samples.
        ignore_length: Read a WAV to the end of the file, whatever its header says.

    Raises:
        AudioError: If it is over a limit, or has no audio track that can be decoded.
        av.FFmpegError: If FFmpeg does not understand it.
    """
    mp3, broadcast = mp3_seconds(file), asf_is_broadcast(file)  # later FFmpeg moves in the file
    file.seek(0)
    options = {"format_whitelist": DEMUXERS, **({"ignore_length": "1"} if ignore_length else {})}
    read = Read()
    with av.open(file, mode="r", options=options, metadata_errors="replace") as container:
        stream = _pick_track(container, mixer.name, read)
        if container.format.name == "mp3":
            read.declared_seconds = mp3
        elif not ignore_length and not broadcast:
            read.declared_seconds = _declared_seconds(container, stream)
        context = stream.codec_context
        mixer.check_header(context.sample_rate, context.channels, read.declared_seconds)
        packer, clock, holes = _Packer(mixer), _Clock(container.format.name), 0.0
        for frame in _frames(container, stream, read):
            if hole := clock.hole_before(frame):
                packer.flush()
            if hole and mixer.seconds + hole <= mixer.limits.max_seconds:  # else a wrong time stamp
                mixer.add_silence(hole, frame.sample_rate, frame.layout.nb_channels)
                holes += hole
            packer.add(frame)
        packer.flush()
    mixer.finish()
    if holes:
        read.remarks.append(f"{duration(holes)} without sound in its time stamps kept as silence")
    return read


class _Packer:
    """Collects frames into blocks of packed floats.

    FFmpeg does it: PyAV reads beyond the planes of a planar frame of 8 channels or more.
    """

    def __init__(self, mixer: Mixer) -> None:
        self._mixer = mixer
        self._resampler: av.AudioResampler | None = None
        self._kind: tuple[str, str, int] | None = None

    def add(self, frame: av.AudioFrame) -> None:
        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        if kind != self._kind or self._resampler is None:
            self.flush()
            self._kind = kind
            self._resampler = av.AudioResampler(
                "flt", frame.layout, frame.sample_rate, frame_size=BLOCK_FRAMES
            )
        self._pass_on(self._resampler.resample(frame))

    def flush(self) -> None:
        """Pass on what was collected."""
        if self._resampler is not None:
            self._pass_on(self._resampler.resample(None))
            self._resampler = None

    def _pass_on(self, frames: list[av.AudioFrame]) -> None:
        for frame in frames:
            block = frame.to_ndarray().reshape(-1, frame.layout.nb_channels)
            self._mixer.add(block, frame.sample_rate)


class _Clock:
    """Follows the time stamps of frames."""

    def __init__(self, container: str) -> None:
        self._timed = container in TIMED
        self._end: float | None = 0.0 if container in FROM_ZERO else None  # s, of the last frame

    def hole_before(self, frame: av.AudioFrame) -> float:
        """Seconds for which there is no sound between the last frame and this one."""
        if not self._timed or frame.pts is None or frame.time_base is None:
            return 0.0
        start = float(frame.pts * frame.time_base)
        end = start if self._end is None else self._end
        # not the sum of all lengths: clocks of sound and container may drift apart
        self._end = max(start, end) + frame.samples / frame.sample_rate
        return start - end if start - end >= MIN_HOLE else 0.0


def _frames(
    container: av.container.InputContainer, stream: av.AudioStream, read: Read
) -> Iterator[av.AudioFrame]:
    """Every frame that decodes; what does not is told as damage."""
    broken = 0
    try:
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except av.error.MemoryError:
                raise
            except av.FFmpegError:
                broken += 1
                continue
            yield from frames
    except av.error.MemoryError:
        raise
    except av.FFmpegError:
        read.damage.append("the end cannot be decoded")
    if broken:
        read.damage.append(f"{broken} damaged {'packet' if broken == 1 else 'packets'} left out")


def _pick_track(container: av.container.InputContainer, name: str, read: Read) -> av.AudioStream:
    """The default audio track, or else the first; the others are named."""
    tracks = container.streams.audio
    if not tracks:
        raise AudioError(f"{name} holds no audio track; a recording with sound is needed.")
    track = next((one for one in tracks if one.disposition & Disposition.default), tracks[0])
    if track.codec_context is None:
        raise AudioError(f"{name} holds sound in a codec that is not read here.")
    if len(tracks) > 1:
        others = ", ".join(_describe_track(one, tracks) for one in tracks if one is not track)
        read.remarks.append(
            f"audio track {_describe_track(track, tracks)} of {len(tracks)} is used,"
            f" left out: {others}"
        )
    return track


def _describe_track(track: av.AudioStream, tracks: tuple[av.AudioStream, ...]) -> str:
    about = [track.metadata.get(key, "") for key in ("title", "language")]
    words = ", ".join(word for word in about if word and word != "und")
    return f"{tracks.index(track) + 1}" + (f" ({words})" if words else "")


def _declared_seconds(container: av.container.InputContainer, stream: av.AudioStream) -> float:
    """Length of the audio track where the format stores it; never that of a picture beside it."""
    if container.format.name in NO_HEADER_LENGTH:
        return 0.0
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    if len(container.streams) == 1 and container.duration is not None:
        return container.duration / av.time_base
    return 0.0

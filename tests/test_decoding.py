"""Files that other programs wrote in their own ways: all of their sound, and only true notes."""

import io
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from mowe.audio import AUDIO_SUFFIXES, AudioLimits, file_hash, load_audio, open_recording
from mowe.audio.formats import FORMATS
from mowe.audio.mixing import Mixer
from mowe.errors import AudioError

ROOT = Path(__file__).parents[1]
FIXTURES = ROOT / "tests" / "fixtures"
RATE = 16_000  # Hz


def tone(hertz=440, seconds=3.0, amplitude=0.3, rate=RATE):
    return amplitude * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)


def written(samples, kind="WAV", subtype="PCM_16", rate=RATE):
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind, subtype=subtype)
    return bytearray(file.getvalue())


def muxed(kind, codec, samples, *, rate=RATE, hole=(0.0, 0.0)):
    """Bytes of a container with a mono track, whose time stamps jump at a time (s) by seconds."""
    at, seconds = hole
    file = io.BytesIO()
    with av.open(file, "w", format=kind) as output:
        stream = output.add_stream(codec, rate=rate, layout="mono")
        context = stream.codec_context
        planes = samples[None].astype(np.float32)
        frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout="mono")
        frame.sample_rate, frame.pts = rate, 0
        split = av.AudioResampler(context.format, "mono", rate, frame_size=context.frame_size)
        packets = [stream.encode(part) for part in split.resample(frame) + split.resample(None)]
        for packet in (one for some in [*packets, stream.encode(None)] for one in some):
            if seconds and packet.pts * packet.time_base >= at:
                packet.pts = packet.dts = packet.pts + round(seconds / packet.time_base)
            output.mux(packet)
    return file.getvalue()


def notes_of(source, **settings):
    return load_audio(source, **settings).treatment.notes


def refusal(source, **settings):
    with pytest.raises(AudioError) as caught:
        load_audio(source, **settings)
    return str(caught.value)


# --- planar frames of many channels, which PyAV's own conversion reads beyond ---


@pytest.mark.parametrize("name", ["aac8.m4a", "opus8.mp4", "vorbis8.mka"])
def test_eight_planar_channels_are_read_to_their_end(name):
    recording = load_audio(FIXTURES / name)
    assert recording.treatment.source_channels == 8
    assert recording.treatment.source_seconds == pytest.approx(3.0, abs=0.02)
    assert np.abs(recording.samples).max() > 0.05
    # one of the eight has a tone: -18 dB in the mix
    assert notes_of(FIXTURES / name) == (
        "channel 3 of 8 is used alone, as all of them mixed would be 18 dB quieter",
    )


# --- lengths ---


@pytest.mark.parametrize(("name", "seconds"), [("pipe.mp3", 3.1), ("pipe.wma", 3.0)])
def test_what_was_written_to_a_pipe_is_read_to_its_end_without_a_note(name, seconds):
    recording = load_audio(FIXTURES / name)
    assert recording.seconds == pytest.approx(seconds, abs=0.03)
    assert recording.treatment.notes == ()


@pytest.mark.parametrize(("kind", "subtype"), [("OGG", "VORBIS"), ("OGG", "OPUS")])
def test_chained_ogg_files_are_read_to_the_end_of_the_last(kind, subtype):
    data = written(tone(), kind, subtype) + written(tone(880), kind, subtype)
    recording = load_audio(bytes(data))
    assert recording.seconds == pytest.approx(6.0, abs=0.05)
    assert recording.treatment.notes == ()


def test_the_length_is_that_of_the_sound_and_not_of_the_pictures_beside_it():
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as output:
        pictures = output.add_stream("mpeg4", rate=1)
        pictures.width = pictures.height = 32
        sound = output.add_stream("aac", rate=RATE, layout="mono")
        for second in (0, 2000):  # longer than any recording may be
            frame = av.VideoFrame(32, 32, "yuv420p")
            frame.pts = second
            output.mux(pictures.encode(frame))
        output.mux(pictures.encode(None))
        samples = tone().astype(np.float32)[None]
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.sample_rate, frame.pts = RATE, 0
        split = av.AudioResampler("fltp", "mono", RATE, frame_size=1024)
        for part in split.resample(frame) + split.resample(None):
            output.mux(sound.encode(part))
        output.mux(sound.encode(None))
    recording = load_audio(file.getvalue())
    assert recording.seconds == pytest.approx(3.0, abs=0.1)
    assert recording.treatment.notes == ()


# what SoX, aplay, FFmpeg and GStreamer write where they cannot go back
@pytest.mark.parametrize("size", [0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0])
def test_placeholders_for_the_size_of_a_wav_mean_that_it_is_unknown(size):
    data = written(tone())
    data[4:8] = struct.pack("<I", min(size + 36, 0xFFFFFFFF))
    data[40:44] = struct.pack("<I", size)
    recording = load_audio(bytes(data))
    assert recording.seconds == 3.0
    assert recording.treatment.notes == ()


def test_sound_behind_the_end_of_which_a_wav_speaks_is_used_and_noted():
    data = written(tone())
    data[40:44] = struct.pack("<I", 2 * RATE)
    recording = load_audio(bytes(data))
    assert recording.seconds == 3.0
    assert recording.treatment.notes == ("its header says 1 s, the 2 s behind that are used too",)


def test_what_stands_behind_the_sound_of_a_wav_and_is_none_is_left_alone():
    for tail in (b"LIST" + struct.pack("<I", 40_000) + bytes(40_000), bytes(4000), b"TAG" * 42):
        assert notes_of(bytes(written(tone()) + tail)) == ()
        assert load_audio(bytes(written(tone()) + tail)).seconds == 3.0


def promising(kind, place_of, replacement):
    data = written(tone(), kind)
    place = place_of(data)
    data[place : place + len(replacement)] = replacement
    return bytes(data)


@pytest.mark.parametrize(
    "data",
    [
        promising("WAV", lambda data: 40, struct.pack("<I", 2**31 - 2**20)),
        promising("AIFF", lambda data: data.index(b"COMM") + 10, struct.pack(">I", 2**31)),
        promising("CAF", lambda data: data.index(b"data") + 4, struct.pack(">Q", 2**32)),
        promising("W64", lambda data: data.index(b"data\xf3") + 16, struct.pack("<Q", 2**32)),
    ],
    ids=["wav", "aiff", "caf", "w64"],
)
def test_a_header_that_promises_much_more_than_there_is_is_noted(data):
    recording = load_audio(data)
    assert recording.seconds == 3.0
    assert recording.treatment.notes == ("the file is cut short",)


def test_an_mp3_says_what_it_lacks_from_the_length_that_its_encoder_wrote():
    data = bytes(written(tone(seconds=10), "MP3", "MPEG_LAYER_III"))
    assert load_audio(data).seconds == 10.0
    assert notes_of(data) == ()
    (note,) = notes_of(data[: len(data) // 2])
    assert re.fullmatch(r"it ends after [45]\.\d+ s though its header says 10 s", note)


# --- time stamps ---


@pytest.mark.parametrize("kind", ["mp4", "matroska"])
def test_a_hole_in_the_time_stamps_is_silence(kind):
    data = muxed(kind, "aac", tone(seconds=2.0), hole=(1.0, 1.0))
    recording = load_audio(data)
    assert recording.seconds == pytest.approx(3.0, abs=0.15)
    hole = recording.samples[round(1.25 * RATE) : round(1.9 * RATE)]
    assert not hole.any()
    for second in (0.5, 2.5):
        part = recording.samples[round(second * RATE) :][:1600]
        assert np.abs(part).max() == pytest.approx(0.3, abs=0.05)
    (note,) = recording.treatment.notes
    assert note.endswith("without sound in its time stamps kept as silence")


def test_a_late_start_is_silence():
    recording = load_audio(muxed("matroska", "aac", tone(seconds=1.0), hole=(0.0, 2.0)))
    assert recording.seconds == pytest.approx(3.0, abs=0.15)
    assert not recording.samples[: round(1.8 * RATE)].any()


def test_a_time_stamp_that_would_make_the_recording_too_long_is_not_believed():
    data = muxed("mpegts", "aac", tone(seconds=2.0), hole=(1.0, 5000.0))
    recording = load_audio(data)
    assert recording.seconds == pytest.approx(2.0, abs=0.15)


# --- channels and tracks ---


def channels(*levels, noise=0.0):
    draw = np.random.default_rng(0)
    sound = tone()[:, None] * np.array(levels)
    return sound + noise * draw.standard_normal(sound.shape)


@pytest.mark.parametrize(
    ("sound", "channel", "lost"),
    [
        (channels(1, -0.99, noise=0.001), 1, "44 dB quieter"),
        (channels(1, -0.95), 1, "32 dB quieter"),
        (channels(0, 0, 1, 0, 0, 0), 3, "16 dB quieter"),  # 5.1: the centre
        (channels(0, 0, 0, 0, 0, 0, 1, 0), 7, "18 dB quieter"),
    ],
)
def test_a_channel_that_the_mix_would_lose_is_used_alone_and_that_is_said(sound, channel, lost):
    recording = load_audio(bytes(written(sound)))
    count = sound.shape[1]
    assert recording.treatment.notes == (
        f"channel {channel} of {count} is used alone, as all of them mixed would be {lost}",
    )
    np.testing.assert_allclose(recording.samples, sound[:, channel - 1], atol=1e-4)
    assert not recording.treatment.downmixed
    assert "of which one is used" in recording.treatment.sentence()
    assert notes_of((sound, RATE)) == recording.treatment.notes


@pytest.mark.parametrize("levels", [(1, 0), (1, 1), (1, 0, 0), (0, 0)])
def test_channels_that_the_mix_keeps_are_mixed(levels):
    sound = channels(*levels)
    recording = load_audio(bytes(written(sound)))
    assert recording.treatment.downmixed
    np.testing.assert_allclose(recording.samples, sound.mean(axis=1), atol=1e-4)


def test_of_two_tracks_the_default_one_is_used_and_the_other_named():
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as output:
        streams = [output.add_stream("pcm_s16le", rate=RATE, layout="mono") for _ in range(2)]
        streams[0].metadata["language"], streams[1].metadata["title"] = "deu", "Original"
        streams[0].disposition, streams[1].disposition = 0, av.stream.Disposition.default
        for stream, hertz in zip(streams, (300, 600), strict=True):
            samples = (tone(hertz) * 2**15).astype(np.int16)[None]
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            frame.sample_rate, frame.pts = RATE, 0
            output.mux(stream.encode(frame))
    recording = load_audio(file.getvalue())
    np.testing.assert_allclose(recording.samples, tone(600), atol=1e-4)
    assert recording.treatment.notes == (
        "audio track 2 (Original) of 2 is used, left out: 1 (deu)",
    )


def test_a_sample_rate_that_changes_on_the_way_is_followed():
    pieces = []
    mixer = Mixer("clip", AudioLimits(), pieces.append)
    for rate in (RATE, 32_000):
        mixer.add(tone(rate=rate)[:, None], rate)
    mixer.finish()
    samples = np.concatenate(pieces)
    assert (mixer.seconds, mixer.kept_rate, len(samples)) == (6.0, RATE, 6 * RATE)
    for second in (1, 4):
        part = np.abs(np.fft.rfft(samples[second * RATE : (second + 1) * RATE]))
        assert part.argmax() == 440


def test_a_chained_ogg_whose_rate_changes_is_read_to_there_and_that_is_said():
    data = written(tone(), "OGG", "VORBIS") + written(tone(rate=32_000), "OGG", "VORBIS", 32_000)
    recording = load_audio(bytes(data))
    assert recording.seconds == pytest.approx(3.0, abs=0.05)
    assert recording.treatment.notes == ("the end cannot be decoded",)


# --- formats ---


@pytest.mark.parametrize(
    ("kind", "codec", "rate"),
    [
        ("wv", "wavpack", RATE), ("tta", "tta", RATE), ("eac3", "eac3", 44_100),
        ("ac3", "ac3", 44_100), ("mp2", "mp2", RATE), ("mp4", "alac", RATE),
        ("au", "pcm_s16be", RATE), ("avi", "pcm_s16le", RATE), ("mpegts", "aac", RATE),
    ],
)  # fmt: skip
def test_less_common_formats_are_read_too(kind, codec, rate):
    recording = load_audio(muxed(kind, codec, tone(rate=rate), rate=rate))
    assert recording.seconds == pytest.approx(3.0, abs=0.1)
    assert recording.treatment.notes == ()


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"RIFF\x00\x10\x00\x00WEBPVP8 " + bytes(range(256)) * 8, "a format that is not read here"),
        (b"DSD " + bytes(range(256)) * 8, "a format that is not read here"),
        (b"RIFF\x00\x10\x00\x00AVI LIST" + bytes(4000), "a damaged or incomplete AVI recording"),
        (b"RIFF\x00\x10\x00\x00WAVEfmt " + bytes(4000), "a damaged or incomplete WAV recording"),
        (b"MAC \x96\x0f" + bytes(4000), "a damaged or incomplete Monkey's Audio recording"),
    ],
    ids=["webp", "dsf", "avi", "wav", "ape"],
)
def test_what_cannot_be_read_is_called_what_it_is(data, found):
    assert refusal(data).startswith(f"recording holds {found}; WAV, FLAC, MP3, ")


def test_one_table_has_the_endings_the_demuxers_and_the_words():
    wanted = ".wav .flac .mp3 .ogg .opus .m4a .aac .webm .amr .3gp .au .weba .mp2 .m4b .sph .mov"
    assert set(wanted.split()) <= AUDIO_SUFFIXES
    endings = [ending for one in FORMATS for ending in one.endings]
    assert len(endings) == len(set(endings))
    unknown = {name for one in FORMATS for name in one.demuxers} - set(av.formats_available)
    assert unknown == set()


# --- limits ---


def test_limits_count_the_samples_of_all_channels():
    limits = AudioLimits(max_samples=100_000)
    assert load_audio(bytes(written(channels(1, 1))), limits=limits).seconds == 3.0  # 96,000
    assert refusal(bytes(written(channels(1, 1, 1))), limits=limits) == (
        "recording has 0.144 million samples in all its channels; at most 0.1 million are allowed."
    )
    assert "at most 0.1 million" in refusal((channels(1, 1, 1), RATE), limits=limits)


def test_half_an_hour_of_what_people_record_is_within_the_limits():
    limits = AudioLimits()
    for rate, count in ((192_000, 2), (48_000, 8), (44_100, 2)):
        assert limits.max_samples >= 1800 * rate * count


PEAK = """
import resource, sys
import numpy as np
from mowe.audio import load_audio, shared_pool
load_audio((np.zeros(48_000), 48_000)).compact()
ours = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
recording = load_audio(sys.argv[1])
compact = recording.compact()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
shared_pool().close()
worker = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(recording.seconds, compact.bytes_held, (peak - ours) * 1024, worker * 1024)
"""


def peak_of(path):
    """Seconds, bytes kept when compact, and the bytes of the peak above the libraries of ours."""
    done = subprocess.run(
        [sys.executable, "-c", PEAK, path],
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    seconds, kept, ours, worker = map(float, done.stdout.split())
    return seconds, kept, ours + worker


def write_silence(path, rate, count, seconds):
    with soundfile.SoundFile(path, "w", rate, count, format="FLAC", subtype="PCM_16") as file:
        for _ in range(seconds):
            file.write(np.zeros((rate, count), np.int16))
    return path


def test_five_minutes_of_silence_at_192_khz_keep_less_than_12_megabytes(tmp_path):
    path = write_silence(tmp_path / "silence.flac", 192_000, 1, 300)
    assert path.stat().st_size < 200_000
    seconds, kept, peak = peak_of(path)
    assert seconds == 300.0
    assert kept == 300 * 16_000 * 2 < 12e6
    assert peak < 200e6  # 53 of samples and 60 of the worker's libraries


@pytest.mark.slow
@pytest.mark.parametrize(("rate", "count"), [(192_000, 1), (192_000, 2), (48_000, 8)])
def test_the_largest_recordings_that_are_accepted_peak_below_600_megabytes(tmp_path, rate, count):
    seconds, kept, peak = peak_of(write_silence(tmp_path / "silence.flac", rate, count, 1800))
    assert seconds == 1800.0
    assert kept == 1800 * 16_000 * 2
    assert peak < 600e6


# --- what is opened ---


def test_pipes_and_devices_are_refused_before_anything_waits_for_them(tmp_path):
    pipe, link = tmp_path / "pipe.wav", tmp_path / "zero.wav"
    os.mkfifo(pipe)
    link.symlink_to("/dev/zero")
    for path in (pipe, link):
        sentence = f"{path.name} is not a regular file; a single audio file is needed."
        assert refusal(path) == sentence
        for refused in (open_recording, file_hash):
            with pytest.raises(AudioError, match="not a regular file"):
                refused(path)


def test_a_pipe_that_takes_the_place_of_a_file_is_not_waited_for(tmp_path, monkeypatch):
    path = tmp_path / "clip.wav"
    path.write_bytes(written(tone()))
    regular = path.stat()
    path.unlink()
    os.mkfifo(path)
    monkeypatch.setattr(Path, "stat", lambda self, **_: regular)
    with pytest.raises(AudioError, match="not a regular file"):
        open_recording(path)


def test_the_hash_of_a_file_is_the_sha256_of_its_content(tmp_path):
    path = tmp_path / "abc.wav"
    path.write_bytes(b"abc")
    assert file_hash(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

"""Recordings of every kind, good and bad, against what the audio room promises."""

import io
import math
import os
import struct
import wave
from contextlib import contextmanager

import av
import numpy as np
import pytest
import soundfile

from mowe.audio import AUDIO_SUFFIXES, SAMPLE_RATE, AudioLimits, load_audio, log_mel, signals
from mowe.errors import AudioError, ConfigError

RATE = 44_100  # Hz, of most files made here; what is kept of higher ones
OPUS_RATE = 48_000  # Hz; Opus knows no other
SECONDS = 3.0
TONE = 0.3  # amplitude

# what FFmpeg calls container and codec, for the formats that soundfile does not write
ENCODED = {
    "webm": ("webm", "libopus"),
    "m4a": ("mp4", "aac"),
    "aac": ("adts", "aac"),
    "opus": ("ogg", "libopus"),
    "mka": ("matroska", "aac"),
}
WRITTEN = {
    "wav": ("WAV", "PCM_16"),
    "wav24": ("WAV", "PCM_24"),
    "wav-float": ("WAV", "FLOAT"),
    "wav-double": ("WAV", "DOUBLE"),
    "wav-8bit": ("WAV", "PCM_U8"),
    "flac": ("FLAC", "PCM_16"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "ogg": ("OGG", "VORBIS"),
    "aiff": ("AIFF", "PCM_16"),
}


def tone(hertz=1000, rate=RATE, seconds=SECONDS, amplitude=TONE):
    times = np.arange(round(rate * seconds)) / rate
    return (amplitude * np.sin(2 * np.pi * hertz * times)).astype(np.float32)


def stereo(seconds=SECONDS, rate=RATE):
    return np.stack([tone(seconds=seconds, rate=rate)] * 2, axis=1)


def written(samples, rate=RATE, kind="wav"):
    container, subtype = WRITTEN[kind]
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=container, subtype=subtype)
    return file.getvalue()


def encoded(kind, samples=None):
    """Bytes of stereo sound in a format that only FFmpeg writes."""
    container, codec = ENCODED[kind]
    rate = OPUS_RATE if codec == "libopus" else RATE
    samples = stereo(rate=rate) if samples is None else samples
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate, layout="stereo")
        planes = np.ascontiguousarray(samples.T)
        frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout="stereo")
        frame.sample_rate, frame.pts = rate, 0
        context = stream.codec_context
        split = av.AudioResampler(context.format, "stereo", rate, frame_size=context.frame_size)
        for part in split.resample(frame) + split.resample(None):
            output.mux(stream.encode(part))
        output.mux(stream.encode(None))
    return file.getvalue()


def made(kind):
    return encoded(kind) if kind in ENCODED else written(stereo(), kind=kind)


def patched(data, start, replacement):
    return data[:start] + replacement + data[start + len(replacement) :]


def level(samples, hertz, rate):
    """Amplitude of one frequency, from the middle of the samples."""
    middle = samples[len(samples) // 4 : -len(samples) // 4].astype(np.float64)
    times = np.arange(len(middle)) / rate
    return 2 * abs(np.mean(middle * np.exp(-2j * np.pi * hertz * times)))


def refusal(source, **settings):
    with pytest.raises(AudioError) as caught:
        load_audio(source, **settings)
    return str(caught.value)


@contextmanager
def ordinary_user():
    """Root may read everything; step down for a moment where the tests run as root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


# --- good recordings ---


@pytest.mark.parametrize("kind", [*WRITTEN, *ENCODED])
def test_every_format_decodes_to_the_sound_that_went_in(kind):
    recording = load_audio(made(kind))
    assert recording.samples.dtype == np.float32
    assert recording.samples.shape == (round(recording.seconds * recording.sample_rate),)
    assert recording.sample_rate == RATE
    assert recording.seconds == pytest.approx(SECONDS, abs=0.05)  # codecs pad to whole frames
    assert level(recording.samples, 1000, RATE) == pytest.approx(TONE, rel=0.05)
    assert recording.treatment.notes == ()


@pytest.mark.parametrize("kind", ["flac", "mp3", "ogg", "webm"])
def test_decoding_block_by_block_leaves_no_seams(kind):
    recording = load_audio(made(kind))
    periods = recording.samples[4410 : 4410 + 250 * 441].reshape(250, 441)  # of ten periods
    np.testing.assert_allclose(periods, np.broadcast_to(periods[0], periods.shape), atol=0.02)


@pytest.mark.parametrize("kind", ["flac", "m4a", "webm"])
def test_a_file_is_known_by_its_content_and_not_by_its_ending(tmp_path, kind):
    path = tmp_path / "holiday.wav"
    path.write_bytes(made(kind))
    recording = load_audio(path)
    assert (recording.name, recording.path) == ("holiday.wav", path)
    assert load_audio(str(path)).content_hash == recording.content_hash


def test_the_content_hash_is_of_the_sound_and_not_of_the_file():
    sound = (tone() * 2**15).astype(np.int16)
    hashes = {load_audio(written(sound, kind=kind)).content_hash for kind in ("wav", "flac")}
    assert len(hashes) == 1
    assert load_audio((sound, RATE)).content_hash in hashes
    assert load_audio((sound, RATE // 2)).content_hash not in hashes


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("channels", [None, 1, 2])
def test_arrays_of_every_usual_type_and_shape_become_the_same_sound(dtype, channels):
    scale = {np.int16: 2**15, np.int32: 2**31, np.uint8: 2**7}.get(dtype, 1)
    array = tone().astype(np.float64) * scale + (128 if dtype is np.uint8 else 0)
    array = array.astype(dtype)
    if channels:
        array = np.stack([array] * channels, axis=1)
    recording = load_audio((array, RATE), name="microphone")
    assert recording.name == "microphone"
    assert recording.treatment.source_channels == (channels or 1)
    np.testing.assert_allclose(recording.samples, tone(), atol=0.01)


def test_loading_does_not_hold_on_to_the_callers_array():
    array = tone()
    recording = load_audio((array, RATE))
    array[:] = 0
    assert np.abs(recording.samples).max() > 0.2


def test_eight_channels_are_mixed_as_their_mean_and_said_so():
    channels = np.zeros((RATE, 8), np.float32)
    channels[:, 2:6] = tone(seconds=1)[:, None]
    recording = load_audio(written(channels, kind="wav-float"))
    np.testing.assert_allclose(recording.samples, tone(seconds=1) / 2, atol=1e-6)
    assert recording.treatment.downmixed
    sentence = recording.treatment.sentence()
    assert sentence == "44.1 kHz 8 channels, mixed to mono and resampled to 16 kHz."


@pytest.mark.parametrize("kept_rate", [44_100, 16_000])
def test_192_khz_is_brought_to_the_highest_rate_that_is_kept(kept_rate):
    samples = tone(rate=192_000)
    limits = AudioLimits(kept_rate=kept_rate)
    recording = load_audio(written(samples, 192_000, kind="wav-float"), limits=limits)
    assert recording.sample_rate == kept_rate
    assert recording.treatment.source_rate == 192_000
    whole = signals.resample(samples, 192_000, kept_rate)
    np.testing.assert_allclose(recording.samples, whole, atol=1e-6)


def test_the_hash_of_a_sound_does_not_depend_on_the_rate_that_is_kept():
    data = written(tone(rate=48_000), 48_000)
    kept = [load_audio(data, limits=AudioLimits(kept_rate=rate)) for rate in (16_000, 48_000)]
    assert kept[0].content_hash == kept[1].content_hash
    assert kept[0].content_hash != load_audio(written(tone(500))).content_hash


@pytest.mark.parametrize("samples", [1, 100, 799])
def test_under_a_tenth_of_a_second_is_padded_to_one_second(samples):
    recording = load_audio((tone(rate=8000)[:samples], 8000))
    assert recording.seconds == 1.0
    assert not recording.samples[samples:].any()
    assert recording.treatment.source_seconds == samples / 8000
    assert recording.treatment.padded_seconds == pytest.approx(1 - samples / 8000)


def test_the_sentence_says_everything_that_was_done():
    recording = load_audio((stereo(0.4), RATE))
    assert recording.treatment.sentence() == (
        "44.1 kHz stereo, mixed to mono and resampled to 16 kHz; 0.4 s padded with silence to 1 s."
    )
    long = load_audio((np.tile(stereo(), (25, 1)), RATE))
    assert long.treatment.sentence(3, 30.0) == (
        "44.1 kHz stereo, mixed to mono and resampled to 16 kHz; cut into 3 windows of 30 s."
    )
    untouched = load_audio((tone(rate=SAMPLE_RATE), SAMPLE_RATE))
    assert untouched.treatment.sentence() == "16 kHz mono, used as it is."


def test_the_treatment_is_plain_json_types():
    account = load_audio(written(stereo())).treatment.to_dict()
    assert account == {
        "source_rate": RATE,
        "source_channels": 2,
        "source_seconds": SECONDS,
        "resampled": True,
        "downmixed": True,
        "padded_seconds": 0.0,
        "peak": pytest.approx(TONE, rel=0.01),
        "notes": [],
    }


def test_silence_is_allowed_and_noted():
    assert load_audio((np.zeros(RATE), RATE)).treatment.notes == ("it is silent",)
    assert load_audio((np.full(RATE, 1e-5), RATE)).treatment.notes == ("it is nearly silent",)


def test_of_channels_that_cancel_one_is_used_and_said_so():
    opposite = np.stack([tone(), -tone()], axis=1)
    recording = load_audio((opposite, RATE))
    assert recording.treatment.notes == (
        "channel 1 of 2 is used alone, as all of them mixed would be silence",
    )
    np.testing.assert_array_equal(recording.samples, tone())


def test_samples_beyond_full_scale_are_scaled_down_and_noted():
    recording = load_audio(written(tone(amplitude=20.0), kind="wav-float"))
    assert np.abs(recording.samples).max() == pytest.approx(1.0)
    assert recording.treatment.peak == pytest.approx(20.0, rel=0.01)
    assert recording.treatment.notes == ("scaled down from a peak of 20 to 1",)


# --- damaged recordings ---


@pytest.mark.parametrize("kind", ["wav", "wav-8bit", "aiff", "flac", "mp3", "opus", "webm", "mka"])
def test_a_truncated_file_gives_what_is_there_and_says_so(kind):
    data = made(kind)
    recording = load_audio(data[: len(data) // 2])
    assert 0.8 < recording.treatment.source_seconds < 2.0
    assert level(recording.samples[: RATE // 2], 1000, RATE) == pytest.approx(TONE, rel=0.1)
    notes = "; ".join(recording.treatment.notes)
    assert "cut short" in notes or "though its header says 3" in notes


def test_a_truncated_aac_stream_has_no_length_to_compare_but_notes_the_broken_packet():
    data = made("aac")
    (note,) = load_audio(data[: len(data) // 2]).treatment.notes
    assert note == "1 damaged packet left out"


@pytest.mark.parametrize("kind", ["m4a", "ogg", "flac", "opus", "webm"])
def test_a_file_cut_before_its_first_sound_is_refused_by_name(kind):
    assert "clip holds" in refusal(made(kind)[:200], name="clip")


def test_an_m4a_without_its_index_is_called_damaged():
    data = made("m4a")
    assert "a damaged or incomplete M4A recording" in refusal(data[: len(data) // 2])


def test_damage_in_the_middle_costs_packets_and_not_the_rest():
    data = made("aac")
    damaged = patched(data, len(data) // 2, b"\xff\xf1" + bytes(300))
    recording = load_audio(damaged)
    assert recording.seconds > 2.5
    assert any("damaged" in note for note in recording.treatment.notes)


@pytest.mark.parametrize("sizes", [b"\xff\xff\xff\xff", b"\x00\x00\x00\x00"])
def test_a_wav_streamed_without_its_sizes_is_read_whole(sizes):
    data = written(stereo())
    start = data.index(b"data") + 4
    recording = load_audio(patched(patched(data, 4, sizes), start, sizes))
    assert recording.seconds == SECONDS
    assert recording.treatment.notes == ()


def test_a_flac_whose_header_does_not_know_its_length_is_read_whole():
    recording = load_audio(flac_of_length(written(stereo(), kind="flac"), frames=0))
    assert recording.seconds == SECONDS


def flac_of_length(data, frames):
    """The same FLAC file with another total in the 36 bits of its header that hold it."""
    data = patched(data, 21, bytes([data[21] & 0xF0 | frames >> 32]))
    return patched(data, 22, struct.pack(">I", frames & 0xFFFFFFFF))


def test_random_damage_never_raises_anything_but_an_audio_error():
    dice = np.random.default_rng(7)
    outcomes = set()
    for kind in ("wav", "flac", "mp3", "ogg", "opus", "m4a", "aac", "webm"):
        good = np.frombuffer(made(kind), np.uint8)
        for _ in range(12):
            bad = good.copy()
            places = dice.integers(0, min(len(bad), 2000), size=dice.integers(1, 20))
            bad[places] = dice.integers(0, 256, size=len(places))
            try:
                outcomes.add(bool(np.isfinite(load_audio(bad.tobytes()).samples).all()))
            except AudioError:
                outcomes.add("refused")
    assert outcomes <= {True, "refused"}


# --- refused recordings ---


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", "clip.wav is empty (0 bytes)"),
        (b"Dear diary,\n" * 200, "clip.wav holds text"),
        ("Äpfel und Öl, ".encode() * 100, "clip.wav holds text"),
        (bytes(range(256)) * 40, "clip.wav holds a format that is not read here; WAV, FLAC, MP3,"),
        (written(np.zeros((0, 2))), "clip.wav holds no samples"),
        (written(np.zeros((100, 40))), "clip.wav has 40 channels; 1 to 32 are allowed"),
        (
            written(np.array([0.0, np.nan, 1.0]), kind="wav-float"),
            "clip.wav holds samples that are not finite numbers (NaN or infinity, 1 of 3)",
        ),
        (
            written(np.array([[np.inf, -np.inf], [1, 1]]), kind="wav-float"),
            "clip.wav holds samples that are not finite numbers (NaN or infinity, 1 of 2)",
        ),
        (
            written(np.array([1e300, 0.0]), kind="wav-double"),
            "clip.wav holds samples that are not finite numbers (NaN or infinity, 1 of 2)",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_content_is_refused_in_one_sentence_without_the_folder(tmp_path, data, found):
    path = tmp_path / "clip.wav"
    path.write_bytes(data)
    message = refusal(path)
    assert message.startswith(found)
    assert message.endswith(".")
    assert "\n" not in message
    assert str(tmp_path) not in message


def test_a_folder_a_missing_file_and_odd_paths_are_refused(tmp_path):
    assert refusal(tmp_path) == f"{tmp_path.name} is a folder; a single audio file is needed."
    assert refusal(tmp_path / "no.wav").startswith("no.wav does not exist")
    assert refusal(tmp_path / "no\0.wav").startswith("no?.wav cannot be read")
    assert "cannot be read" in refusal(tmp_path / ("x" * 5000))
    os.mkfifo(tmp_path / "pipe.wav")  # reading one would wait for ever
    assert "not a regular file" in refusal(tmp_path / "pipe.wav")


def test_a_file_without_permission_is_refused(tmp_path):
    path = tmp_path / "private.wav"
    path.write_bytes(written(tone()))
    path.chmod(0)
    with ordinary_user():
        assert refusal(path) == "private.wav may not be read; its permissions do not allow it."


def test_terminal_codes_in_a_file_name_are_not_repeated(tmp_path):
    assert refusal(tmp_path / "\x1b[31mred.wav").startswith("?[31mred.wav does not exist")


def test_a_video_without_sound_is_refused():
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as output:
        stream = output.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 32
        output.mux(stream.encode(av.VideoFrame(32, 32, "yuv420p")))
        output.mux(stream.encode(None))
    assert "holds no audio track" in refusal(file.getvalue())


def test_three_hours_are_refused_from_the_header_before_decoding(monkeypatch):
    data = written(np.zeros(3 * 3600 * 8000, np.int16), 8000, kind="flac")
    monkeypatch.setattr(soundfile.SoundFile, "read", None)  # decoding would now fail
    assert refusal(data, name="day.flac") == "day.flac lasts 3 h 0 min; at most 30 min is allowed."


def test_a_small_file_that_hides_its_length_is_stopped_at_the_limit():
    data = written(np.zeros(3600 * 8000, np.int16), 8000, kind="flac")
    message = refusal(flac_of_length(data, frames=0))
    assert len(data) < 200_000
    assert message == "recording lasts more than 30 min; at most 30 min is allowed."


def test_a_header_that_lies_about_its_length_is_believed_only_to_refuse():
    data = written(tone(), kind="flac")
    assert "at most 30 min" in refusal(flac_of_length(data, frames=2**36 - 1))


@pytest.mark.parametrize("rate", [1, 999, 192_001, 1_000_000])
def test_sample_rates_that_can_only_be_wrong_are_refused(rate):
    data = patched(written(tone()), 24, struct.pack("<I", rate))
    assert refusal(data).endswith(f"a sample rate of {rate} Hz; 1000 to 192000 Hz is allowed.")


def test_a_file_over_the_size_limit_is_refused_unread(tmp_path):
    path = tmp_path / "huge.wav"
    with path.open("wb") as file:
        file.truncate(200_000_001)  # sparse: takes no space
    assert refusal(path) == "huge.wav is more than 200 MB; at most 200 MB is allowed."
    path.write_bytes(written(tone()))
    tight = AudioLimits(max_bytes=1000)
    assert refusal(path, limits=tight) == "huge.wav is 0.265 MB; at most 1000 bytes is allowed."


def test_limits_are_settings():
    assert "at most 2 s" in refusal(written(tone()), limits=AudioLimits(max_seconds=2))
    assert "1 to 1 are" in refusal(written(stereo()), limits=AudioLimits(max_channels=1))
    assert "at most 2 s" in refusal(encoded("webm"), limits=AudioLimits(max_seconds=2))
    with pytest.raises(ConfigError, match="max_seconds"):
        AudioLimits(max_seconds=0)


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (np.zeros(0), "holds no samples"),
        (np.zeros((2, 48_000)), "48000 channels"),
        (np.zeros((3, 3, 3)), "shape (3, 3, 3)"),
        (np.zeros(10, np.int64), "int64"),
        (np.array([0.0, np.nan]), "not finite"),
    ],
)
def test_arrays_that_are_not_recordings_are_refused(array, found):
    assert found in refusal((array, RATE))


@pytest.mark.parametrize("playlist", ["m3u8", "ffconcat", "sdp"])
def test_a_file_that_names_other_files_or_hosts_opens_none_of_them(tmp_path, playlist):
    secret = tmp_path / "secret.wav"
    secret.write_bytes(written(tone()))
    content = {
        "m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\nfile://{secret}\n#EXT-X-ENDLIST\n",
        "ffconcat": f"ffconcat version 1.0\nfile '{secret}'\n",
        "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
        "m=audio 5004 RTP/AVP 0\n",
    }[playlist]
    lure = tmp_path / "lure.wav"
    lure.write_text(content)
    assert refusal(lure).startswith("lure.wav holds text")


# --- resampling ---


@pytest.mark.parametrize("rate", [8000, 22_050, 44_100, 48_000, 44_101, 192_000])
def test_a_1_khz_tone_keeps_its_amplitude_and_pitch(rate):
    heard = load_audio((tone(rate=rate), rate)).at(SAMPLE_RATE)
    assert len(heard) == pytest.approx(SECONDS * SAMPLE_RATE, abs=20)
    assert level(heard, 1000, SAMPLE_RATE) == pytest.approx(TONE, rel=0.01)


def test_a_7_khz_tone_is_still_there_at_16_khz():
    heard = load_audio((tone(7000), RATE)).at(SAMPLE_RATE)
    assert level(heard, 7000, SAMPLE_RATE) == pytest.approx(TONE, rel=0.01)


@pytest.mark.parametrize("hertz", [9000, 10_000, 15_000, 20_000])
def test_tones_above_8_khz_are_gone_at_16_khz_and_do_not_fold_back(hertz):
    heard = load_audio((tone(hertz), RATE)).at(SAMPLE_RATE)
    inside = heard[1000:-1000]  # a tone that starts at once has every frequency at its ends
    assert np.abs(inside).max() < TONE * 0.01


@pytest.mark.parametrize(
    "rates", [(48_000, 16_000), (44_100, 16_000), (8000, 16_000), (44_101, 16_000)]
)
def test_converting_in_blocks_equals_converting_in_one_go(monkeypatch, rates):
    noise = np.random.default_rng(0).standard_normal(3 * rates[0] + 77).astype(np.float32)
    whole = signals.resample(noise, *rates)
    monkeypatch.setattr(signals, "BLOCK_SAMPLES", rates[0] // 2)
    np.testing.assert_allclose(signals.resample(noise, *rates), whole, atol=1e-5)


def test_a_rate_that_shares_no_factor_takes_little_memory():
    assert max(signals.tabulated_ratio(44_101, SAMPLE_RATE)) <= signals.MAX_RATIO_STEPS
    for rate in range(15_900, 16_100):
        steps_in, steps_out = signals.tabulated_ratio(rate, SAMPLE_RATE)
        assert steps_out / steps_in == pytest.approx(SAMPLE_RATE / rate, rel=3e-4)


def test_the_original_is_not_copied_and_a_conversion_is_not_kept():
    recording = load_audio((tone(), RATE))
    held = recording.bytes_held
    assert recording.at(RATE) is recording.samples
    recording.at(SAMPLE_RATE)
    assert recording.bytes_held == held == 4 * len(recording.samples)


# --- compact recordings ---


def test_a_compact_recording_is_16_khz_of_16_bits_and_otherwise_the_same():
    recording = load_audio((tone(), RATE), name="talk")
    compact = recording.compact()
    assert (compact.sample_rate, compact.seconds) == (SAMPLE_RATE, recording.seconds)
    assert compact.bytes_held == 2 * SAMPLE_RATE * SECONDS
    for name in ("name", "content_hash", "treatment", "path"):
        assert getattr(compact, name) == getattr(recording, name)
    assert compact.samples.dtype == np.float32
    np.testing.assert_allclose(compact.samples, recording.at(SAMPLE_RATE), atol=2**-16)
    assert compact.compact() is compact
    part = compact.window(1.0, 2.0)
    np.testing.assert_array_equal(part.samples, compact.samples[SAMPLE_RATE : 2 * SAMPLE_RATE])
    assert len(compact.at(8000)) == 8000 * SECONDS


def test_16_bit_samples_are_compact_without_a_loss():
    sound = np.array([-(2**15), 2**15 - 1, 0, 1] * 4000, np.int16)
    compact = load_audio((sound, 8000)).compact()
    assert compact.sample_rate == 8000  # never raised
    np.testing.assert_array_equal(compact.stored, sound)
    assert compact.step == 2**-15


def test_a_quiet_recording_keeps_its_resolution_when_it_is_compact():
    recording = load_audio((tone(rate=SAMPLE_RATE, amplitude=1e-4), SAMPLE_RATE))
    compact = recording.compact()
    np.testing.assert_allclose(compact.samples, recording.samples, atol=1e-4 / 2**14)


def test_full_scale_and_silence_fit_into_16_bits():
    for level_of_all in (1.0, -1.0, 0.0):
        compact = load_audio((np.full(RATE, level_of_all), RATE)).compact()
        np.testing.assert_allclose(compact.samples[1000:-1000], level_of_all, atol=1e-3)


def test_a_window_does_not_keep_its_recording_alive():
    recording = load_audio((np.zeros(60 * SAMPLE_RATE, np.float32), SAMPLE_RATE))
    part = recording.window(1.0, 3.0)
    assert part.stored.base is None
    assert part.bytes_held == 4 * 2 * SAMPLE_RATE
    assert part.compact().bytes_held == 2 * 2 * SAMPLE_RATE


# --- windows ---


@pytest.mark.parametrize("seconds", [1.0, 29.9, 30.0, 30.2, 45.0, 60.3, 60.5, 95.0])
def test_windows_are_consecutive_and_hold_every_sample(seconds):
    rate = 1000
    recording = load_audio((np.arange(round(seconds * rate)) / 1e6 + 0.01, rate))
    windows = recording.windows(30.0)
    parts = [recording.window(*window) for window in windows]
    assert windows[0][0] == 0.0
    assert windows[-1][1] == recording.seconds
    assert [end for _, end in windows[:-1]] == [start for start, _ in windows[1:]]
    lengths = [part.treatment.source_seconds for part in parts]
    joined = [
        part.samples[: round(length * rate)] for part, length in zip(parts, lengths, strict=True)
    ]
    np.testing.assert_array_equal(np.concatenate(joined), recording.samples)
    assert max(lengths) <= 30.0
    assert min(lengths) >= 0.5


def test_a_rest_under_half_a_second_shares_equally_with_the_window_before():
    recording = load_audio((np.ones(60_200), 1000))
    middle = pytest.approx(45.1)
    assert recording.windows(30.0) == [(0.0, 30.0), (30.0, middle), (middle, 60.2)]


def test_a_window_is_a_recording_of_its_own():
    recording = load_audio((np.tile(tone(), 2), RATE), name="talk")
    part = recording.window(1.0, 1.4)
    assert (part.name, part.sample_rate, part.seconds) == ("talk", RATE, 1.0)
    assert part.treatment.padded_seconds == pytest.approx(0.6)
    assert part.content_hash != recording.content_hash
    assert part.content_hash == recording.window(4.0, 4.4).content_hash  # the same sound
    assert recording.window(0.0, 99.0) is recording


@pytest.mark.parametrize("times", [(2.0, 2.0), (3.0, 1.0), (7.0, 8.0), (-2.0, -1.0)])
def test_a_window_without_samples_is_an_error(times):
    with pytest.raises(ValueError, match="must lie within"):
        load_audio((tone(), RATE)).window(*times)


@pytest.mark.parametrize(
    ("start", "end", "samples"), [(0.0, None, 3.0), (1.0, None, 2.0), (0.5, 2.0, 1.5)]
)
def test_a_part_of_a_recording_is_loaded_by_its_times(start, end, samples):
    whole = load_audio((tone(), RATE))
    part = load_audio((tone(), RATE), start=start, end=end)
    first = round(start * RATE)
    np.testing.assert_array_equal(
        part.samples, whole.samples[first : first + round(samples * RATE)]
    )


@pytest.mark.parametrize(
    ("start", "end", "wanted"), [(3.0, None, "from 3 s on"), (2.0, 2.0, "from 2 to 2 s")]
)
def test_a_part_that_a_recording_has_not_is_refused_in_words(start, end, wanted):
    with pytest.raises(AudioError, match=f"lasts 3 s and has no part {wanted}"):
        load_audio((tone(), RATE), start=start, end=end)


def test_windows_of_half_a_second_or_less_are_an_error():
    with pytest.raises(ValueError, match=r"longer than 0\.5 s"):
        load_audio((tone(), RATE)).windows(0.5)


# --- pictures ---


def test_the_mel_picture_equals_what_whisper_hears():
    from transformers import WhisperFeatureExtractor

    heard = load_audio(written(tone(440))).at(SAMPLE_RATE)
    extractor = WhisperFeatureExtractor(feature_size=80)
    expected = extractor(heard, sampling_rate=SAMPLE_RATE, padding="do_not_pad")
    picture = log_mel(heard)
    assert picture.shape == (80, round(SECONDS * 100))
    assert picture.dtype == np.float32
    np.testing.assert_allclose(picture, expected["input_features"][0], atol=1e-3)


def test_the_mel_picture_of_a_tone_is_brightest_at_its_band():
    low, high = (
        int(log_mel(tone(hertz, SAMPLE_RATE)).mean(axis=1).argmax()) for hertz in (300, 3000)
    )
    assert 0 < low < high < 80
    assert math.isfinite(log_mel(np.zeros(SAMPLE_RATE, np.float32)).sum())


def test_a_picture_of_less_than_one_window_is_an_error():
    with pytest.raises(ValueError, match="at least 400"):
        log_mel(np.zeros(10, np.float32))


def test_folders_are_searched_for_the_formats_people_have():
    assert {".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".aac", ".webm"} <= AUDIO_SUFFIXES
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in AUDIO_SUFFIXES)


def test_a_wav_written_by_another_library_is_read(tmp_path):
    path = tmp_path / "stdlib.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes((tone(rate=SAMPLE_RATE) * 2**15).astype("<i2").tobytes())
    recording = load_audio(path)
    assert not recording.treatment.resampled
    np.testing.assert_allclose(recording.samples, tone(rate=SAMPLE_RATE), atol=1e-4)

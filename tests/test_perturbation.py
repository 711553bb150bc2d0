"""Small changes of a recording: measured on signals, and what they do to real routing."""

import math
from dataclasses import replace

import numpy as np
import pytest
from fakes import FakeAssistant
from scipy.spatial.distance import jensenshannon

from mowe.analysis.worth.perturbation import (
    CHANGES,
    CHANNELS,
    UNCHANGED,
    compare,
    consistency,
    divergence,
    perturb,
)
from mowe.audio import load_audio
from mowe.audio.recording import Recording, Treatment
from mowe.errors import ConfigError

RATE = 16_000  # Hz
NOISES = [(kind, snr) for kind in ("white", "pink") for snr in (30, 20, 10)]


def recording(samples: np.ndarray, rate: int = RATE) -> Recording:
    treatment = Treatment(rate, 1, len(samples) / rate, False, False, 0.0, 1.0, ())
    return Recording("clip.wav", samples.astype(np.float32), rate, "hash", treatment)


def tone(hertz: float, seconds: float = 2.0, amplitude: float = 0.25, rate: int = RATE):
    times = np.arange(round(seconds * rate)) / rate
    return amplitude * np.sin(2 * np.pi * hertz * times)


def changed(samples: np.ndarray, name: str, rate: int = RATE) -> np.ndarray:
    return perturb(recording(samples, rate), name)[0].samples


def decibels(samples: np.ndarray) -> float:
    return 10 * math.log10(np.mean(np.square(samples, dtype=float)) + 1e-20)


@pytest.fixture(scope="module")
def tiny():
    from mowe.assistant import load

    return load("tiny-random", device="cpu", untrained=True)


def test_divergence_of_distributions_by_hand():
    assert divergence([0.5, 0.5], [0.5, 0.5]) == 0
    assert divergence([1, 0, 0], [0, 1, 0]) == pytest.approx(math.log(2))
    # middle (3/4, 1/4): (log 4/3 + (log 2/3 + log 2) / 2) / 2
    by_hand = (math.log(4 / 3) + (math.log(2 / 3) + math.log(2)) / 2) / 2
    assert divergence([1, 0], [0.5, 0.5]) == pytest.approx(by_hand)
    p, q = np.random.default_rng(0).dirichlet(np.ones(5), size=2)
    assert divergence(p, q) == pytest.approx(jensenshannon(p, q) ** 2)
    assert divergence(p, q) == divergence(q, p)


@pytest.mark.parametrize(
    ("name", "gain"), [("12 dB softer", -12), ("6 dB softer", -6), ("6 dB louder", 6)]
)
def test_gains_are_as_named(name, gain):
    sound = tone(440)
    assert decibels(changed(sound, name)) - decibels(sound) == pytest.approx(gain, abs=0.01)


def test_what_would_clip_is_scaled_and_said():
    loud = recording(tone(440, amplitude=0.9))
    made, scaled = perturb(loud, "6 dB louder")
    assert np.abs(made.samples).max() == pytest.approx(1.0)
    assert scaled == pytest.approx(6 + 20 * math.log10(0.9), abs=0.01)
    assert perturb(recording(tone(440)), "6 dB louder")[1] == 0


@pytest.mark.parametrize(("kind", "snr"), NOISES)
def test_noise_lies_as_far_below_the_sound_as_asked(kind, snr):
    sound = tone(440)
    added = changed(sound, f"{kind} noise, {snr} dB") - sound
    assert decibels(sound) - decibels(added) == pytest.approx(snr, abs=0.05)


@pytest.mark.parametrize(("kind", "slope"), [("white", 0.0), ("pink", -3.0)])
def test_noise_has_the_spectrum_of_its_name(kind, slope):
    sound = tone(440, seconds=20)
    spectrum = np.abs(np.fft.rfft(changed(sound, f"{kind} noise, 10 dB") - sound)) ** 2
    hertz = np.fft.rfftfreq(len(sound), 1 / RATE)
    low, high = (
        10 * math.log10(spectrum[(hertz >= edge) & (hertz < 2 * edge)].mean())
        for edge in (500, 4000)
    )
    assert (high - low) / 3 == pytest.approx(slope, abs=0.3)  # dB an octave


def test_a_round_trip_through_8_khz_loses_what_8_khz_cannot_hold():
    kept, lost = tone(1000), tone(6000)
    name, middle = "to 8 kHz and back", slice(2000, -2000)
    assert np.abs(changed(kept, name) - kept)[middle].max() < 0.002
    assert decibels(changed(lost, name)[middle]) < decibels(lost) - 60
    through = changed(lost, "to 22.05 kHz and back")
    assert np.abs(through - lost)[middle].max() < 0.002


def test_a_telephone_passes_its_band_only():
    middle = slice(2000, -2000)
    assert np.abs(changed(tone(1000), "telephone band") - tone(1000))[middle].max() < 0.002
    for hertz in (150, 5000):
        assert decibels(changed(tone(hertz), "telephone band")) < decibels(tone(hertz)) - 40


def test_a_shift_puts_50_ms_of_silence_first():
    sound = np.random.default_rng(0).uniform(-0.5, 0.5, RATE * 2).astype(np.float32)
    later = changed(sound, "50 ms later")
    assert not later[:800].any()
    assert np.array_equal(later[800:], sound[:-800])
    assert not changed(np.ones(88_200) / 2, "50 ms later", rate=44_100)[:2205].any()


def test_a_room_answers_a_click_with_decaying_echoes():
    click = np.zeros(RATE)
    click[0] = 0.5
    echoes = changed(click, "in a small room").astype(float)
    assert echoes[0] == pytest.approx(0.5, abs=0.001)
    energy = np.square(echoes)
    assert 10 * math.log10(energy[0] / energy[1:].sum()) == pytest.approx(10, abs=0.1)
    remaining = 10 * np.log10(np.cumsum(energy[:0:-1])[::-1] + 1e-20)  # Schroeder's integral
    fall = np.polyfit(np.arange(200, 2400) / RATE, remaining[200:2400], 1)[0]  # dB a second
    assert -60 / fall == pytest.approx(0.3, rel=0.15)


@pytest.mark.parametrize("name", [*CHANGES, *CHANNELS])
def test_every_change_keeps_length_range_and_original(name):
    sound = np.random.default_rng(1).uniform(-1, 1, 33_333).astype(np.float32)
    whole = recording(sound.copy(), 44_100)
    made, _ = perturb(whole, name)
    assert made.samples.shape == sound.shape
    assert made.samples.dtype == np.float32
    assert np.abs(made.samples).max() <= 1
    assert np.array_equal(whole.samples, sound)
    assert made.content_hash != whole.content_hash
    assert made.at(RATE).shape == whole.at(RATE).shape  # nothing of the original is remembered


def test_a_seed_decides_noise_and_echoes():
    clip = recording(tone(440))
    for name in ("white noise, 20 dB", "in a small room"):
        again = [perturb(clip, name, seed=seed)[0].samples for seed in (3, 3, 4)]
        assert np.array_equal(again[0], again[1])
        assert not np.array_equal(again[0], again[2])


def test_silence_stays_silence():
    for name in (*CHANGES, *CHANNELS):
        assert np.abs(changed(np.zeros(RATE), name)).max() < 1e-4  # Opus rounds to one bit


def test_an_unknown_change_lists_the_known_ones():
    with pytest.raises(ValueError, match="no change 'backwards'; there are .*6 dB softer"):
        perturb(recording(tone(440)), "backwards")


def test_a_routing_that_never_moves_has_no_divergence():
    compared = consistency(FakeAssistant(), recording(tone(440)))
    assert [one.change for one in compared] == [UNCHANGED, *CHANGES]
    assert {one.divergence for one in compared} == {0.0}
    assert all(one.same_choice for one in compared)
    assert {one.choice for one in compared} == {"whisper-tiny.en"}
    assert {one.answer for one in compared} == {None}


class LoudnessRouter(FakeAssistant):
    """Hears loud recordings through the first encoder, soft ones through the second."""

    def route_all(self, recordings, **settings):
        answers = super().route_all(recordings, **settings)
        louds = [float(np.abs(one.samples).max()) > 0.1 for one in recordings]
        return [
            replace(
                answer,
                windows=tuple(
                    replace(window, dependent={"first": float(loud), "second": float(not loud)})
                    for window in answer.windows
                ),
            )
            for answer, loud in zip(answers, louds, strict=True)
        ]


def test_a_router_that_listens_to_level_flips_with_level_only():
    compared = consistency(LoudnessRouter(), recording(tone(440)))
    flipped = [one for one in compared if not one.same_choice]
    assert [one.change for one in flipped] == ["12 dB softer"]
    assert flipped[0].choice == "second"
    assert flipped[0].divergence == pytest.approx(math.log(2))


def test_changes_are_heard_one_by_one_as_they_are_asked_for():
    fake, heard = FakeAssistant(), []
    route = fake.route_all
    fake.route_all = lambda clips, **settings: heard.append(clips) or route(clips, **settings)
    rows = compare(fake, recording(tone(440, seconds=40)))
    assert heard == []
    next(rows), next(rows)
    rows.close()
    assert len(heard) == 2
    assert {clips[0].seconds for clips in heard} == {30.0}  # a long recording is cut


def test_a_mixture_whose_routing_cannot_move_is_refused():
    class Fixed(LoudnessRouter):
        def route_all(self, recordings, **settings):
            (answer,) = super().route_all(recordings, **settings)
            return [replace(answer, windows=(replace(answer.windows[0], dependent={}),))]

    with pytest.raises(ConfigError, match="no data-dependent router"):
        consistency(Fixed(), recording(tone(440)))


def test_answers_are_compared_by_their_words(tiny, examples):
    clip = load_audio(examples / "dog.ogg")
    settings = {"changes": ("6 dB softer", "white noise, 10 dB"), "question": "What is this?"}
    compared = consistency(tiny, clip, **settings)
    assert [one.same_answer for one in compared][0] is True
    assert all(one.answer is not None for one in compared)
    routed = consistency(tiny, clip, changes=settings["changes"])
    for one, other in zip(compared, routed, strict=True):
        assert one.divergence == pytest.approx(other.divergence, abs=1e-6)
        assert one.choice == other.choice


def test_the_shipped_mixture_is_compared_on_a_real_clip(mini_assistant, examples):
    clip = load_audio(examples / "dog.ogg")
    names = ("12 dB softer", "50 ms later", "to 22.05 kHz and back", "pink noise, 10 dB")
    compared = consistency(mini_assistant, clip, changes=names)
    plain = mini_assistant.route(clip).windows[0]
    assert compared[0].probabilities == pytest.approx(plain.dependent)
    assert compared[0].divergence == 0
    assert all(sum(one.probabilities.values()) == pytest.approx(1) for one in compared)
    by_name = {one.change: one for one in compared}
    assert by_name["50 ms later"].same_choice
    assert by_name["to 22.05 kHz and back"].divergence < 0.01
    assert all(one.divergence <= math.log(2) for one in compared)
    assert len({one.divergence for one in compared[1:]}) == len(names)  # really another sound

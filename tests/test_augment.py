"""Augmentation of training sounds and of encoder frames."""

import numpy as np
import pytest
import torch

from mowe.data import augment
from mowe.data.augment import add_noise, band_limit, code, spec_augment
from mowe.data.augment import augment as damaged

RATE = 16_000  # Hz


def voice(seconds: float = 2.0, rate: int = RATE, seed: int = 0) -> np.ndarray:
    """Noise bursts: wide-band, loud and soft, unlike themselves at any other delay."""
    draw = np.random.default_rng(seed)
    times = np.arange(round(seconds * rate)) / rate
    sound = draw.standard_normal(len(times)) * (1 + np.sin(2 * np.pi * 3 * times))
    return band_limit((0.1 * sound).astype(np.float32), rate, 0.0, 3500.0)


def power(samples: np.ndarray) -> float:
    return float(np.mean(np.square(samples.astype(np.float64))))


def lag(one: np.ndarray, other: np.ndarray) -> int:
    """Samples by which `other` comes after `one`."""
    size = 2 * len(one)
    product = np.fft.rfft(other, size) * np.conj(np.fft.rfft(one, size))
    peak = int(np.fft.irfft(product, size).argmax())
    return peak - size if peak > size // 2 else peak


@pytest.mark.parametrize("rate", [8_000, RATE, 44_100])
def test_length_type_and_range_are_kept_for_every_draw(rate):
    sound = voice(0.7, rate) * 4
    for seed in range(25):
        heard = damaged(sound, rate, seed)
        assert heard.shape == sound.shape
        assert heard.dtype == np.float32
        assert np.abs(heard).max() <= 1


def test_a_seed_decides_all_and_another_seed_differs():
    sound = voice()
    assert np.array_equal(damaged(sound, RATE, "a:7"), damaged(sound, RATE, "a:7"))
    variants = [damaged(sound, RATE, seed) for seed in range(12)]
    for index, one in enumerate(variants):
        assert not any(np.array_equal(one, other) for other in variants[:index])


def test_the_input_is_never_changed():
    sound = voice()
    before = sound.copy()
    for seed in range(12):
        damaged(sound, RATE, seed)
    assert np.array_equal(sound, before)


def test_no_strength_is_no_change_and_little_strength_is_a_small_one():
    sound = voice()
    assert np.array_equal(damaged(sound, RATE, 1, strength=0), sound)
    # the same draws, reaching less far
    noises = [
        power(augment._noisy(sound, RATE, np.random.default_rng(0), strength) - sound)
        for strength in (0.1, 1.0)
    ]
    assert noises[0] < noises[1]


@pytest.mark.parametrize("count", [0, 1, 7, 400])
def test_silence_and_scraps_stay_finite(count):
    for sound in (np.zeros(count, np.float32), np.full(count, 1e-6, np.float32)):
        for damage in augment._DAMAGES if count else ():
            heard = damage(sound, RATE, np.random.default_rng(0), 1.0)
            assert heard.shape == sound.shape
            assert np.isfinite(heard).all()
        assert len(damaged(sound, RATE, 0)) == count


@pytest.mark.parametrize("kind", augment.NOISES)
@pytest.mark.parametrize("wanted", [5.0, 15.0, 25.0])
def test_noise_has_the_level_that_was_asked(kind, wanted):
    sound = voice()
    noise = add_noise(sound, RATE, wanted, kind, np.random.default_rng(3)) - sound
    assert 10 * np.log10(power(sound) / power(noise)) == pytest.approx(wanted, abs=0.5)


def test_pink_noise_falls_and_white_noise_does_not():
    sound = voice()
    shares = {}
    for kind in augment.NOISES:
        noise = add_noise(sound, RATE, 0.0, kind, np.random.default_rng(3)) - sound
        shares[kind] = power(band_limit(noise, RATE, 4000.0, 8000.0)) / power(noise)
    assert shares["babble"] < shares["pink"] < 0.5 * shares["white"]


@pytest.mark.parametrize(("low", "high"), [(0.0, 2800.0), augment.TELEPHONE])
def test_a_band_limit_removes_what_lies_outside(low, high):
    sound = np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    heard = band_limit(sound, RATE, low, high)
    levels = np.abs(np.fft.rfft(heard)) ** 2  # one bin a hertz
    inside = levels[round(low * 1.2) : round(high * 0.85)].mean()
    assert levels[round(high * 1.1) :].mean() < 1e-4 * inside
    assert levels[: round(low * 0.9)].sum() <= 1e-3 * inside * max(low, 1)
    assert lag(sound, heard) == 0


@pytest.mark.parametrize("rate", [RATE, 44_100])
@pytest.mark.parametrize(("codec", "bits"), [("mp3", 16_000), ("mp3", 32_000), ("opus", 12_000)])
def test_a_codec_changes_the_sound_but_not_its_place(codec, bits, rate):
    sound = voice(2.0, rate)
    heard = code(sound, rate, codec, bits)
    assert heard.shape == sound.shape
    assert abs(lag(sound, heard)) <= 0.002 * rate
    assert not np.allclose(heard, sound, atol=1e-4)
    assert np.corrcoef(heard, sound)[0, 1] > 0.5
    assert power(heard[-rate // 10 :]) > 0.1 * power(sound[-rate // 10 :])  # the end is there


def test_old_sound_cards_keep_the_place_and_lose_the_treble():
    sound = np.random.default_rng(0).standard_normal(44_100).astype(np.float32) * 0.1
    heard = augment.crush(sound, 44_100)
    assert lag(sound, heard) == 0
    levels = np.abs(np.fft.rfft(heard)) ** 2
    assert levels[8_000:].mean() < 1e-3 * levels[:5_000].mean()


def test_a_room_keeps_the_direct_sound_first_and_rings_after_it():
    click = np.zeros(RATE, np.float32)
    click[1000] = 1.0
    heard = augment.reverberate(click, RATE, 0.3, 6.0, np.random.default_rng(0))
    assert heard[1000] == pytest.approx(1.0, abs=1e-3)
    assert power(heard[:1000]) < 1e-10
    echoes = heard[1001:].astype(np.float64)
    assert 10 * np.log10(1 / np.sum(echoes**2)) == pytest.approx(6.0, abs=0.5)
    early, late = power(echoes[400:1200]), power(echoes[3600:4400])  # 0.2 s later: 40 dB less
    assert 10 * np.log10(early / late) == pytest.approx(40.0, abs=4.0)


def test_wrong_samples_and_strengths_are_refused():
    with pytest.raises(ValueError, match="one axis"):
        damaged(np.zeros((2, 5), np.float32), RATE, 0)
    with pytest.raises(ValueError, match="strength"):
        damaged(np.zeros(5, np.float32), RATE, 0, strength=1.5)
    with pytest.raises(ValueError, match="purple"):
        add_noise(voice(), RATE, 5.0, "purple", np.random.default_rng(0))


def frames_and_mask() -> tuple[torch.Tensor, torch.Tensor]:
    mask = torch.arange(200) < torch.tensor([200, 60, 3])[:, None]
    return torch.ones(3, 200, 40) * mask[..., None], mask


def test_masked_frames_lose_short_stretches_and_narrow_blocks():
    frames, mask = frames_and_mask()
    time_lost = feature_lost = 0
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        masked = spec_augment(frames, mask, generator)
        assert masked.shape == frames.shape
        for row, count in enumerate(mask.sum(dim=1).tolist()):
            real = masked[row, :count]
            longest = min(25, int(0.2 * count))
            whole_frames = int((real == 0).all(dim=1).sum())
            whole_features = int((real == 0).all(dim=0).sum())
            assert whole_frames <= 2 * longest
            assert whole_features <= 2 * 4
            time_lost, feature_lost = time_lost + whole_frames, feature_lost + whole_features
    assert time_lost > 0
    assert feature_lost > 0


def test_padding_is_left_alone():
    frames, mask = frames_and_mask()
    marked = torch.where(mask[..., None], frames, 7.0)
    masked = spec_augment(marked, mask, torch.Generator().manual_seed(0))
    assert bool((masked[~mask] == 7.0).all())
    assert bool((marked[mask] == 1.0).all())  # what came in is not changed


def test_an_examples_masks_do_not_depend_on_its_batch_mates():
    frames, mask = frames_and_mask()
    together = spec_augment(frames, mask, torch.Generator().manual_seed(5))
    alone = spec_augment(frames[:1], mask[:1], torch.Generator().manual_seed(5))
    assert torch.equal(together[0], alone[0])


def test_masking_leaves_the_global_generator_alone():
    frames, mask = frames_and_mask()
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    spec_augment(frames, mask, torch.Generator().manual_seed(5))
    assert torch.equal(torch.rand(3), expected)

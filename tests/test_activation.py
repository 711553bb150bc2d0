"""Inputs that an encoder's share likes: made up with controls, heard, and found among records."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
from test_analysis import records

from mowe.analysis.attribution import figures as drawn
from mowe.analysis.attribution.activation import (
    RANGE,
    RealSounds,
    Regularisation,
    maximise,
    sounding,
    top_clips,
)
from mowe.analysis.attribution.router_path import RouterPath
from mowe.audio import load_audio
from mowe.errors import ConfigError, RecordsError

RATE = 16_000  # Hz


@pytest.fixture(scope="module")
def real():
    return RealSounds(np.linspace(0.3, -0.6, 80, dtype=np.float32), -0.9, 1.5)


# a random network is nearly deaf: the usual rules would win over it
LOOSE = Regularisation(learning_rate=0.1, variation=0.0, distance=0.0, blur_every=1000)


@pytest.fixture(scope="module")
def made(tiny_model, real):
    return list(
        maximise(RouterPath.of(tiny_model), "speaker", real, steps=20, seed=5, regularisation=LOOSE)
    )


def test_the_probability_rises_above_its_random_start(made):
    assert [one.step for one in made] == [0, 5, 10, 15, 20]
    assert [one.finished for one in made] == [False] * 4 + [True]
    assert made[0].after == made[0].before == made[-1].before
    assert made[-1].after["speaker"] > made[-1].before["speaker"] + 0.05
    assert sum(made[-1].after.values()) == pytest.approx(1.0, abs=1e-5)


def test_the_shipped_model_likes_what_was_made_up_for_speaker(mini_assistant, examples):
    model = mini_assistant.model
    real = RealSounds.of(RouterPath.of(model), [load_audio(examples / "digits.flac")])
    *_, last = maximise(RouterPath.of(model), "speaker", real, steps=15, seed=0)
    assert last.before["speaker"] < 0.1
    assert last.after["speaker"] > 0.5
    assert max(last.after, key=last.after.get) == "speaker"


def test_equal_seeds_give_equal_inputs_and_others_do_not(tiny_model, real, made):
    *_, again = maximise(
        RouterPath.of(tiny_model), "speaker", real, steps=20, seed=5, regularisation=LOOSE
    )
    *_, other = maximise(
        RouterPath.of(tiny_model), "speaker", real, steps=20, seed=6, regularisation=LOOSE
    )
    assert np.array_equal(again.features, made[-1].features)
    assert again.after == made[-1].after
    assert not np.array_equal(other.features, made[-1].features)


def test_every_input_stays_in_the_range_of_real_sounds(made, real):
    for one in made:
        assert one.features.shape == (320, 80)  # 3 s and the silence that the encoder adds
        assert one.features.min() >= real.low - 1e-6
        assert one.features.max() <= real.high + 1e-6
        assert one.features.max() - one.features.min() <= RANGE + 1e-5
        assert np.ptp(one.features[300:]) == 0


def test_a_heavier_variation_weight_gives_a_smoother_input(tiny_model, real, made):
    rules = dataclasses.replace(LOOSE, variation=1.0)
    *_, smooth = maximise(
        RouterPath.of(tiny_model), "speaker", real, steps=20, seed=5, regularisation=rules
    )
    rough, fine = (np.abs(np.diff(one.features[:300], axis=0)).mean() for one in (made[-1], smooth))
    assert fine < 0.9 * rough


def test_maximising_leaves_the_model_as_it_was(tiny_model, real):
    before = {name: one.clone() for name, one in tiny_model.router.state_dict().items()}
    list(maximise(RouterPath.of(tiny_model), "speaker", real, steps=3))
    assert all(torch.equal(one, before[name]) for name, one in tiny_model.router.named_parameters())
    assert all(one.grad is None for one in tiny_model.parameters())


def test_the_range_of_real_sounds_is_measured(tiny_model, tmp_path):
    class Clip:
        def __init__(self, samples):
            self.samples = samples

        def at(self, rate):
            return self.samples

    path = RouterPath.of(tiny_model)
    clips = [Clip(np.full(RATE, level, dtype=np.float32)) for level in (0.0, 0.5)]
    real = RealSounds.of(path, clips)
    silent, steady = (path.features(clip.samples)[0].numpy() for clip in clips)
    assert real.low == -1.5
    assert real.high == pytest.approx(steady.max())
    assert real.mean == pytest.approx(np.concatenate([silent, steady]).mean(axis=0), abs=1e-5)
    with pytest.raises(ConfigError, match="no recording is there"):
        RealSounds.of(path, [])


@pytest.mark.parametrize("steps", [0, 501])
def test_steps_and_names_outside_are_one_sentence(tiny_model, real, steps):
    with pytest.raises(ConfigError, match=f"steps must be 1 to 500, found {steps}"):
        next(maximise(RouterPath.of(tiny_model), "sound", real, steps=steps))
    with pytest.raises(ConfigError, match="no weak encoder 'nobody'"):
        next(maximise(RouterPath.of(tiny_model), "nobody", real))


@pytest.mark.parametrize("hertz", [440.0, 2000.0])
def test_the_sound_of_a_tone_s_mel_peaks_near_the_tone(tiny_model, hertz):
    base = tiny_model.base_encoder
    times = torch.arange(RATE) / RATE
    tone = 0.4 * torch.sin(2 * torch.pi * hertz * times)[None]
    features = base.features(tone, torch.tensor([RATE]))[0, :100]
    sound = base.to_audio(features, seed=1)
    assert sound.shape == (RATE,)
    power = np.abs(np.fft.rfft(sound.numpy())) ** 2
    peak = np.fft.rfftfreq(RATE, 1 / RATE)[power.argmax()]
    assert abs(peak - hertz) < 40  # one bin of the transform
    assert 0.5 < float(sound.square().sum() / tone.square().sum()) < 2.0
    assert torch.equal(sound, base.to_audio(features, seed=1))


def test_an_input_as_a_sound_is_routed_again(tiny_model, made):
    heard = sounding(RouterPath.of(tiny_model), made[-1])
    path = RouterPath.of(tiny_model)
    again = path.probabilities(path.features(heard.samples), len(heard.samples))[0]
    assert len(heard.samples) == 3 * RATE
    assert np.abs(heard.samples).max() <= 1.0
    assert heard.samples.std() > 1e-4
    assert heard.probabilities == path.named(again)
    rows = drawn.activation_rows(made[-1], heard)
    assert [row[0] for row in rows] == list(tiny_model.encoder_names)
    assert rows[1][1:3] == [round(one["speaker"], 3) for one in (made[0].after, made[-1].after)]


def test_the_figure_names_both_probabilities_and_no_markup(made, tiny_model):
    settings = tiny_model.base_encoder.mel_settings
    renamed = dataclasses.replace(
        made[-1],
        encoder="<a>",
        before={"<a>": 0.125},
        after={"<a>": 0.75},
    )
    figure = drawn.activation_figure(renamed, settings)
    title = figure.layout.title.text.replace("<br>", " ")
    assert "probability 0.125 at the random start, 0.750 after" in title
    assert "<a>" not in figure.layout.title.text
    assert np.shape(figure.data[0].z) == (80, 300)


def test_the_best_clips_come_first_and_each_recording_once():
    known = records("abab", task=["asr", None, "er", "er"])
    table = known.table.assign(start=0.0, end=[1.0, 2.0, 3.0, 4.0], sha256=["0", "1", "0", "3"])
    table["dependent"] = [[0.7, 0.3], [0.1, 0.9], [0.8, 0.2], [0.75, 0.25]]
    found = top_clips(dataclasses.replace(known, table=table), "a", count=2)
    assert list(found["path"]) == ["2.wav", "3.wav"]
    assert list(found["probability"]) == [0.8, 0.75]
    assert drawn.clip_rows(found)[0] == [0.8, "2.wav", 0.0, 3.0, "task: er"]
    assert isinstance(found, pd.DataFrame)


def test_records_of_another_mixture_are_one_sentence():
    with pytest.raises(RecordsError, match="without nobody; it has a, b"):
        top_clips(records("ab"), "nobody")
    with pytest.raises(RecordsError, match="it has none"):
        top_clips(records("ab", router="none"), "a")

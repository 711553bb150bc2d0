"""What drives a routing: attribution that adds up, masks that one can hear, an honest check."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from serving import write_tone
from snippets import run_example

from mowe.analysis.attribution import figures as drawn
from mowe.analysis.attribution.gradients import (
    LEVELS,
    Deletion,
    attribute,
    band_edges,
    cells_of_half,
    deletion,
    integrated_gradients,
    mask_audio,
    regions,
    strongest_cells,
    support_share,
)
from mowe.analysis.attribution.router_path import RouterPath
from mowe.audio import load_audio
from mowe.checkpoint import MoWE
from mowe.encoders.base import AudioEncoder
from mowe.errors import AudioError, ConfigError
from mowe.presets import BASE_ONLY, TINY_RANDOM

ROOT = Path(__file__).parents[1]
RATE = 16_000  # Hz


@pytest.fixture(scope="module")
def tone(tmp_path_factory):
    path = write_tone(tmp_path_factory.mktemp("clips") / "tone.wav", 1.3)
    return load_audio(path)


@pytest.fixture(scope="module")
def found(tiny_model, tone):
    return list(attribute(RouterPath.of(tiny_model), tone))[-1]


def test_a_linear_function_gets_weight_times_step_in_every_cell():
    weight = torch.tensor([[1.0, -2.0], [0.5, 3.0]])
    inputs, baseline = torch.tensor([[[2.0, 1.0], [4.0, -1.0]]]), torch.full((1, 2, 2), -1.5)
    *_, last = integrated_gradients(lambda x: (x * weight).sum(dim=(1, 2)), inputs, baseline)
    assert last.values[0].numpy() == pytest.approx((weight * (inputs[0] + 1.5)).numpy(), abs=1e-5)
    assert last.difference == pytest.approx(3.5 - 5.0 + 2.75 + 1.5)
    assert last.gap == pytest.approx(0.0, abs=1e-4)
    assert last.gradients == 64
    assert last.finished


def test_a_piece_with_a_jump_is_cut_until_the_sum_is_right():
    """A steep sigmoid at 0.37 of the path, far narrower than the distance of the points."""

    def steep(x):
        return 10 * torch.sigmoid(800 * (x.mean(dim=1) - 0.37))

    states = list(integrated_gradients(steep, torch.ones(1, 4), torch.zeros(1, 4)))
    assert abs(states[7].gap) > states[7].tolerance  # eight pieces are not enough
    assert states[-1].gradients > 64
    assert abs(states[-1].gap) <= states[-1].tolerance == pytest.approx(0.5)
    assert states[-1].values[0].numpy() == pytest.approx([2.5] * 4, abs=0.13)


@pytest.mark.parametrize("seconds", [(0.7,), (2.0, 1.1)])
@torch.inference_mode()
def test_the_encoder_says_the_same_through_its_features(tiny_model, seconds):
    base, noise = tiny_model.base_encoder, torch.Generator().manual_seed(1)
    lengths = torch.tensor([round(one * RATE) for one in seconds])
    waveforms = torch.randn(len(seconds), int(lengths.max()), generator=noise) * 0.1
    waveforms = waveforms * (torch.arange(waveforms.shape[1]) < lengths[:, None])
    whole = base(waveforms, lengths)
    features = base.features(waveforms, lengths)
    frames, counts = base.encode_features(features, lengths)
    assert features.shape == (len(seconds), -(-(int(lengths.max()) + 3200) // 320) * 2, 80)
    assert counts.tolist() == whole.mask.sum(dim=1).tolist()
    for row, count in enumerate(counts):
        assert torch.equal(frames[row, :count], whole.frames[row, :count])


def test_the_path_gives_the_probabilities_of_the_routing(mini_assistant, examples):
    recording = load_audio(examples / "speech-french.flac")
    path = RouterPath.of(mini_assistant.model)
    samples = recording.at(RATE)
    shares = path.named(path.probabilities(path.features(samples), len(samples))[0])
    assert shares == pytest.approx(mini_assistant.route(recording).windows[0].dependent, abs=1e-5)


def test_the_attribution_of_the_tiny_model_adds_up(tiny_model, found, tone):
    routed = max(found.probabilities, key=found.probabilities.get)
    others = {name: p for name, p in found.probabilities.items() if name != routed}
    assert found.encoder == routed
    assert found.rival == max(others, key=others.get)
    assert found.values.shape == found.features.shape == (150, 80)
    assert (found.silence == -1.5).all()
    margin = [
        np.log(p[found.encoder] / p[found.rival])
        for p in (found.probabilities, found.silence_probabilities)
    ]
    assert found.difference == pytest.approx(margin[0] - margin[1], abs=1e-4)
    assert found.values.sum() == pytest.approx(found.difference + found.gap, abs=1e-3)
    assert found.complete
    assert abs(found.gap) <= max(0.25, 0.05 * abs(found.difference))
    assert abs(found.gap) < 0.01 * abs(found.difference)  # a tiny network is smooth


def test_the_attribution_of_the_shipped_model_adds_up_on_a_real_clip(mini_assistant, examples):
    recording = load_audio(examples / "dog.ogg").window(0.0, 1.5)
    *_, last = attribute(RouterPath.of(mini_assistant.model), recording)
    assert last.encoder == max(last.probabilities, key=last.probabilities.get)
    assert abs(last.difference) > 3  # there is something to explain
    assert last.values.sum() == pytest.approx(last.difference, abs=last.tolerance)
    assert last.complete


def test_any_encoder_can_be_asked_for_and_the_winner_is_then_its_rival(tiny_model, tone, found):
    other = next(name for name in tiny_model.encoder_names if name != found.encoder)
    first = next(attribute(RouterPath.of(tiny_model), tone, other))
    assert (first.encoder, first.rival) == (other, found.encoder)
    assert not first.finished
    assert not first.complete


def test_windows_are_those_of_the_model(tiny_model, tmp_path):
    recording = load_audio(write_tone(tmp_path / "long.wav", 31.0))
    second = next(attribute(RouterPath.of(tiny_model), recording, window=1))
    assert (second.start, len(second.samples)) == (30.0, RATE)
    with pytest.raises(AudioError, match="has 2 windows, window 3 is not there"):
        next(attribute(RouterPath.of(tiny_model), recording, window=2))


def test_padding_and_the_silence_behind_keep_what_they_really_get(tiny_model, tmp_path):
    recording = load_audio(write_tone(tmp_path / "short.wav", 0.4))
    *_, last = attribute(RouterPath.of(tiny_model), recording)
    assert last.sound_seconds == pytest.approx(0.4)
    assert len(last.values) == 120  # 1 s with padding, 0.2 s that the encoder adds
    assert last.values.sum() == pytest.approx(last.difference, abs=last.tolerance)
    assert np.abs(last.values[60:]).sum() > 0  # padding differs from digital silence: its floor


@pytest.mark.parametrize("preset", [BASE_ONLY, TINY_RANDOM])
def test_a_mixture_without_a_data_dependent_router_is_one_sentence(preset):
    routing = dataclasses.replace(TINY_RANDOM.routing, kind="independent", top_k=1)
    config = dataclasses.replace(TINY_RANDOM, preset=preset.preset, routing=routing)
    if preset is BASE_ONLY:
        config = dataclasses.replace(config, weak_encoders=(), routing=BASE_ONLY.routing)
    with pytest.raises(ConfigError, match=f"{preset.preset} has no data-dependent router"):
        RouterPath.of(MoWE(config))


def test_another_base_encoder_and_an_unknown_name_are_one_sentence(tiny_model, tone):
    model = MoWE(TINY_RANDOM)
    model.base_encoder = next(one for one in model.pool if one.name == "speaker")
    assert isinstance(model.base_encoder, AudioEncoder)
    with pytest.raises(ConfigError, match="speaker reads no log-mel"):
        RouterPath.of(model)
    with pytest.raises(ConfigError, match="no weak encoder 'nobody'; there are whisper-weak, "):
        next(attribute(RouterPath.of(tiny_model), tone, "nobody"))


def test_strongest_cells_by_hand():
    values = np.array([[4.0, -9.0, 1.0], [3.0, 0.0, 2.0]])
    assert strongest_cells(values, 2 / 6).tolist() == [[True, False, False], [True, False, False]]
    assert strongest_cells(values, 1.0).tolist() == (values > 0).tolist()
    assert support_share(values, strongest_cells(values, 2 / 6)) == pytest.approx(0.7)
    assert cells_of_half(values) == pytest.approx(2 / 6)  # 4 + 3 of 10


def test_the_strongest_region_is_where_the_attribution_is(found):
    values = np.full_like(found.values, -1.0)
    values[40:60, 8:16] = 0.75 / 160
    values[0, 0] = 0.25
    first, second, *_ = regions(dataclasses.replace(found, values=values, start=30.0))
    edges = band_edges(found.settings)
    assert first == pytest.approx((30.4, 30.6, edges[8], edges[16], 0.75))
    assert second == pytest.approx((30.0, 30.2, 0.0, edges[8], 0.25))
    assert edges[0] == 0
    assert (np.diff(edges) > 0).all()
    assert edges[-1] == 8000


def test_a_mask_of_everything_gives_the_sound_back(found):
    kept = mask_audio(found.samples, np.ones_like(found.values), found.settings)
    assert kept == pytest.approx(found.samples, abs=1e-5)
    assert np.abs(mask_audio(found.samples, np.zeros_like(found.values), found.settings)).max() == 0


def test_a_masked_sound_and_its_complement_add_up_and_keep_to_their_regions(found):
    noise = np.random.default_rng(0).normal(0, 0.1, 2 * RATE).astype(np.float32)
    mask = np.zeros((220, 80), dtype=np.float32)
    mask[50:100, 20:40] = 1  # 0.5 to 1.0 s
    low, high = band_edges(found.settings)[[20, 40]]
    kept = mask_audio(noise, mask, found.settings)
    rest = mask_audio(noise, 1 - mask, found.settings)
    assert kept + rest == pytest.approx(noise, abs=1e-5)
    inside = kept[round(0.49 * RATE) : round(1.01 * RATE)]
    assert np.square(inside).sum() / np.square(kept).sum() > 0.99
    power = np.abs(np.fft.rfft(kept)) ** 2
    hertz = np.fft.rfftfreq(len(kept), 1 / RATE)
    band = (hertz > low - 60) & (hertz < high + 60)  # a bin of the transform is 40 Hz wide
    assert power[band].sum() / power.sum() > 0.99


def test_deletion_asks_the_model_about_the_cells_it_names(tiny_model, found):
    checked = list(deletion(RouterPath.of(tiny_model), found, draws=1, seed=3))
    assert [one.level for one in checked] == list(LEVELS)
    path, level = RouterPath.of(tiny_model), checked[2]
    cells = strongest_cells(found.values, level.level)
    alone = torch.from_numpy(np.where(cells, found.features, found.silence))[None]
    shares = path.named(path.probabilities(alone, len(found.samples))[0])
    assert level.cells == cells.sum()
    assert level.kept == pytest.approx(shares[found.encoder], abs=1e-6)
    assert checked == list(deletion(RouterPath.of(tiny_model), found, draws=1, seed=3))
    assert checked != list(deletion(RouterPath.of(tiny_model), found, draws=1, seed=4))


def test_figures_and_tables_say_the_finding(found):
    checked = [Deletion(0.1, 5, 0.9, 0.1, 0.1, 0.8), Deletion(0.5, 9, 0.9, 0.8, 0.1, 0.2)]
    chart = drawn.deletion_chart(checked, "<b>x</b>")
    title = chart.layout.title.text.replace("<br>", " ")
    assert "keeping 10% of the cells moves its probability 0.80 more than random ones" in title
    assert "<b>" not in chart.layout.title.text
    assert [list(trace.y) for trace in chart.data][0] == [0.9, 0.9]
    assert drawn.deletion_rows(checked)[0] == [10.0, 0.9, 0.1, 0.1, 0.8]
    same = drawn.deletion_chart([Deletion(0.1, 5, 0.5, 0.5, 0.5, 0.5)], "x")
    assert same.layout.title.text.startswith("Not confirmed for x")
    sound, colors = drawn.attribution_figure(found).data
    assert np.shape(sound.z) == np.shape(colors.z) == (80, 150)
    assert (colors.zmid, colors.zmin) == (0, -colors.zmax)
    assert np.sum(colors.z) == pytest.approx(found.values.sum(), abs=1e-3)
    assert len(drawn.region_rows(found)) == 10


def test_a_long_window_is_thinned_without_losing_attribution(found):
    values = np.random.default_rng(0).normal(size=(3000, 80)).astype(np.float32)
    long = dataclasses.replace(found, values=values, features=values)
    _, colors = drawn.attribution_figure(long).data
    assert np.shape(colors.z) == (80, 750)
    assert np.sum(colors.z) == pytest.approx(values.sum(), rel=1e-3)


def test_starting_the_app_loads_no_heavy_library():
    heavy = "{'captum', 'matplotlib', 'umap', 'numba'}"
    lines = (
        "import sys, app; from mowe import ui",
        "from fakes import FakeAssistant",
        "ui.build_app(FakeAssistant())",
        f"print(sorted({heavy} & set(sys.modules)))",
    )
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_the_example_of_the_page_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_tone(tmp_path / "clip.wav", 1.2)
    run_example("What drives a decision", steps="5")
    assert "adds up: True" in capsys.readouterr().out
    made = {path.name for path in tmp_path.iterdir()}
    assert {"drivers.html", "check.html", "liked.html", "strongest.wav", "liked.wav"} <= made

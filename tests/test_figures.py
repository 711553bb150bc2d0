"""Figures and their tables: pure functions of an answer's JSON and of samples."""

import base64
import itertools

import numpy as np
import pytest

from mowe.analysis.palette import STYLES, encoder_styles
from mowe.analysis.routing.answer_figures import (
    HEARD_COLUMNS,
    ROUTING_COLUMNS,
    audio_picture,
    heard_figure,
    heard_rows,
    router_chart,
    routing_rows,
)
from mowe.presets import PRESETS

RATE = 16_000  # Hz
POOL = ("whisper-tiny.en", "speaker", "sound")


def window(start, end, dependent, chosen, independent=(0.5, 0.3, 0.2), recording=0):
    return {
        "recording": recording,
        "start": start,
        "end": end,
        "independent": dict(zip(POOL, independent, strict=True)) if independent else {},
        "dependent": dict(zip(POOL, dependent, strict=True)) if dependent else {},
        "chosen": list(chosen),
        "entropy": 1.0,
        "margin": 0.2,
    }


def tone(seconds, hertz=1000.0, amplitude=0.5):
    times = np.arange(int(seconds * RATE)) / RATE
    return (amplitude * np.sin(2 * np.pi * hertz * times)).astype(np.float32)


def numbers(value):
    """The values of a figure's array, whether plain or packed."""
    if isinstance(value, dict):
        return np.frombuffer(base64.b64decode(value["bdata"]), dtype=value["dtype"])
    return np.asarray(value)


def test_the_chart_has_one_trace_per_encoder_and_one_bar_per_router():
    chart = router_chart([window(0, 10, (0.1, 0.7, 0.2), ["speaker", "whisper-tiny.en"])])
    assert [trace.name for trace in chart.data] == [
        "whisper-tiny.en (ran)",
        "speaker (ran)",
        "sound",
    ]
    assert [list(trace.y) for trace in chart.data] == [[0.5, 0.1], [0.3, 0.7], [0.2, 0.2]]


def test_several_windows_are_averaged_by_their_length():
    windows = [window(0, 30, (0.8, 0.1, 0.1), []), window(30, 40, (0.4, 0.1, 0.5), [])]
    chart = router_chart(windows)
    assert [trace.y[1] for trace in chart.data] == pytest.approx([0.7, 0.1, 0.2])


def test_a_router_that_does_not_exist_gets_no_bars():
    chart = router_chart([window(0, 5, (0.1, 0.7, 0.2), ["speaker"], independent=None)])
    assert {tuple(trace.x) for trace in chart.data} == {("Data-dependent",)}


@pytest.mark.parametrize("windows", [[], [window(0, 5, None, [], independent=None)]])
def test_a_chart_without_routers_is_empty(windows):
    assert len(router_chart(windows).data) == 0
    assert routing_rows(windows) == []


def test_the_routing_table_says_what_the_chart_shows():
    windows = [window(0, 30, (0.8, 0.1, 0.1), ["sound"]), window(30, 40, (0.4, 0.1, 0.5), [])]
    rows = routing_rows(windows)
    assert len(rows) == len(windows) * len(POOL)
    assert all(len(row) == len(ROUTING_COLUMNS) for row in rows)
    assert rows[2] == ["0–30", "sound", 0.2, 0.1, "yes"]
    assert rows[5] == ["30–40", "sound", 0.2, 0.5, ""]


def test_figures_have_no_background_of_their_own():
    for figure in (
        router_chart([window(0, 5, (0.1, 0.7, 0.2), [])]),
        heard_figure(audio_picture(tone(2))),
    ):
        assert figure.layout.paper_bgcolor == figure.layout.plot_bgcolor == "rgba(0,0,0,0)"


def test_waveform_and_spectrogram_share_a_time_axis_in_seconds():
    figure = heard_figure(audio_picture(tone(3)))
    waveform, spectrogram = figure.data
    assert figure.layout.xaxis.matches == "x2"
    assert tuple(figure.layout.xaxis2.range) == (0, 3)
    for trace in (waveform, spectrogram):
        times = numbers(trace.x)
        assert times.min() < 0.05
        assert 2.95 < times.max() < 3.0


def test_the_waveform_reaches_the_peak():
    waveform = heard_figure(audio_picture(tone(3, amplitude=0.4))).data[0]
    assert numbers(waveform.y).max() == pytest.approx(0.4, abs=0.01)
    assert numbers(waveform.y).min() == pytest.approx(-0.4, abs=0.01)


@pytest.mark.parametrize("hertz", [500, 1000, 2000, 4000])
def test_a_tone_lies_at_its_label_on_the_spectrogram(hertz):
    figure = heard_figure(audio_picture(tone(1, hertz=hertz)))
    loudest = np.asarray(figure.data[1].z).mean(axis=1).argmax()
    axis = figure.layout.yaxis2
    label = f"{hertz / 1000:g}k" if hertz >= 1000 else str(hertz)
    assert loudest == pytest.approx(axis.tickvals[axis.ticktext.index(label)], abs=1)


def test_a_long_recording_is_thinned_and_a_click_in_it_stays():
    samples = np.zeros(RATE * 150, dtype=np.float32)
    samples[RATE * 100] = 1.0
    waveform, spectrogram = heard_figure(audio_picture(samples)).data
    picture = np.asarray(spectrogram.z)
    assert picture.shape[1] <= 800
    column = picture.max(axis=0).argmax()
    assert numbers(spectrogram.x)[column] == pytest.approx(100, abs=0.4)
    assert numbers(waveform.y).max() == 1.0


def test_several_windows_add_a_row_of_routing_over_time():
    windows = [window(0, 2, (0.8, 0.1, 0.1), []), window(2, 3, (0.4, 0.1, 0.5), [])]
    steps = heard_figure(audio_picture(tone(3)), windows).data[2:]
    assert [step.name for step in steps] == list(POOL)
    assert list(steps[0].x) == [0, 2, 3]
    assert list(steps[0].y) == [0.8, 0.4, 0.4]
    assert np.sum([step.y for step in steps], axis=0) == pytest.approx([1, 1, 1])


def test_the_table_of_the_picture_has_level_and_band_over_time():
    rows = heard_rows(
        audio_picture(np.concatenate([tone(1, 500, 0.5), np.zeros(RATE, dtype=np.float32)]))
    )
    assert all(len(row) == len(HEARD_COLUMNS) for row in rows)
    loud, silent = rows
    assert loud[:2] == [0, 1]
    assert loud[2] == pytest.approx(-9, abs=0.1)  # 0.5 / sqrt(2)
    assert loud[3] == pytest.approx(-6, abs=0.1)
    assert loud[4] == pytest.approx(500, abs=40)
    assert silent[2:] == [-120, -120, 0]


def test_the_table_of_an_hour_stays_short():
    assert len(heard_rows(audio_picture(np.zeros(RATE * 60, dtype=np.float32)))) == 20


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_encoders_of_a_preset_all_look_different(name):
    styles = encoder_styles(PRESETS[name].encoder_names)
    assert len(set(styles.values())) == len(styles)


def test_a_known_encoder_looks_the_same_in_every_pool():
    assert encoder_styles(["sound"])["sound"] == encoder_styles(["a", "b", "sound"])["sound"]


def test_eight_unknown_encoders_all_look_different():
    styles = encoder_styles([f"encoder-{number}" for number in range(8)])
    assert len(set(styles.values())) == 8


def test_a_ninth_encoder_still_gets_a_style():
    assert len(encoder_styles([f"encoder-{number}" for number in range(9)])) == 9


def test_no_two_styles_share_a_colour_a_pattern_or_a_marker():
    for one, other in itertools.combinations(STYLES, 2):
        assert not any(mine == yours for mine, yours in zip(one, other, strict=True))

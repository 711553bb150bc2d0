"""Several clips side by side: numbers worked out by hand, files, charts, and the tab's handlers."""

import io
import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fakes import FakeAssistant
from serving import write_tone
from snippets import run_example

from mowe.__main__ import main
from mowe.analysis.routing import comparison
from mowe.analysis.routing.answer_figures import audio_picture
from mowe.analysis.routing.comparison_figures import changes, comparison_chart, routing_timeline
from mowe.assistant import WindowRouting, load
from mowe.audio import AudioLimits, load_audio
from mowe.ui.routing.handlers import MAX_CLIPS, Results, RoutingEvents, read_clips

POOL = ("whisper-tiny.en", "sound")
EVIL = "<img src=x onerror=document.title='taken'>.wav"


@pytest.fixture(scope="module")
def tiny():
    return load("tiny-random", device="cpu", untrained=True)


def noise(seconds, seed=0, name=None):
    samples = 0.1 * np.random.default_rng(seed).standard_normal(round(16_000 * seconds))
    return load_audio((samples.astype(np.float32), 16_000), name=name or f"noise{seed}.wav")


def window(start, end, dependent, chosen=(), entropy=0.5, margin=0.1, independent=(0.5, 0.5)):
    return WindowRouting(
        recording=0,
        start=start,
        end=end,
        independent=dict(zip(POOL, independent, strict=True)) if independent else {},
        dependent=dict(zip(POOL, dependent, strict=True)) if dependent else {},
        chosen=tuple(chosen),
        entropy=entropy,
        margin=margin,
    )


def answer(*windows, name="clip.wav"):
    """What a mixture would say about one clip, with routing made by hand."""
    (found,) = FakeAssistant().route_all([noise(1, name=name)])
    return replace(found, windows=windows)


def shown(update):
    return dict(zip(Results._fields, update, strict=True))


def rows_of(update):
    return update["table"].value["data"]


def test_windows_count_by_their_length():
    found = comparison.dependent_router(
        answer(
            window(0, 30, (0.9, 0.1), entropy=0.2, margin=0.8),
            window(30, 40, (0.1, 0.9), entropy=0.6, margin=0.4),
        )
    )
    assert found.probabilities == pytest.approx({"whisper-tiny.en": 0.7, "sound": 0.3})
    assert found.entropy == pytest.approx(0.3)
    assert found.margin == pytest.approx(0.7)
    assert found.likeliest == "whisper-tiny.en"


def test_the_shared_router_has_its_own_entropy_and_margin():
    shared = comparison.shared_router([answer(window(0, 5, (1, 0), independent=(0.75, 0.25)))])
    by_hand = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert shared.entropy == pytest.approx(by_hand)
    assert shared.margin == pytest.approx(0.5)
    assert comparison.shared_router([answer(window(0, 5, (1, 0), independent=None))]) is None


def test_the_table_has_the_shared_router_once_and_a_row_per_clip_and_window():
    first = answer(
        window(0, 30, (0.9, 0.1), ["sound"]), window(30, 40, (0.123456, 0.876544)), name="a.wav"
    )
    second = answer(window(0, 2, (0.2, 0.8), POOL, entropy=0.5004, margin=0.6), name="b.wav")
    rows = comparison.comparison_rows([first, second], POOL)
    assert all(len(row) == len(comparison.comparison_columns(POOL)) for row in rows)
    assert rows == [
        ["every clip", "data-independent", "any", 0.5, 0.5, POOL[0], 0.693, 0.0],
        ["1. a.wav", "data-dependent", "0–30", 0.9, 0.1, "sound", 0.5, 0.1],
        ["1. a.wav", "data-dependent", "30–40", 0.123, 0.877, "", 0.5, 0.1],
        ["2. b.wav", "data-dependent", "0–2", 0.2, 0.8, "whisper-tiny.en + sound", 0.5, 0.6],
    ]


@pytest.mark.parametrize(
    ("leaders", "expected"),
    [
        ([(0.9, 0.1)], "The clip goes to whisper-tiny.en"),
        ([(0.9, 0.1), (0.6, 0.4)], "All 2 clips go to whisper-tiny.en"),
        ([(0.9, 0.1), (0.1, 0.9)], "2 clips go to 2 encoders: whisper-tiny.en, sound"),
        ([None], "No router looks at the clips"),
    ],
)
def test_the_finding_says_whether_clips_are_routed_alike(leaders, expected):
    answers = [answer(window(0, 2, one)) for one in leaders]
    assert comparison.finding(answers) == expected
    title = comparison_chart(answers).layout.title.text
    assert title.replace("<br>", " ") == expected


def test_words_say_entropy_and_margin_of_both_routers():
    lines = comparison.sentences([answer(window(0, 2, (0.9, 0.1), ["sound"], 0.325, 0.8))])
    assert lines == [
        "Data-independent, every clip: whisper-tiny.en 50%, entropy 0.69 of at most 0.69 nats,"
        " margin 0.00.",
        "1. clip.wav: whisper-tiny.en 90%, entropy 0.33 of at most 0.69 nats, margin 0.80;"
        " chosen: sound.",
    ]


def test_the_files_hold_every_digit(tiny):
    answers = tiny.route_all([noise(2, 0, "a,b.wav"), noise(3, 1)], window_seconds=1.0)
    table = pd.read_csv(io.StringIO(comparison.routing_csv(answers)))
    assert list(table["clip"]) == [1, 1, 2, 2, 2]
    assert set(table["file"]) == {"a,b.wav", "noise1.wav"}
    windows = [one for answer in answers for one in answer.windows]
    for (_, row), one in zip(table.iterrows(), windows, strict=True):
        assert (row["start"], row["end"]) == (one.start, one.end)
        assert (row["entropy"], row["margin"]) == (one.entropy, one.margin)
        for name in tiny.encoder_names:
            assert row[f"independent_{name}"] == one.independent[name]
            assert row[f"dependent_{name}"] == one.dependent[name]
    saved = json.loads(comparison.routing_json(answers))
    assert saved["format"] == "mowe-routing-1"
    expected = [one.to_dict() for one in answers]
    assert saved["clips"] == [{k: one[k] for k in one if k != "embedding"} for one in expected]


def test_the_chart_has_a_trace_per_encoder_and_a_group_per_clip():
    clips = [
        answer(window(0, 2, (0.9, 0.1), [POOL[0]])),
        answer(window(0, 2, (0.2, 0.8), [POOL[1]])),
    ]
    chart = comparison_chart(clips)
    assert [trace.name for trace in chart.data] == list(POOL)
    assert [list(trace.y) for trace in chart.data] == [[0.5, 0.9, 0.2], [0.5, 0.1, 0.8]]
    assert [list(trace.marker.line.width) for trace in chart.data] == [[0, 2, 0], [0, 0, 2]]
    assert [trace.x for trace in chart.data] == [("all", "1. clip.wav", "2. clip.wav")] * 2


def test_without_a_shared_router_there_is_no_group_for_it():
    chart = comparison_chart([answer(window(0, 2, (0.9, 0.1), independent=None))])
    assert [list(trace.y) for trace in chart.data] == [[0.9], [0.1]]


def test_a_file_name_is_no_markup_in_a_chart():
    chart = comparison_chart([answer(window(0, 2, (0.9, 0.1)), name=EVIL)])
    assert chart.data[0].x[1].startswith("1. &lt;img")
    assert "<" not in "".join(chart.data[0].x)


def test_six_long_names_fit_under_the_bars_and_stay_apart():
    answers = [answer(window(0, 2, (0.9, 0.1)), name="the same long name.wav")] * 6
    labels = comparison_chart(answers).data[0].x
    assert len(set(labels)) == 7
    assert sum(map(len, labels)) <= 42


def test_charts_can_be_saved_as_png():
    chart = comparison_chart([answer(window(0, 2, (0.9, 0.1)))])
    assert not any("image" in name.lower() for name in chart.layout.modebar.remove)


def test_the_timeline_is_drawn_even_for_one_window_on_the_axis_of_the_sound():
    recording = noise(3)
    found = answer(window(0, 3, (0.9, 0.1)))
    figure = routing_timeline(audio_picture(recording.at(16_000)), found)
    steps = figure.data[2:]
    assert [step.name for step in steps] == list(POOL)
    assert list(steps[0].x) == [0, 3]
    assert figure.layout.xaxis.matches == figure.layout.xaxis2.matches == "x3"
    assert tuple(figure.layout.xaxis3.range) == (0, 3)


def test_the_timelines_title_counts_changes_of_the_lead():
    swings = [window(n, n + 1, (0.9, 0.1) if n % 2 else (0.1, 0.9)) for n in range(4)]
    assert changes(answer(*swings)) == "The lead changes 3 times in 4 windows"
    assert changes(answer(*swings[:2])) == "The lead changes 1 time in 2 windows"
    assert changes(answer(swings[0])) == "sound leads throughout (1 window)"
    assert changes(answer(window(0, 1, None, independent=None))) == ""


def test_shorter_windows_hear_their_own_part_and_nothing_else(tiny):
    recording = noise(3)
    (found,) = tiny.route_all([recording], window_seconds=1.0)
    assert [(one.start, one.end) for one in found.windows] == [(0, 1), (1, 2), (2, 3)]
    assert "cut into 3 windows of 1 s" in found.audio[0]["sentence"]
    (alone,) = tiny.route(recording.window(1, 2)).windows
    assert found.windows[1].dependent == pytest.approx(alone.dependent, abs=1e-4)
    assert found.windows[0].dependent != found.windows[1].dependent


def test_without_a_window_routing_is_what_it_was(tiny):
    recordings = [noise(2), noise(40, 1)]
    default = [one.windows for one in tiny.route_all(recordings)]
    assert [(one.start, one.end) for one in default[1]] == [(0, 30), (30, 40)]
    longest = tiny.route_all(recordings, window_seconds=30.0)
    assert [one.windows for one in longest] == default
    assert tiny.route(recordings[0]).windows == tiny.ask(recordings[:1], "What?").windows


def test_windows_longer_than_answers_use_are_refused(tiny):
    with pytest.raises(ValueError, match=r"must be 30 or less, got 31"):
        tiny.route_all([noise(2)], window_seconds=31)
    with pytest.raises(ValueError, match="longer than 0.5 s, got 0.5"):
        tiny.route_all([noise(2)], window_seconds=0.5)


def test_the_assistant_the_command_line_and_the_tab_agree(tiny, tmp_path, capsys):
    path = write_tone(tmp_path / "tone.wav", 2.0)
    (routed,) = tiny.route(load_audio(path)).windows
    assert main(["route", str(path), "--json"], assistant_factory=lambda name: tiny) == 0
    (printed,) = json.loads(capsys.readouterr().out)["windows"]
    assert printed["dependent"] == routed.dependent
    assert printed["independent"] == routed.independent
    (update,) = RoutingEvents(tiny).show([str(path)], 30.0, None)
    shared, row = rows_of(shown(update))
    names, rounded = tiny.encoder_names, lambda shares: [round(shares[one], 3) for one in names]
    assert shared[3:6] == rounded(routed.independent)
    assert row[3:6] == rounded(routed.dependent)
    assert row[6] == " + ".join(printed["chosen"])
    assert row[7:] == [round(routed.entropy, 3), round(routed.margin, 3)]


def test_clips_that_cannot_be_compared_are_named_and_the_others_stay(tmp_path):
    good = [str(write_tone(tmp_path / f"{n}.wav", 1.0)) for n in range(MAX_CLIPS + 1)]
    words = tmp_path / "words.wav"
    words.write_text("these are words " * 40)
    long = str(write_tone(tmp_path / "long.wav", 3.0))
    recordings, left_out = read_clips([str(words), long, *good], AudioLimits(max_seconds=2.0))
    assert [one.name for one in recordings] == [f"{n}.wav" for n in range(MAX_CLIPS)]
    text, duration, seventh = left_out
    assert text.startswith("Left out: words.wav holds text")
    assert duration == "Left out: long.wav lasts 3 s; at most 2 s is allowed."
    assert seventh == "6.wav is left out: at most 6 clips are compared."
    assert not any("\n" in line for line in left_out)


def test_more_than_an_hour_together_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr("mowe.ui.routing.handlers.MAX_AUDIO_SECONDS", 3.5)
    paths = [str(write_tone(tmp_path / f"{n}.wav", s)) for n, s in enumerate((2.0, 2.0, 1.0))]
    recordings, left_out = read_clips(paths, AudioLimits())
    assert [one.name for one in recordings] == ["0.wav", "2.wav"]
    assert left_out[0].startswith("1.wav is left out: at most")


def test_when_no_clip_can_be_used_only_the_reason_is_shown(tmp_path):
    bad = tmp_path / "bad.wav"
    bad.write_text("words " * 50)
    (update,) = RoutingEvents(FakeAssistant()).show([str(bad)], 30.0, None)
    found = shown(update)
    assert found["left_out"].value.startswith("Left out: bad.wav holds text")
    assert found["column"].visible is False
    assert found["comparison"] is None


def test_a_long_table_is_cut_on_the_page_and_whole_in_the_file(tmp_path):
    path = str(write_tone(tmp_path / "long.wav", 250.0))
    (update,) = RoutingEvents(FakeAssistant()).show([path], 1.0, 0)
    found = shown(update)
    assert len(rows_of(found)) == 200
    assert found["words"].endswith("The table shows 200 of 251 rows; the CSV has all.")
    assert len(pd.read_csv(found["csv"].value["path"])) == 250


def test_the_documented_example_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_tone(tmp_path / "clip.wav", 2.0)
    write_tone(tmp_path / "other.wav", 3.0)
    run_example("Comparing clips")
    assert capsys.readouterr().out.startswith("Data-independent, every clip: ")
    assert len(pd.read_csv("routing.csv")) == 5
    assert (tmp_path / "timeline.html").exists()

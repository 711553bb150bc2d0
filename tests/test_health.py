"""Health checks against values worked out by hand, and the training log they read."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from snippets import run_example

from mowe.__main__ import main
from mowe.analysis.health import figures as charts
from mowe.analysis.health.checks import (
    LOAD_CLIP,
    LOAD_LOG,
    LOAD_RECORDS,
    LOAD_WORTH,
    MIN_BEFORE,
    Check,
    Pool,
    Thresholds,
    active_checks,
    collapse_checks,
    consistency_checks,
    find_spikes,
    health_checks,
    loss_checks,
    measure_pool,
    memory_check,
)
from mowe.analysis.health.training_log import LoggedRun, read_log
from mowe.analysis.records import Records
from mowe.analysis.worth.perturbation import UNCHANGED, Compared
from mowe.errors import ConfigError, LogError
from mowe.model import count_parameters
from mowe.training.logs import TrainingLog

ROOT = Path(__file__).parents[1]
EVIL = "<img src=x onerror=alert(1)>"


def records(choices: str, chosen: list[list[str]] | None = None) -> Records:
    """One window per letter, its encoder chosen with a probability of 0.8."""
    table = pd.DataFrame(
        {
            "dependent": [{"a": [0.8, 0.2], "b": [0.2, 0.8]}[one] for one in choices],
            "independent": [[0.6, 0.4]] * len(choices),
            "choice": list(choices),
            "chosen": chosen or [[one] for one in choices],
        }
    )
    return Records(table, ("a", "b"), "test")


def run(*losses: float, stage: str = "mixture", **columns: list[float]) -> LoggedRun:
    table = pd.DataFrame({"stage": stage, "step": range(len(losses)), "loss": losses})
    for name in ("effective_encoders", "memory_mb", "gpu_memory_mb"):
        table[name] = columns.get(name, math.nan)
    return LoggedRun("metrics.jsonl", table)


def spikes(found: LoggedRun, **limits: float) -> list[int]:
    steps = find_spikes(found, Thresholds(**limits))
    return steps[steps["spike"]]["step"].tolist()


def by_name(checks: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


def compared(kept: str, answers: str = "") -> list[Compared]:
    """The unchanged recording and a change per letter, `y` where choice (or answer) is the same."""
    first = Compared(UNCHANGED, "a", {"a": 0.8, "b": 0.2}, 0.0, True)
    return [first] + [
        Compared(
            f"change {number}",
            "a" if letter == "y" else "b",
            {"a": 0.8, "b": 0.2} if letter == "y" else {"a": 0.2, "b": 0.8},
            0.01 if letter == "y" else 0.4,
            letter == "y",
            answer="words" if answers else None,
            same_answer=answers[number] == "y" if answers else None,
        )
        for number, letter in enumerate(kept)
    ]


def test_shared_choices_by_hand():
    found = by_name(collapse_checks(records("aaab")))
    # exp(-(3/4 log 3/4 + 1/4 log 1/4)) = 4 / 3^(3/4)
    assert found["Spread of the choices"].value == pytest.approx(4 / 3**0.75)
    # mean probability (0.65, 0.35)
    mean = math.exp(-(0.65 * math.log(0.65) + 0.35 * math.log(0.35)))
    assert found["Spread of the probabilities"].value == pytest.approx(mean)
    assert found["Largest share"].value == 0.75
    assert [check.passed for check in found.values()] == [True] * 3
    strict = collapse_checks(records("aaab"), Thresholds(min_effective=1.8, max_share=0.7))
    assert [check.passed for check in strict] == [False, True, False]


def test_one_encoder_for_everything_is_a_collapse():
    checks = collapse_checks(records("aaaaa"))
    assert [check.passed for check in checks] == [False, True, False]
    assert checks[0].value == pytest.approx(1.0)
    assert "a has 100% of the choices" in checks[2].sentence


def test_nothing_to_judge_says_what_to_load():
    checks = health_checks(None, None)
    assert {check.passed for check in checks} == {None}
    assert {check.sentence for check in checks} == {LOAD_RECORDS, LOAD_LOG, LOAD_WORTH}
    assert consistency_checks([])[0].sentence == LOAD_CLIP
    assert consistency_checks(compared(""))[0].passed is None
    assert {check.passed for check in collapse_checks(records("a"))} == {None}
    without = records("aab")
    without.table["dependent"] = [[]] * 3
    assert "no data-dependent router" in collapse_checks(without)[0].sentence
    assert {check.passed for check in active_checks(None)} == {None}


def test_a_spike_is_found_where_it_is_and_nowhere_in_a_smooth_loss():
    smooth = 3 * np.exp(-np.arange(200) / 60) + 0.5
    assert spikes(run(*smooth)) == []
    noisy = smooth + np.random.default_rng(0).normal(0, 0.05, 200)
    assert spikes(run(*noisy)) == []
    noisy[140] += 2
    assert spikes(run(*noisy)) == [140]
    assert spikes(run(*noisy), spike_scatters=200) == []


def test_the_bound_of_a_spike_by_hand():
    # 1 to 5: median 3, absolute deviations 2 1 0 1 2, so their median is 1
    assert spikes(run(1, 2, 3, 4, 5, 7.99), spike_scatters=5) == []
    assert spikes(run(1, 2, 3, 4, 5, 8.01), spike_scatters=5) == [5]
    steps = find_spikes(run(1, 2, 3, 4, 5, 8), Thresholds(spike_scatters=5))
    assert steps["bound"].tolist()[MIN_BEFORE] == 8
    assert steps["bound"].isna().tolist() == [True] * MIN_BEFORE + [False]
    # only the last five count: 4 4 4 4 4 have no scatter, 2 % of 4 stands in
    late = find_spikes(run(9, 9, 4, 4, 4, 4, 4, 4), Thresholds(spike_window=5))
    assert late["bound"].tolist()[-1] == pytest.approx(4 + 8 * 0.08)


def test_stages_are_judged_apart():
    both = pd.concat(
        [run(*[0.1] * 10, stage="align").steps, run(*[5.0] * 10).steps], ignore_index=True
    )
    assert spikes(LoggedRun("log", both)) == []


def test_a_loss_that_is_not_finite_always_fails():
    for bad in (math.nan, math.inf):
        broken = run(*[1.0] * 10, bad, *[1.0] * 5)
        finite, spiky = loss_checks(broken, Thresholds(spikes_allowed=99, spike_scatters=1000))
        assert (finite.passed, finite.value, spiky.passed) == (False, 1.0, True)
        assert "first at step 10 of the stage mixture" in finite.sentence
        assert spikes(broken) == [10]
        assert charts.loss_rows(find_spikes(broken))[10][-1] == "yes"


def test_some_spikes_can_be_allowed():
    losses = [1.0, 1.1] * 10
    losses[15] = 9.0
    assert [check.passed for check in loss_checks(run(*losses))] == [True, False]
    allowed = loss_checks(run(*losses), Thresholds(spikes_allowed=1))
    assert allowed[1].passed
    assert "1 spike in 15 judged steps, first at step 15" in allowed[1].sentence
    assert loss_checks(run(1, 2, 3))[1].passed is None  # too few to tell


def test_memory_that_grows_late_fails_and_warming_up_does_not():
    warm = run(*[1.0] * 8, memory_mb=[100, 400, 800, 1000, 1000, 1000, 1000, 1050])
    assert memory_check(warm).value == pytest.approx(0.05)
    assert memory_check(warm).passed
    assert not memory_check(warm, Thresholds(max_growth=0.04)).passed
    leak = run(*[1.0] * 8, memory_mb=[float(100 * number) for number in range(1, 9)])
    assert memory_check(leak).value == pytest.approx(800 / 500 - 1)
    again = run(*[1.0] * 16, memory_mb=[1000.0] * 8 + [500.0] * 8)  # a new process
    assert memory_check(again).value == 0
    gpu = run(*[1.0] * 8, memory_mb=[10.0] * 8, gpu_memory_mb=[1, 1, 1, 1, 1, 2, 2, 2])
    assert "GPU memory grew by 100%" in memory_check(gpu).sentence
    assert memory_check(run(*[1.0] * 8)).passed is None


def test_the_share_of_a_pool_that_runs_by_hand():
    pool = Pool({"a": 6_000_000, "b": 3_000_000, "c": 1_000_000}, 9_000_000, 2, 99_000_000)
    share, per_window = active_checks(pool, records("ab", [["a"], ["a", "b"]]))
    assert (share.passed, share.value) == (False, 0.9)
    assert "2 of 3 encoders run, 9.0 of 10.0 million parameters (90%)" in share.sentence
    assert (per_window.passed, per_window.value) == (True, 2.0)
    assert "1 run in 50%, 2 run in 50% of 2 windows" in per_window.sentence
    loose = Thresholds(max_active_share=0.9, most_encoders=1)
    assert [check.passed for check in active_checks(pool, records("b", [["a", "b"]]), loose)] == [
        True,
        False,
    ]


def test_a_real_pool_is_measured(tiny_model):
    pool, counts = measure_pool(tiny_model), count_parameters(tiny_model)
    assert tuple(pool.encoders) == tiny_model.encoder_names
    assert pool.total == counts.trained + counts.frozen
    largest = sorted(pool.encoders.values())[-pool.most :]
    assert pool.active == sum(largest)
    assert pool.most == tiny_model.routers * tiny_model.config.routing.top_k


def test_shares_of_changes_by_hand():
    (choice,) = consistency_checks(compared("yyyyn"))
    assert (choice.passed, choice.value) == (True, 0.8)
    assert "4 of 5 changes (80%) keep the choice of a" in choice.sentence
    assert "The probabilities move by more than 0.1 nats in 1." in choice.sentence
    assert not consistency_checks(compared("yyynn"))[0].passed
    both = consistency_checks(compared("yyyy", "ynnn"))
    assert [check.passed for check in both] == [True, False]
    assert both[1].value == 0.25


@pytest.mark.parametrize(
    "limits",
    [{"max_share": 1.1}, {"spike_window": 2}, {"min_effective": None}, {"max_growth": math.nan}],
)
def test_thresholds_out_of_range_are_refused(limits):
    (name,) = limits
    with pytest.raises(ConfigError, match=name.replace("_", " ") + " must be a number from"):
        Thresholds(**limits)


def test_a_log_is_read_as_the_training_writes_it(tmp_path):
    log = TrainingLog(tmp_path, ("a", "b"))
    log.write("align", 0, loss=3.0, usage=[0.5, 0.5])
    log.write("align", 9, dev_reading_wer=0.5, heard="words")
    for step, loss in ((0, 2.0), (10, 1.0), (20, 9.0)):
        log.write("mixture", step, loss=loss, usage=[0.75, 0.25])
    log.write("mixture", 20, loss=0.5, usage=[1.0, 0.0])  # taken up again: the later counts
    found = read_log(tmp_path / "metrics.jsonl")
    assert found.stages == ["align", "mixture"]
    assert found.steps["loss"].tolist() == [3.0, 2.0, 1.0, 0.5]
    assert found.stage("mixture")["step"].tolist() == [0, 10, 20]
    skewed = 4 / 3**0.75
    effective = found.steps["effective_encoders"].tolist()
    assert effective == pytest.approx([2, skewed, skewed, 1])
    assert (found.steps["memory_mb"] > 10).all()


def test_numbers_that_are_not_finite_can_be_read(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"stage": "mixture", "step": 0, "loss": NaN}\n\n')
    assert not loss_checks(read_log(path))[0].passed


GOOD = '{"stage": "mixture", "step": 0, "loss": 1.0}\n'


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "has no line with a loss"),
        (GOOD + "loss=1\n", "metrics.jsonl line 2 is not JSON"),
        (GOOD + "[" * 100_000, "metrics.jsonl line 2 is not JSON that can be read"),
        (GOOD + "[1, 2]\n", "metrics.jsonl line 2 must be an object, found list"),
        ('{"loss": 1, "step": 3}\n', "metrics.jsonl line 1 has no stage"),
        ('{"loss": 1, "step": 3, "stage": "\\u001b[2J"}\n', "metrics.jsonl line 1 has no stage"),
        ('{"loss": 1, "step": 1.5, "stage": "a"}\n', "metrics.jsonl line 1 has no step"),
        ('{"loss": 1, "step": true, "stage": "a"}\n', "metrics.jsonl line 1 has no step"),
        (GOOD + '{"loss": "low", "step": 3, "stage": "a"}', "metrics.jsonl line 2: loss must"),
        ('{"loss": null, "step": 3, "stage": "a"}', "metrics.jsonl line 1: loss must be a num"),
        ('{"loss": 1' + "0" * 400 + ', "step": 3, "stage": "a"}', "loss must be a number"),
        ('{"stage": "a", "step": 0, "dev": 1}\n', "no line with a loss"),
        ("".join(GOOD.replace("mixture", str(n)) for n in range(9)), "9 stages, at most 8"),
    ],
)  # fmt: skip
def test_a_file_of_another_format_is_one_sentence(tmp_path, text, found):
    path = tmp_path / "metrics.jsonl"
    path.write_text(text)
    with pytest.raises(LogError, match=re.escape(found)) as error:
        read_log(path)
    assert "\n" not in str(error.value)


def test_files_that_hold_no_text_are_one_sentence(tmp_path):
    (tmp_path / "sound.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(LogError, match=r"sound\.jsonl is not text in UTF-8"):
        read_log(tmp_path / "sound.jsonl")
    with pytest.raises(LogError, match=r"none\.jsonl cannot be read: No such file"):
        read_log(tmp_path / "none.jsonl")


def test_the_chart_of_changes_marks_flips_and_the_line():
    rows = compared("yyn")
    figure = charts.consistency_chart(rows, 0.1)
    crosses = figure.data[-1]
    assert (list(crosses.y), list(crosses.x)) == (["change 2"], [0.4])
    assert sum(len(trace.x) for trace in figure.data[:-1]) == 3
    assert figure.layout.shapes[0].x0 == 0.1
    assert figure.layout.title.text.startswith("2 of 3 changes keep the choice")
    table = charts.consistency_rows(rows)
    assert [len(row) for row in table] == [len(charts.CHANGE_COLUMNS)] * 4
    assert table[3][:4] == ["change 2", "b", 0.4, "no"]


def test_the_chart_of_losses_marks_spikes():
    losses = [1.0, 1.1] * 10
    losses[15] = 9.0
    figure = charts.loss_chart(find_spikes(run(*losses)))
    assert figure.layout.title.text == "1 spike in 20 logged steps"
    line, bound, spike = figure.data
    assert (list(spike.x), list(spike.y)) == ([15], [9.0])
    assert len(line.x) == len(bound.x) == 20


def test_long_logs_are_thinned_but_keep_their_spikes():
    losses = [1.0, 1.1] * 2000
    losses[1501] = 9.0
    drawn = charts.thinned(find_spikes(run(*losses)))
    assert len(drawn) == charts.MAX_POINTS + 1
    assert 1501 in drawn["step"].tolist()


def test_names_from_files_are_escaped_in_charts():
    steps = find_spikes(
        run(*[1.0] * 9, stage=EVIL, memory_mb=[1.0] * 9, effective_encoders=[2] * 9)
    )
    for figure in (
        charts.loss_chart(steps), charts.memory_chart(steps), charts.encoders_chart(steps, 1.5),
    ):  # fmt: skip
        text = figure.to_json()
        assert "<img" not in json.loads(text).__repr__()
        assert "&lt;img" in json.loads(text).__repr__()


def test_the_command_prints_a_line_per_check_and_fails_with_one(tmp_path, capsys):
    log = TrainingLog(tmp_path)
    for step in range(12):
        log.write("mixture", step, loss=9.0 if step == 10 else 1.0)
    path = str(tmp_path / "metrics.jsonl")
    capsys.readouterr()
    assert main(["health", "--log", path]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(health_checks(None, None))
    (failed,) = [line for line in lines if line.startswith("FAILS")]
    assert "Loss spikes: 1 spike in 7 judged steps, first at step 10" in failed
    assert main(["health", "--log", path, "--spikes-allowed", "1"]) == 0
    capsys.readouterr()
    assert main(["health", "--log", str(ROOT / "README.md")]) == 2
    assert "README.md line 1 is not JSON" in capsys.readouterr().err
    assert main(["health"]) == 2
    assert main(["health", "--log", path, "--spike-window", "1"]) == 2
    assert "spike window must be a number from 5" in capsys.readouterr().err


def test_the_example_of_the_documentation_runs(tmp_path, monkeypatch, capsys):
    from mowe.assistant import load
    from mowe.audio import load_audio
    from mowe.data.records import LabelledClip, RecordsFile

    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(0).normal(0, 0.1, 32_000)
    soundfile.write("clip.wav", noise, 16_000)
    tiny = load("tiny-random", device="cpu", untrained=True)
    file = RecordsFile(Path("records.parquet"), tiny.preset, tiny.encoder_names)
    answer = tiny.route(load_audio("clip.wav"))
    for number in range(3):
        file.add(LabelledClip(Path(f"{number}.wav")), str(number), answer)
    file.close()
    log = TrainingLog(tmp_path)
    for step in range(12):
        log.write("mixture", step, loss=1.0)
    capsys.readouterr()
    run_example("Health")
    printed = capsys.readouterr().out
    assert "fails Spread of the choices 1.00 of" in printed
    assert "passes Loss spikes 0 spikes" in printed
    assert re.search(r"of 13 changes \(\d+%\) keep the choice", printed)
    assert Path("changes.html").stat().st_size > 10_000

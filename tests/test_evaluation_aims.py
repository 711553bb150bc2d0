"""The table of aims: what is reached, what is not, and what was never measured."""

from mowe.evaluation.aims import AIMS, aims_table
from mowe.evaluation.measures import METRICS
from mowe.evaluation.tasks import TASKS


def line(task, source, metric, value):
    return {
        "task": task, "source": source, "metric": metric, "value": value,
        "low": value - 0.1, "high": value + 0.1,
    }  # fmt: skip


RESULT = {
    "summary": [
        line("transcribe", "drascula", "WER", 0.21),
        line("transcribe", "amazon-queen", "WER", 0.3),
        line("emotion", "ravdess", "accuracy", 0.65),
        line("count", "all sources", "accuracy", 0.7499),
    ],
    "baselines": {
        "whisper-tiny.en": [
            line("transcribe", "drascula", "WER", 0.21),
            line("transcribe", "amazon-queen", "WER", 0.1),
        ],
        "noise": [line("count", "all sources", "accuracy", 0.4)],
        "cepstra": [],
    },
    "routing": {
        "chosen_effective_encoders": 2.49,
        "task_and_choice": {"nats": 0.5, "by_chance": 0.01, "p": 0.001},
    },
}


def rows(result):
    table = aims_table(result).splitlines()
    return {row.split(" | ")[0].strip("| "): [c.strip() for c in row.split("|")] for row in table}


def test_aims_are_reached_at_their_value_and_not_below():
    found = rows(RESULT)
    assert found["transcripts, Drascula"][5] == "yes"  # at tiny.en's own value
    assert found["transcripts, game partners"][5] == "no"
    assert found["acted emotion, RAVDESS"][4:6] == ["**0.65** (0.55 to 0.75)", "yes"]
    assert found["how many sounds"][5] == "no"
    assert found["routing: no collapse"][5] == "no"
    assert found["routing: follows the task"][5] == "yes"
    assert "order of sounds" not in found  # not measured


def test_baselines_stand_in_columns_of_their_own():
    header, _, first, *rest = aims_table(RESULT).splitlines()
    assert header.endswith("| reached | whisper-tiny.en | noise |")
    assert first.endswith("| 0.21 |  |")
    assert all(row.count("|") == header.count("|") for row in rest)


def test_without_the_other_decoder_nothing_is_claimed_about_transcripts():
    found = rows(RESULT | {"baselines": {}, "routing": {}})
    assert found["transcripts, Drascula"][5] == "not compared"
    assert "routing: no collapse" not in found


def test_every_aim_names_a_task_and_a_metric_that_exist():
    for aim in AIMS:
        assert aim.metric in METRICS
        assert aim.metric in TASKS[aim.task].metrics

"""Numbers of the analysis library against values worked out by hand or by SciPy."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mowe.__main__ import main
from mowe.analysis import (
    Records,
    effective_encoders,
    router_agreement,
    specialization,
    usage,
)
from mowe.analysis.report import report
from mowe.analysis.routing import specialization_figures as figures
from mowe.data.records import LABELS
from mowe.errors import RecordsError

POOL = ("a", "b")


def records(choices: str, router: str = "dependent", **labels: list[str]) -> Records:
    """One row per letter of `choices`, each chosen with a probability of 0.8."""
    rows = [{"a": [0.8, 0.2], "b": [0.2, 0.8]}[one] for one in choices]
    count = len(rows)
    shared = {"independent": [[0.6, 0.4]] * count, "dependent": rows}
    if router == "none":
        shared = {"independent": [[]] * count, "dependent": [[]] * count}
    table = pd.DataFrame(
        {
            "path": [f"{number}.wav" for number in range(count)],
            "sha256": [str(number) for number in range(count)],
            "clip_start": 0.0,
            "clip_end": np.nan,
            **{name: labels.get(name, [None] * count) for name in LABELS},
            **shared,
            "choice": list(choices),
            "embedding": [[float(number)] for number in range(count)],
        }
    )
    return Records(table, POOL if router != "none" else (), "test")


def test_shares_of_each_value_by_hand():
    found = specialization(records("aaab" + "bb", task=["asr"] * 4 + ["er"] * 2), "task")
    shares = found.shares.set_index(["value", "encoder"])["share"].to_dict()
    assert shares == {("asr", "a"): 0.75, ("asr", "b"): 0.25, ("er", "a"): 0.0, ("er", "b"): 1.0}
    assert found.unit == "recording"
    assert found.shares["recordings"].tolist() == [4, 4, 2, 2]


def test_an_interval_over_recordings_is_that_of_a_binomial():
    found = specialization(records("a" * 10 + "b" * 10, task=["asr"] * 20), "task", draws=4000)
    row = found.shares.iloc[0]
    low, high = stats.binom.ppf([0.025, 0.975], 20, 0.5) / 20
    assert (row["low"], row["high"]) == (
        pytest.approx(low, abs=0.051),
        pytest.approx(high, abs=0.051),
    )


def test_the_bootstrap_draws_speakers_not_their_many_recordings():
    # Two people, ten recordings each: drawing people gives 0, a half or all.
    speakers = ["ann"] * 10 + ["bob"] * 10
    found = specialization(
        records("a" * 10 + "b" * 10, task=["asr"] * 20, speaker=speakers), "task"
    )
    assert found.unit == "speaker"
    assert tuple(found.shares.iloc[0][["low", "high"]]) == (0.0, 1.0)
    alone = specialization(records("aab", task=["asr"] * 3, speaker=["ann"] * 3), "task")
    assert tuple(alone.shares.iloc[0][["low", "high"]]) == (0.0, 1.0)  # one person says nothing


def test_mutual_information_is_the_entropy_where_the_label_decides():
    decided = specialization(records("a" * 20 + "b" * 20, task=["x"] * 20 + ["y"] * 20), "task")
    assert decided.information["nats"] == pytest.approx(math.log(2), abs=1e-5)
    assert decided.information["p"] < 0.01
    chance = specialization(records("ab" * 20, task=["x"] * 20 + ["y"] * 20), "task")
    assert chance.information["nats"] == pytest.approx(0, abs=1e-9)
    assert chance.information["p"] > 0.5
    assert "does not visibly depend" in figures.finding(chance)
    assert "depends on the task: 0.69 nats" in figures.finding(decided)


def test_usage_and_effective_encoders_by_hand():
    some = records("aaab")
    table = usage(some).set_index("encoder")
    assert table["chosen"].tolist() == [0.75, 0.25]
    assert table["dependent"].tolist() == pytest.approx([0.65, 0.35])
    assert table["independent"].tolist() == pytest.approx([0.6, 0.4])
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert effective_encoders(some)["chosen"] == pytest.approx(math.exp(entropy))


def test_routers_agree_where_the_same_encoder_leads():
    # the data-independent router always prefers a
    assert router_agreement(records("aaab")) == {"share": 0.75, "kappa": pytest.approx(0.0)}
    assert router_agreement(records("aa")) == {"share": 1.0, "kappa": 1.0}
    assert router_agreement(records("ab", router="none")) == {}


def test_a_mixture_without_routers_is_told_apart():
    with pytest.raises(RecordsError, match="has no data-dependent router"):
        records("ab", router="none").probabilities()
    with pytest.raises(RecordsError, match="has no router, so there is nothing to report"):
        report(records("ab", router="none"), "r.parquet")


def test_the_heatmap_says_what_its_table_says():
    found = specialization(records("aaabbb", task=["asr"] * 4 + ["<b>er</b>"] * 2), "task")
    chart = figures.specialization_heatmap(found)
    rows = {(row[0], row[1]): row[2] for row in figures.share_rows(found)}
    (heat,) = chart.data
    for y, value in enumerate(heat.y):
        for x, encoder in enumerate(heat.x):
            assert rows[value, encoder] == pytest.approx(heat.z[y][x], abs=5e-4)
    assert chart.layout.title.text.replace("<br>", " ") == figures.finding(found)
    assert list(heat.y) == ["<b>er</b>", "asr"]


def test_usage_bars_are_one_per_encoder_and_group():
    some = records("aaab")
    chart = figures.usage_chart(usage(some), effective_encoders(some))
    assert [bar.name for bar in chart.data] == ["a", "b"]
    assert list(chart.data[0].y) == pytest.approx([0.75, 0.6, 0.65])
    assert chart.layout.title.text.startswith("1.8 of 2 encoders")


def test_a_report_is_whole_and_runs_no_text_of_others(tmp_path):
    evil = "</script><script>alert(1)</script>"
    some = records("aaabbb", task=["asr"] * 4 + [evil] * 2)
    page = report(some, "<img src=x onerror=alert(2)>.parquet")
    assert evil not in page
    assert "<img src=x" not in page
    assert "&lt;img src=x" in page
    assert 'src="http' not in page
    assert page.count("As a table") == 2  # usage, and by task


def test_the_report_command_writes_a_page_or_one_sentence(tmp_path, capsys):
    records, page = tmp_path / "r.parquet", tmp_path / "r.html"
    assert main(["report", str(records), "--out", str(page)]) == 2
    assert f"there is no records {records}" in capsys.readouterr().err
    records.write_text("no table")
    assert main(["report", str(records), "--out", str(page)]) == 2
    assert "r.parquet cannot be read" in capsys.readouterr().err
    assert main(["report", str(records), "--out", "page.pdf"]) == 2
    assert "--out ends in .html, found page.pdf" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [records]

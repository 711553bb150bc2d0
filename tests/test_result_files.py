"""Result files: read whole or refused by one sentence, and their verdicts in words."""

import pytest
from experimenting import comparison, result, write_results

from mowe.errors import ExperimentError
from mowe.experiments.pages import how_made, paper_page
from mowe.experiments.result_files import (
    judged,
    read_folder,
    read_result,
    read_results,
    verdict_sentence,
)


def test_files_come_in_the_order_of_the_experiments_and_tests_last(tmp_path):
    folder = write_results(
        tmp_path / "results",
        **{
            "worth-test": result(split="test"),
            "worth-lm": result(scale="lm"),
            "ways": result(experiment="ways"),
            "worth": result(),
            "another": result(experiment="another"),
        },
    )
    assert list(read_folder(folder).found) == ["worth", "ways", "another", "worth-lm", "worth-test"]
    assert len(read_results(folder)) == 5


def changed(**changes):
    """A result with something else in its first arm."""
    found = result()
    return {**found, "arms": [{**found["arms"][1], **changes}, *found["arms"][1:]]}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"claim": 3', "damaged.json is not JSON"),
        ("[]", "must be an object, found list"),
        ({}, "it lacks experiment"),
        (result(arms=[]), "it has no arms"),
        (result(arms={}), "arms must be a list, found dict"),
        (result(scale="large"), "scale must be fast or lm, found 'large'"),
        (result(claim=None), "claim must be a str, found NoneType"),
        (result(code=None), "code must be a list, found NoneType"),
        (changed(accuracy="high"), r"arms\[0\].accuracy must be a finite number, found 'high'"),
        (changed(accuracy=True), r"arms\[0\].accuracy must be a finite number, found True"),
        (changed(accuracy=float("nan")), r"arms\[0\].accuracy must be a finite number, found nan"),
        (changed(by_task={"word": []}), r"arms\[0\].by_task.word must be a finite number"),
        (changed(routing={"dependent": 1}), r"arms\[0\].routing.dependent must be an object"),
        (
            result(comparisons=[comparison("a", "b", 0.1, "best")]),
            r"comparisons\[0\].says must be better or worse or equal or undecided, found 'best'",
        ),
        (result(comparisons=[{"arm": "a"}]), r"comparisons\[0\] lacks against"),
    ],
)
def test_a_damaged_file_is_one_sentence_and_the_others_stay(tmp_path, content, said):
    folder = write_results(tmp_path / "results", worth=result(), damaged=content)
    with pytest.raises(ExperimentError, match=said) as refused:
        read_result(folder / "damaged.json")
    files = read_folder(folder)
    assert files.faults == [str(refused.value)]
    assert list(files.found) == ["worth"]
    with pytest.raises(ExperimentError, match=said):
        read_results(folder)


def test_an_empty_or_missing_folder_holds_nothing(tmp_path):
    assert read_folder(tmp_path / "nowhere") == ({}, [])
    with pytest.raises(ExperimentError, match="holds no result file; `mowe experiments run`"):
        read_results(tmp_path)


def test_a_verdict_names_the_difference_and_what_could_have_been_seen():
    assert verdict_sentence(result()) == (
        "**Holds at this scale:** paper is better than base only, +0.060 in accuracy (95 %: "
        "+0.045 to +0.075, p = 0.0020); a difference of 0.021 could have been seen."
    )
    assert [one["arm"] for one in judged(result())] == ["paper"]  # dense is not in its claim


def test_a_verdict_over_several_comparisons_counts_them():
    several = [
        comparison("no routing loss", "paper", 0.001, "equal"),
        comparison("entropy only", "paper", -0.05, "worse"),
        {**comparison("exploration", "paper", 0.01, "equal"), "detectable": 0.035},
    ]
    found = result(experiment="losses", comparisons=several, verdict="does not hold at this scale")
    assert verdict_sentence(found) == (
        "**Does not hold at this scale:** of 3 comparisons 1 worse, 2 equal; the claim holds where "
        "each is equal. Differences from 0.021 to 0.035 could have been seen."
    )
    unknown = {**found, "experiment": "another"}
    assert len(judged(unknown)) == 3
    assert "the claim holds where" not in verdict_sentence(unknown)
    says = [{**one, "judged": one["says"] == "worse"} for one in several]
    assert [one["arm"] for one in judged({**found, "comparisons": says})] == ["entropy only"]
    assert "where each is worse" in verdict_sentence({**found, "expects": "worse"})
    assert "nothing was compared" in verdict_sentence({**found, "comparisons": []})


def test_how_it_was_made_can_be_done_again():
    made = how_made(result(split="test", scale="lm"))
    assert "5 seeds; 400 clips to train, 120 in dev, 0 in test" in made
    assert "commit `0123456789`" in made
    assert "A processor" in made
    assert made.endswith("mowe experiments run worth --manifest built/corpus/manifest.jsonl "
                         "--scale lm --test`")  # fmt: skip


def test_the_page_says_each_verdict_in_a_sentence():
    assert verdict_sentence(result()) in paper_page([result()])

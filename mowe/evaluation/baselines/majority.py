"""The most frequent label of the training lines, whatever is heard."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from mowe.data.ledger import Row
from mowe.data.manifest import Example
from mowe.evaluation.asking import Question, describe, label_of


def majority_rows(questions: Sequence[Question], train: Sequence[Example]) -> list[Row]:
    """A predicted label for every question of a task with labels.

    A closed question gets the most frequent of its own options; a task without training lines none.
    """
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    labelled = {one.example.task for one in questions if one.task.is_labelled}
    for example in train:
        if example.task in labelled:
            counts[example.task][label_of(example)] += 1
    rows = [describe(one) for one in questions if one.example.task in counts]
    return [row | {"predicted": _most(counts[row["task"]], row["options"])} for row in rows]


def _most(counts: Counter[str], options: Sequence[str]) -> str:
    # ties go to the name that comes first, so that every run says the same
    return max(sorted(options or counts), key=lambda label: counts[label])

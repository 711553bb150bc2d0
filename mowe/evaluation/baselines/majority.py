"""The most frequent label of the training lines, whatever is heard."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from mowe.data.manifest import Example
from mowe.evaluation.asking import Question, describe
from mowe.evaluation.ledger import Row
from mowe.evaluation.tasks import TASKS

LABELLED = frozenset(name for name, task in TASKS.items() if task.metrics[0] == "accuracy")


def majority_rows(questions: Sequence[Question], train: Sequence[Example]) -> list[Row]:
    """A predicted label for every question of a task with labels.

    A closed question gets the most frequent of its own options; a task without training lines none.
    """
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for example in train:
        if example.task in LABELLED:
            counts[example.task][str(example.metadata.get("label") or "")] += 1
    rows = [describe(one) for one in questions if one.example.task in counts]
    return [row | {"predicted": _most(counts[row["task"]], row["options"])} for row in rows]


def _most(counts: Counter[str], options: Sequence[str]) -> str:
    # ties go to the name that comes first, so that every run says the same
    return max(sorted(options or counts), key=lambda label: counts[label])

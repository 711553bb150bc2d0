"""What is asked, how it is measured, and how many examples a suite takes: all of it data."""

from collections.abc import Mapping
from dataclasses import dataclass

from mowe.data.tasks import TRANSCRIBE

EACH, POOLED = "each source", "all sources"  # instead of the name of a source
MANIFEST = "manifest"  # the suite of every task that a manifest has


@dataclass(frozen=True, kw_only=True)
class Task:
    """One task of a manifest."""

    group: str  # of the paper: ASR, ER, AQA, SQA or AC; "ours" or "other" is in none of them
    metrics: tuple[str, ...]  # keys of mowe.evaluation.measures.METRICS, the main one first
    max_new_tokens: int = 24  # of an answer

    @property
    def is_transcript(self) -> bool:
        """Whether the answer is what is said, word for word."""
        return self.metrics[0] == "WER"

    @property
    def is_labelled(self) -> bool:
        """Whether an answer is right or wrong."""
        return self.metrics[0] == "accuracy"


_NAMED = ("accuracy", "macro F1")  # few labels, each with several examples
TASKS: Mapping[str, Task] = {
    TRANSCRIBE: Task(group="ASR", metrics=("WER", "CER"), max_new_tokens=80),
    "emotion": Task(group="ER", metrics=_NAMED),
    "sound": Task(group="AQA", metrics=_NAMED),
    "presence": Task(group="AQA", metrics=_NAMED),
    "count": Task(group="AQA", metrics=_NAMED),
    "order": Task(group="AQA", metrics=("accuracy",), max_new_tokens=40),  # may list four sounds
    "compare": Task(group="AQA", metrics=("accuracy",)),
    "digits": Task(group="SQA", metrics=("accuracy",)),
    "prompts": Task(group="SQA", metrics=("accuracy",)),
    "mention": Task(group="SQA", metrics=("accuracy",)),
    "passage": Task(group="SQA", metrics=("accuracy",)),
    "caption": Task(group="AC", metrics=("METEOR", "label recall"), max_new_tokens=40),
    "gender": Task(group="ours", metrics=_NAMED),
    "language": Task(group="ours", metrics=_NAMED),
    "unanswerable": Task(group="ours", metrics=("accuracy",)),
}


# by what an unknown task can be measured, and what stands beside it
MEASURES: Mapping[str, tuple[str, ...]] = {
    "WER": ("WER", "CER"),
    "accuracy": ("accuracy",),
    "METEOR": ("METEOR",),
}
LONGEST = 80  # tokens of an answer to an unknown task


@dataclass(frozen=True)
class Group:
    """Examples that are scored together."""

    task: str
    source: str = POOLED  # a source's name, EACH (one group a source) or POOLED (one for all)
    limit: int = 40  # most examples
    even: bool = False  # as many of each label as there are, rather than as they come


@dataclass(frozen=True, kw_only=True)
class Suite:
    """What one run asks; the manifest may lack some of it."""

    groups: tuple[Group, ...]  # a source's own group goes before EACH and POOLED
    tasks: Mapping[str, Task]


SUITES: Mapping[str, Suite] = {
    "mini": Suite(
        tasks=TASKS,
        groups=(
            Group(TRANSCRIBE, "drascula", 80),
            Group(TRANSCRIBE, EACH, 30),
            Group("emotion", "ravdess", 120, even=True),
            Group("emotion", EACH),
            Group("sound", "esc10", 80),
            Group("sound", EACH, 30),
            Group("caption", "esc10"),
            Group("caption", EACH, 20),
            Group("gender", limit=80, even=True),
            Group("language", limit=80, even=True),  # most sources hold one language only
            Group("presence", limit=50),
            Group("count", limit=50),
            Group("order", limit=50),
            Group("compare"),
            Group("digits", limit=50),
            Group("prompts"),
            Group("mention", limit=50),
            Group("passage"),
            Group("unanswerable", limit=30),
        ),
    ),
}

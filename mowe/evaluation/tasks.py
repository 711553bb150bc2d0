"""What is asked, how it is measured, and how many examples a suite takes: all of it data."""

from collections.abc import Mapping
from dataclasses import dataclass

from mowe.data.manifest import TRANSCRIBE
from mowe.errors import ConfigError

EACH, POOLED = "each source", "all sources"  # instead of the name of a source


@dataclass(frozen=True, kw_only=True)
class Task:
    """One task of the manifest."""

    group: str  # of the paper: ASR, ER, AQA, SQA or AC; "ours" is in none of them
    metrics: tuple[str, ...]  # keys of mowe.evaluation.measures.METRICS, the main one first
    max_new_tokens: int = 24  # of an answer


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

    presets: tuple[str, ...]  # it is made for
    groups: tuple[Group, ...]  # a source's own group goes before EACH and POOLED


SUITES: Mapping[str, Suite] = {
    "mini": Suite(
        presets=("mini", "base-only"),
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
    # a few of everything, to see that a run works
    "tiny": Suite(presets=("tiny-random",), groups=tuple(Group(task, EACH, 4) for task in TASKS)),
}


def find_suite(name: str) -> Suite:
    """The suite of this name.

    Raises:
        ConfigError: If there is none; the message lists them.
    """
    if name not in SUITES:
        raise ConfigError(f"no suite {name!r}; there are {', '.join(SUITES)}")
    return SUITES[name]


def check_tasks(names: tuple[str, ...]) -> None:
    """Refuse a task that is not measured.

    Raises:
        ConfigError: Naming it and those there are.
    """
    for name in names:
        if name not in TASKS:
            raise ConfigError(f"no task {name!r} is measured; there are {', '.join(TASKS)}")

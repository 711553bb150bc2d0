"""The suite of a run: one by name, or what a manifest holds, whatever its tasks are called."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from mowe.data.manifest import Example
from mowe.data.sampling import by_task
from mowe.errors import ConfigError
from mowe.evaluation.tasks import (
    EACH,
    LONGEST,
    MANIFEST,
    MEASURES,
    SUITES,
    TASKS,
    Group,
    Suite,
    Task,
)


def find_suite(
    name: str, examples: Sequence[Example] = (), measures: Mapping[str, str] | None = None
) -> Suite:
    """The suite of this name.

    Args:
        name: One of `SUITES`, or `MANIFEST`: every task that the examples have, source by source.
        examples: Held-out lines.
        measures: A measure by task, instead of what `measured` says.

    Raises:
        ConfigError: If there is none, or a measure is of an unknown task or itself unknown; the
            message lists what there is.
    """
    if name not in (MANIFEST, *SUITES):
        raise ConfigError(f"no suite {name!r}; there are {', '.join((MANIFEST, *SUITES))}")
    wanted = measures or {}
    groups = by_task([one for one in examples if one.audio is not None])
    for task, measure in wanted.items():
        if task not in groups:
            raise ConfigError(f"no task {task!r} to measure; the manifest has {', '.join(groups)}")
        if measure not in MEASURES:
            raise ConfigError(f"no measure {measure!r} of {task}; there are {', '.join(MEASURES)}")
    suite = SUITES.get(name)
    if suite is None:
        tasks = {task: measured(task, groups[task]) for task in sorted(groups, key=_place)}
        suite = Suite(groups=tuple(Group(task, EACH) for task in tasks), tasks=tasks)
    chosen = {task: _other(measure) for task, measure in wanted.items()}
    return Suite(groups=suite.groups, tasks={**suite.tasks, **chosen})


def measured(task: str, examples: Sequence[Example]) -> Task:
    """A task as `TASKS` has it, as far as its lines let it; an unknown one by what they say.

    METEOR where lines list `references`, else accuracy: the answer has the line's `label`, or its
    own words where it has none.
    """
    if task in TASKS:
        labelled = any(one.metadata.get("label") for one in examples)
        metrics = tuple(one for one in TASKS[task].metrics if labelled or one != "label recall")
        return replace(TASKS[task], metrics=metrics)
    described = any(one.metadata.get("references") for one in examples)
    return _other("METEOR" if described else "accuracy")


def _other(measure: str) -> Task:
    return Task(group="other", metrics=MEASURES[measure], max_new_tokens=LONGEST)


def _place(task: str) -> tuple[int, str]:
    """Known tasks in their order, then the others by name."""
    known = list(TASKS)
    return (known.index(task) if task in known else len(known)), task


def check_tasks(names: Sequence[str], suite: Suite) -> None:
    """Refuse a task that is not measured.

    Raises:
        ConfigError: Naming it and those there are.
    """
    for name in names:
        if name not in suite.tasks:
            raise ConfigError(f"no task {name!r} is measured; there are {', '.join(suite.tasks)}")

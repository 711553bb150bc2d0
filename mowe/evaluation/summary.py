"""From rows to lines of a table: one per task, source and metric, with its interval."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mowe.evaluation.measures import METRICS, Row, drawn_units, interval, judge
from mowe.evaluation.tasks import TASKS, Task


def judged(
    rows: Sequence[Row], normalise: Callable[[str], str], tasks: Mapping[str, Task] = TASKS
) -> list[Row]:
    """Every row with what its task's metrics need, in the order given."""
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for number, row in enumerate(rows):
        groups[row["task"], row["part"]].append(number)
    done: dict[int, Row] = {}
    for (task, _), places in groups.items():
        found = judge([rows[place] for place in places], tasks[task].metrics[0], normalise)
        done |= dict(zip(places, found, strict=True))
    return [done[number] for number in range(len(rows))]


def summarize(
    rows: Sequence[Row], seed: int = 0, tasks: Mapping[str, Task] = TASKS
) -> list[dict[str, Any]]:
    """One line per task, source and metric, in the order of the tasks.

    Args:
        rows: Judged.
        seed: Of the bootstrap.
        tasks: How each is measured.
    """
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["task"], row["part"]].append(row)
    order = list(tasks)
    return [
        {"task": task, "group": tasks[task].group, "source": part} | _line(group, metric, seed)
        for (task, part), group in sorted(
            groups.items(), key=lambda item: (order.index(item[0][0]), item[0][1])
        )
        for metric in tasks[task].metrics
    ]


def _line(rows: Sequence[Row], metric: str, seed: int) -> dict[str, Any]:
    tally = METRICS[metric](rows)
    units, kind = drawn_units(rows)
    low, high = interval(tally, units, seed)
    return {
        "examples": len(rows),
        "metric": metric,
        "value": round(tally.whole(), 4),
        "low": round(low, 4),
        "high": round(high, 4),
        "drawn": kind,
        "units": len(set(units)),
    }

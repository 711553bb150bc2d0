"""What the routers did over a run: who was used, how evenly, and whether it follows the task."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from mowe.evaluation.measures import Row
from mowe.statistics import effective_number, mutual_information


def summarize_routing(rows: Sequence[Row], seed: int = 0) -> dict[str, Any]:
    """Usage, effective number of encoders and dependence on task and source; empty without routers.

    Args:
        rows: Of the model, with `independent`, `dependent` and `chosen`.
        seed: Of the permutations.
    """
    routed = [row for row in rows if row["dependent"] or row["independent"]]
    if not routed:
        return {}
    names = list(routed[0]["dependent"] or routed[0]["independent"])
    used = Counter(name for row in routed for name in row["chosen"])
    routers = {}
    for router in ("independent", "dependent"):
        having = [row[router] for row in routed if row[router]]
        if having:
            mean = [float(np.mean([one[name] for one in having])) for name in names]
            routers[router] = {
                "mean": {name: round(value, 4) for name, value in zip(names, mean, strict=True)},
                "effective_encoders": round(effective_number(mean), 3),
            }
    return {
        "answers": len(routed),
        "usage": {name: round(used[name] / len(routed), 4) for name in names},
        "chosen_effective_encoders": round(effective_number([used[name] for name in names]), 3),
        "routers": routers,
        **_dependence([row for row in routed if row["dependent"]], seed),
    }


def _dependence(rows: Sequence[Row], seed: int) -> dict[str, Any]:
    if not rows:
        return {}
    first = {row["audio"]: max(row["dependent"], key=row["dependent"].get) for row in rows}
    clips = [row["audio"] for row in rows]
    counts = Counter(first[clip] for clip in clips)
    by_task: dict[str, Counter[str]] = {}
    for row in rows:
        by_task.setdefault(row["task"], Counter())[first[row["audio"]]] += 1
    return {
        "dependent_choice": dict(counts.most_common()),
        "dependent_choice_by_task": {task: dict(one) for task, one in by_task.items()},
        "task_and_choice": mutual_information([row["task"] for row in rows], clips, first, seed),
        "source_and_choice": mutual_information(
            [row["source"] for row in rows], clips, first, seed
        ),
    }

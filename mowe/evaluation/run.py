"""Ask a checkpoint every held-out question, greedily, and score the answers by task and source."""

import random
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from mowe.assistant import Assistant, Sampling
from mowe.audio import load_audio
from mowe.evaluation.scores import same_words, word_error_rate
from mowe.routing import RoutingControl
from mowe.training.manifest import AUDIO_TAG, Example

TRANSCRIBE = "transcribe"
RESAMPLES = 1000  # of the bootstrap


def pick(examples: Sequence[Example], limit: int, seed: int) -> list[Example]:
    """At most `limit` examples of each task and source, drawn by seed."""
    groups: dict[tuple[str, str], list[Example]] = defaultdict(list)
    for example in examples:
        groups[example.task, str(example.metadata.get("source"))].append(example)
    draw = random.Random(seed)
    return [one for group in groups.values() for one in draw.sample(group, min(limit, len(group)))]


def answer_all(
    assistant: Assistant, examples: Sequence[Example], control: RoutingControl | None = None
) -> list[dict[str, Any]]:
    """One row per example: what was asked, expected and answered, and the routing.

    Raises:
        AudioError: If a recording cannot be used.
    """
    rows = []
    for example in tqdm(examples, desc="answers", mininterval=5):
        recording = load_audio(example.audio)
        if example.start or example.end is not None:
            recording = recording.window(example.start, example.end or recording.seconds)
        question = example.messages[0][1].replace(AUDIO_TAG, "").strip()
        sampling = Sampling(max_new_tokens=100)
        answer = assistant.ask([recording], question, sampling=sampling, control=control)
        rows.append(
            {
                "id": example.metadata.get("id"),
                "task": example.task,
                "source": example.metadata.get("source"),
                "speaker": example.metadata.get("speaker"),
                "question": question,
                "expected": example.answer,
                "answer": answer.text,
                "chosen": [list(window.chosen) for window in answer.windows],
                "dependent": [window.dependent for window in answer.windows],
            }
        )
    return rows


def summarize(rows: Sequence[dict[str, Any]], seed: int = 0) -> list[dict[str, Any]]:
    """Word error rate for transcripts, exact match for the rest, with 95 % bootstrap intervals."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row["task"], row["source"]].append(row)
    draw = np.random.default_rng(seed)
    summary = []
    for (task, source), group in sorted(groups.items()):
        resampled = [
            _score(task, [group[i] for i in draw.integers(len(group), size=len(group))])
            for _ in range(RESAMPLES)
        ]
        low, high = np.quantile(resampled, [0.025, 0.975])
        summary.append(
            {
                "task": task,
                "source": source,
                "examples": len(group),
                "metric": "word error rate" if task == TRANSCRIBE else "exact match",
                "value": round(_score(task, group), 4),
                "low": round(float(low), 4),
                "high": round(float(high), 4),
            }
        )
    return summary


def _score(task: str, rows: Sequence[dict[str, Any]]) -> float:
    expected, answers = [row["expected"] for row in rows], [row["answer"] for row in rows]
    if task == TRANSCRIBE:
        return word_error_rate(expected, answers)
    return float(np.mean([same_words(*pair) for pair in zip(expected, answers, strict=True)]))

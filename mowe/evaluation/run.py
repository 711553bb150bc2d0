"""One run: choose, ask, compare with baselines, write."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mowe.assistant import Assistant, load_assistant
from mowe.data.manifest import read_manifest
from mowe.errors import CheckpointError, ConfigError
from mowe.evaluation import origin
from mowe.evaluation.asking import answer_all, choose
from mowe.evaluation.baselines import BASELINES, Bench, find_baselines
from mowe.evaluation.captions import VARIANT
from mowe.evaluation.choices import summarize_routing
from mowe.evaluation.ledger import Ledger
from mowe.evaluation.pinned import transcript_normaliser
from mowe.evaluation.summary import judged, summarize
from mowe.evaluation.table import caption, markdown
from mowe.evaluation.tasks import Suite, check_tasks, find_suite
from mowe.model.control import RoutingControl


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """What a run is asked for."""

    checkpoint: str
    suite: str
    manifest: Path
    out: Path  # the JSON; a Markdown table is written beside it
    tasks: tuple[str, ...] = ()  # empty: all of the suite
    limit: int | None = None  # examples of every group; None takes each group's own
    split: str = "dev"
    seed: int = 0
    baselines: str = "none"
    no_weak: bool = False  # run no weak encoder

    def __post_init__(self) -> None:
        find_suite(self.suite)
        check_tasks(self.tasks)
        find_baselines(self.baselines)
        if self.limit is not None and self.limit < 1:
            raise ConfigError(f"limit must be at least 1, found {self.limit}")


def evaluate(settings: EvaluationSettings) -> dict[str, Any]:
    """Score a checkpoint, and write the JSON and the table.

    Raises:
        MoweError: If the checkpoint, the manifest or a recording cannot be used.
    """
    suite = find_suite(settings.suite)
    examples = read_manifest(settings.manifest)
    questions = choose(
        [one for one in examples if one.metadata.get("split", settings.split) == settings.split],
        suite,
        settings.manifest.parent,
        tasks=settings.tasks,
        limit=settings.limit,
        seed=settings.seed,
    )
    assistant = load_for(suite, settings)
    control = RoutingControl(no_weak=True) if settings.no_weak else None
    about = _about(settings, assistant)
    ledger = Ledger(
        settings.out.with_name(f"{settings.out.name}.rows.jsonl"),
        {name: about[name] for name in ("checkpoint_sha256", "manifest_sha256", "weak_encoders")},
    )
    normalise, normaliser = transcript_normaliser()
    rows = judged(answer_all(assistant, questions, ledger, control=control), normalise)
    train = [one for one in examples if one.metadata.get("split") == "train"]
    bench = Bench(assistant, questions, train, ledger, control)
    beside = {
        name: judged(BASELINES[name](bench), normalise)
        for name in find_baselines(settings.baselines)
    }
    result = about | {
        "normaliser": normaliser,
        "meteor": VARIANT,
        "summary": summarize(rows, settings.seed),
        "baselines": {name: summarize(lines, settings.seed) for name, lines in beside.items()},
        "routing": summarize_routing(rows, settings.seed),
        "rows": rows,
        "baseline_rows": {name: [_short(row) for row in lines] for name, lines in beside.items()},
    }
    _write(settings.out, json.dumps(result, indent=1) + "\n")
    _write(settings.out.with_suffix(".md"), f"{caption(result)}\n{markdown(result)}")
    ledger.remove()
    return result


def load_for(suite: Suite, settings: EvaluationSettings) -> Assistant:
    """The checkpoint, if the suite is made for its preset.

    Raises:
        CheckpointError: If it is not, or the checkpoint cannot be loaded.
        WeightsError: If a component cannot be fetched or verified.
    """
    assistant = load_assistant(settings.checkpoint)
    if assistant.preset not in suite.presets:
        raise CheckpointError(
            f"{settings.checkpoint} is of preset {assistant.preset}, the suite {settings.suite} is "
            f"for {' and '.join(suite.presets)}"
        )
    return assistant


def _about(settings: EvaluationSettings, assistant: Assistant) -> dict[str, Any]:
    return {
        "checkpoint": Path(settings.checkpoint).name,
        "checkpoint_sha256": origin.fingerprint(assistant),
        "preset": assistant.preset,
        "suite": settings.suite,
        "tasks": list(settings.tasks),
        "split": settings.split,
        "seed": settings.seed,
        "limit": settings.limit,
        "weak_encoders": not settings.no_weak,
        "code": origin.code_version(),
        "machine": origin.machine(),
        "versions": origin.all_versions(),
        "manifest_sha256": origin.file_sha256(settings.manifest),
    }


def _short(row: dict[str, Any]) -> dict[str, Any]:
    """What differs from the model's row of the same id."""
    kept = ("id", "answer", "predicted", "correct", "word_edits", "meteor", "chosen")
    return {name: row[name] for name in kept if name in row}


def _write(path: Path, content: str) -> None:
    try:
        path.write_text(content, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error}") from error

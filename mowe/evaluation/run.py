"""One run: choose, ask, compare with baselines, write."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mowe.assistant import Assistant, load
from mowe.data.ledger import Ledger
from mowe.data.manifest import read_manifest
from mowe.data.origin import code_version, machine
from mowe.errors import ConfigError
from mowe.evaluation import origin
from mowe.evaluation.asking import answer_all, choose
from mowe.evaluation.baselines import BASELINES, Bench, find_baselines
from mowe.evaluation.captions import find_synonyms
from mowe.evaluation.choices import summarize_routing
from mowe.evaluation.hearing import heard_rows, summarize_hearing
from mowe.evaluation.pinned import transcript_normaliser
from mowe.evaluation.questions import ask_all, by_group, questions_table, read_questions
from mowe.evaluation.suites import check_tasks, find_suite
from mowe.evaluation.summary import judged, summarize
from mowe.evaluation.swaps import summarize_swaps, swap_all
from mowe.evaluation.table import caption, markdown
from mowe.evaluation.tasks import MANIFEST
from mowe.files import file_sha256, replace_file
from mowe.model.control import RoutingControl

# what an answer depends on
_DECIDING = (
    *("checkpoint_sha256", "manifest_sha256", "questions_sha256"),
    *("weak_encoders", "measures", "hints"),
)


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """What a run is asked for."""

    checkpoint: str  # preset, checkpoint folder or hub repo
    manifest: Path
    out: Path  # the JSON; a Markdown table is written beside it
    suite: str = MANIFEST
    measures: Mapping[str, str] = field(default_factory=dict)  # by task, instead of the usual one
    tasks: tuple[str, ...] = ()  # empty: all of the suite
    limit: int | None = None  # examples of every group; None takes each group's own
    split: str = "dev"
    seed: int = 0
    baselines: str = "none"
    no_weak: bool = False  # run no weak encoder
    hints: tuple[str, ...] | None = None  # what is told in text; None: all that can be
    swap: bool = False  # measure what another recording's audio tokens do to the right answers
    untrained: bool = False  # the checkpoint is a preset, with random weights
    emotion: bool = False  # with the part that guesses feelings

    def __post_init__(self) -> None:
        find_suite(self.suite)
        find_baselines(self.baselines)
        if self.limit is not None and self.limit < 1:
            raise ConfigError(f"limit must be at least 1, found {self.limit}")

    @property
    def control(self) -> RoutingControl | None:
        """Overrides of the routing."""
        return RoutingControl(no_weak=True) if self.no_weak else None


def evaluate(settings: EvaluationSettings) -> dict[str, Any]:
    """Score a checkpoint, and write the JSON and the table.

    Raises:
        MoweError: If the checkpoint, the manifest or a recording cannot be used.
    """
    examples = read_manifest(settings.manifest)
    held_out = [
        one for one in examples if one.metadata.get("split", settings.split) == settings.split
    ]
    suite = find_suite(settings.suite, held_out, settings.measures)
    check_tasks(settings.tasks, suite)
    questions = choose(
        held_out,
        suite,
        settings.manifest.parent,
        tasks=settings.tasks,
        limit=settings.limit,
        seed=settings.seed,
    )
    assistant = load(settings.checkpoint, untrained=settings.untrained, emotion=settings.emotion)
    about = _about(settings, assistant)
    ledger = _ledger(settings, about)
    normalise, normaliser = transcript_normaliser()
    rows = judged(
        answer_all(assistant, questions, ledger, control=settings.control, hints=settings.hints),
        normalise,
        suite.tasks,
    )
    train = [one for one in examples if one.metadata.get("split") == "train"]
    bench = Bench(assistant, questions, train, ledger, settings.control)
    swaps = {"swaps": summarize_swaps(swap_all(bench), settings.seed)} if settings.swap else {}
    beside = {
        name: judged(BASELINES[name](bench), normalise, suite.tasks)
        for name in find_baselines(settings.baselines)
    }
    told = heard_rows(assistant, [question.example for question in questions])
    heads = {"heads": summarize_hearing(told)} if told else {}
    result = about | {
        "normaliser": normaliser,
        "meteor": find_synonyms().variant,
        "summary": summarize(rows, settings.seed, suite.tasks),
        "baselines": {
            name: summarize(lines, settings.seed, suite.tasks) for name, lines in beside.items()
        },
        **heads,
        **swaps,
        "routing": summarize_routing(rows, settings.seed),
        "rows": rows,
        "baseline_rows": {name: [_short(row) for row in lines] for name, lines in beside.items()},
    }
    _write(settings.out, json.dumps(result, indent=1) + "\n")
    _write(settings.out.with_suffix(".md"), f"{caption(result)}\n{markdown(result)}")
    ledger.remove()
    return result


def evaluate_questions(settings: EvaluationSettings, questions: Path) -> dict[str, Any]:
    """Ask a list of questions about a manifest's clips, and write the JSON and the table.

    Args:
        settings: Checkpoint, manifest, where to write, and as `split` which half of the list.
        questions: The list.

    Raises:
        MoweError: If the checkpoint, the list or a recording cannot be used, or a setting is one
            of a suite.
    """
    _refuse_suite(settings)
    asked = read_questions(questions, settings.manifest.parent, settings.split)
    assistant = load(settings.checkpoint, untrained=settings.untrained, emotion=settings.emotion)
    about = _about(settings, assistant) | {"questions_sha256": file_sha256(questions)}
    ledger = _ledger(settings, about)
    rows = ask_all(assistant, asked, ledger, settings.control, settings.hints)
    result = about | {
        "questions": questions.name,
        "groups": by_group(rows, settings.seed),
        "rows": rows,
    }
    _write(settings.out, json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    _write(settings.out.with_suffix(".md"), questions_table(result["groups"]))
    ledger.remove()
    return result


def _refuse_suite(settings: EvaluationSettings) -> None:
    given = {
        "suite": settings.suite != MANIFEST,
        "measure": bool(settings.measures),
        "task": bool(settings.tasks),
        "limit": settings.limit is not None,
        "baselines": bool(find_baselines(settings.baselines)),
        "swap": settings.swap,
    }
    if named := [name for name, is_given in given.items() if is_given]:
        raise ConfigError(f"a list of questions is asked whole: leave out {', '.join(named)}")


def _ledger(settings: EvaluationSettings, about: Mapping[str, Any]) -> Ledger:
    path = settings.out.with_name(f"{settings.out.name}.rows.jsonl")
    return Ledger(path, {name: about[name] for name in _DECIDING if name in about})


def _about(settings: EvaluationSettings, assistant: Assistant) -> dict[str, Any]:
    return {
        "checkpoint": Path(settings.checkpoint).name,
        "checkpoint_sha256": origin.fingerprint(assistant),
        "preset": assistant.preset,
        "notice": assistant.notice,
        "suite": settings.suite,
        "measures": dict(settings.measures),
        "tasks": list(settings.tasks),
        "split": settings.split,
        "seed": settings.seed,
        "limit": settings.limit,
        "weak_encoders": not settings.no_weak,
        "hints": list(assistant.hints if settings.hints is None else settings.hints),
        "code": code_version(),
        "machine": machine(),
        "versions": origin.all_versions(),
        "manifest_sha256": file_sha256(settings.manifest),
    }


def _short(row: dict[str, Any]) -> dict[str, Any]:
    """What differs from the model's row of the same id."""
    kept = ("id", "answer", "predicted", "correct", "word_edits", "meteor", "chosen")
    return {name: row[name] for name in kept if name in row}


def _write(path: Path, content: str) -> None:
    try:
        replace_file(path, content.encode())
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error}") from error

"""What drives routing, for pages: the result file of `mowe experiments drivers` in words."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mowe.errors import ExperimentError
from mowe.experiments.result_files import misfit
from mowe.files import markdown_table, read_json

FILE = "drivers.json"  # beside the folder of the experiments' result files
_SHAPE: dict[Any, Any] = {
    "questions": [
        {
            **dict.fromkeys(("name", "question", "unit"), str),
            "answers": [{"arm": str, "sentence": str}],
            "points": [
                {
                    **dict.fromkeys(("arm", "name"), str),
                    **dict.fromkeys(("value", "low", "high"), float),
                    "control": bool,
                }
            ],
            "bands?": [str],
            "details": {"columns": [str], "rows": [list]},
        }
    ],
    "arms": [{"name": str, "effective_encoders": [float]}],
    "data": {"split": str, "clips": int, "changed": int},
    "budget": {"seeds": int, "cpu_seconds": int},
    "code": [{"commit": str, "dirty": bool}],
    "machine": {"processor": str},
}
POINT_COLUMNS = ["Arm", "What", "Value", "Low", "High", "Control"]
ABOUT = """Routers of two arms, trained with several seeds, are asked about development clips that
they were not trained on. A value is a mean over clips and seeds with its 95 % interval (bootstrap
over people, recordings and seeds); a control is what the others have to be read beside."""


def read_drivers(path: Path) -> dict[str, Any] | None:
    """The result file; None where there is none.

    Raises:
        ExperimentError: If it cannot be read, or something in it is missing or of another kind.
    """
    if not path.exists():
        return None
    found: dict[str, Any] = read_json(path, ExperimentError)
    if fault := misfit(found, _SHAPE):
        raise ExperimentError(f"{path.name} is no result file: {fault}")
    return found


def drivers_section(found: Mapping[str, Any]) -> str:
    """The part of a page that answers every question."""
    arms = "; ".join(
        f"{one['name']}: {', '.join(f'{value:.1f}' for value in one['effective_encoders'])}"
        for one in found["arms"]
    )
    parts = [
        f"## What drives routing\n\n{ABOUT}",
        f"Effective encoders by seed: {arms}. Where a router has collapsed, nothing drives it.",
        *map(_question, found["questions"]),
        how_asked(found),
    ]
    return "\n\n".join(parts)


def answers(question: Mapping[str, Any]) -> str:
    """A line an arm."""
    return "\n".join(f"- *{one['arm']}*: {one['sentence']}" for one in question["answers"])


def point_rows(question: Mapping[str, Any]) -> list[list[Any]]:
    """The table under `POINT_COLUMNS`."""
    return [
        [
            one["arm"],
            one["name"],
            *(f"{one[name]:.3f}" for name in ("value", "low", "high")),
            "control" if one["control"] else "",
        ]
        for one in question["points"]
    ]


def how_asked(found: Mapping[str, Any]) -> str:
    """Seeds, clips, commits, machine, and the command that does it again."""
    data, budget = found["data"], found["budget"]
    commits = ", ".join(
        f"`{code['commit'][:10]}`{' with changes' if code['dirty'] else ''}"
        for code in found["code"]
    )
    return (
        f"{budget['seeds']} seeds; {data['clips']} clips of {data['split']}, {data['changed']} of "
        f"them changed; commit {commits or 'unknown'}; {found['machine']['processor']}; "
        f"{budget['cpu_seconds'] / 60:.0f} minutes of CPU at the last run. Again: "
        "`mowe experiments drivers --manifest built/corpus/manifest.jsonl`"
    )


def _question(question: Mapping[str, Any]) -> str:
    details = question["details"]
    return "\n\n".join(
        [
            f"### {question['question']}",
            answers(question),
            f"In {question['unit']}:",
            markdown_table(POINT_COLUMNS, point_rows(question)),
            markdown_table(details["columns"], details["rows"]),
        ]
    )

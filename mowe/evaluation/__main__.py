"""`python -m mowe.evaluation --manifest FILE --out FILE`: score a checkpoint on held-out lines."""

import argparse
import json
import platform
import sys
from pathlib import Path

from mowe.assistant import DEFAULT_CHECKPOINT, load_assistant
from mowe.assistant.answer import versions
from mowe.errors import MoweError
from mowe.evaluation.run import answer_all, pick, summarize
from mowe.routing import RoutingControl
from mowe.training.manifest import read_manifest


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 with a table, 1 with one sentence."""
    parser = argparse.ArgumentParser(prog="python -m mowe.evaluation", description=__doc__)
    parser.add_argument("--checkpoint", default=DEFAULT_CHECKPOINT)
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--split", default="dev")
    parser.add_argument("--limit", type=int, default=40, help="examples of each task and source")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-weak", action="store_true", help="without the weak encoders")
    parser.add_argument("--out", type=Path, required=True, help="JSON with summary and rows")
    given = parser.parse_args(arguments)
    try:
        examples = pick(read_manifest(given.manifest, split=given.split), given.limit, given.seed)
        assistant = load_assistant(given.checkpoint)
        control = RoutingControl(no_weak=True) if given.no_weak else None
        rows = answer_all(assistant, examples, control)
    except MoweError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    summary = summarize(rows, given.seed)
    result = {
        "checkpoint": given.checkpoint,
        "preset": assistant.preset,
        "split": given.split,
        "limit": given.limit,
        "seed": given.seed,
        "weak_encoders": not given.no_weak,
        "machine": platform.machine(),
        "versions": versions(),
        "summary": summary,
        "rows": rows,
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print("| task | source | examples | metric | value | 95 % |\n|---|---|---|---|---|---|")
    for line in summary:
        print(
            f"| {line['task']} | {line['source']} | {line['examples']} | {line['metric']} "
            f"| {line['value']:.3f} | {line['low']:.3f}–{line['high']:.3f} |"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())

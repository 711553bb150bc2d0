"""`python -m mowe.evaluation --manifest FILE --out FILE`: score a checkpoint on held-out lines."""

import argparse
import sys
from pathlib import Path

from mowe.assistant import DEFAULT_CHECKPOINT
from mowe.errors import MoweError
from mowe.evaluation.baselines import BASELINES
from mowe.evaluation.run import EvaluationSettings, evaluate
from mowe.evaluation.table import markdown
from mowe.evaluation.tasks import SUITES, TASKS


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 with a table, 1 with one sentence."""
    given = _parser().parse_args(arguments)
    try:
        result = evaluate(
            EvaluationSettings(
                checkpoint=given.checkpoint,
                suite=given.suite,
                manifest=given.manifest,
                out=given.out,
                tasks=tuple(given.task),
                limit=given.limit,
                split=given.split,
                seed=given.seed,
                baselines=given.baselines,
                no_weak=given.no_weak,
            )
        )
    except MoweError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(markdown(result))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m mowe.evaluation", description=__doc__)
    parser.add_argument("--checkpoint", default=DEFAULT_CHECKPOINT)
    parser.add_argument("--suite", default="mini", help=", ".join(SUITES))
    parser.add_argument(
        "--task", action="append", default=[], help=f"only this one, repeatable: {', '.join(TASKS)}"
    )
    parser.add_argument("--limit", type=int, help="examples of every group, instead of its own")
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--split", default="dev")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--baselines", default="none", help=f"none, all, or some of {', '.join(BASELINES)}"
    )
    parser.add_argument("--no-weak", action="store_true", help="without the weak encoders")
    parser.add_argument("--out", type=Path, required=True, help="JSON; a table is put beside it")
    return parser


if __name__ == "__main__":
    sys.exit(main())

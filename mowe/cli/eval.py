"""`eval`: score a checkpoint on held-out lines of a manifest."""

from mowe.assistant import UNTRAINED
from mowe.cli.desk import Desk, given
from mowe.cli.text import tell
from mowe.evaluation.questions import questions_table
from mowe.evaluation.run import EvaluationSettings, evaluate, evaluate_questions
from mowe.evaluation.table import markdown

TYPED = (
    *("suite", "manifest", "out", "limit", "split", "seed", "baselines"),
    *("no_weak", "swap", "untrained", "emotion"),
)


def run(desk: Desk) -> None:
    """Score, write the results and print their table.

    Raises:
        MoweError: If the checkpoint, the manifest or a recording cannot be used.
    """
    options = desk.options
    typed = given({name: getattr(options, name) for name in TYPED})
    settings = EvaluationSettings(
        checkpoint=options.model,
        tasks=tuple(options.task),
        measures=dict(options.measure),
        hints=desk.hints,
        **typed,
    )
    if options.untrained:
        tell(f"note: {UNTRAINED}")
    if options.questions is None:
        print(markdown(evaluate(settings)), file=desk.out)
    else:
        found = evaluate_questions(settings, options.questions)
        print(questions_table(found["groups"]), file=desk.out)
